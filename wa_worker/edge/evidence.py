"""What the proxy itself has accepted, and when: the witness against an answer that may be somebody else's.

A router, a gateway over its quota or a portal answers everything alike, with any status. So an answer that would be
final (this message is refused, that instance is unknown) counts only beside others that were accepted meanwhile, at
the same endpoint. Trio thread only.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

import attrs
import trio

QUEUE = "queued-messages"
"""The other poll."""

LIST = "disconnected-instances"
"""The endpoint that is asked whatever happens, and whose answers are easily told from anything else's."""


@attrs.frozen
class _Accepted:
    key: Hashable
    at: float


class Evidence:
    """One per process. `key` names whom a call was about: an instance, a message."""

    def __init__(self) -> None:
        self._latest: dict[str, _Accepted] = {}
        self._latest_of_another: dict[str, _Accepted] = {}
        """By endpoint, the last call that was about another key than the latest."""
        self._failing: set[str] = set()
        self._strange: dict[str, int] = {}
        self.on_poll: list[Callable[[float, int | None], None]] = []
        """Called when a poll was answered with success: with when it was begun, and None, or the hash of a body that is
        not as the contract says."""
        self.on_wanted: list[Callable[[], None]] = []
        """Called when somebody waits for the proxy to list instances."""
        self._recovered = trio.lowlevel.ParkingLot()

    def accepted(self, endpoint: str, key: Hashable) -> None:
        """Notes that the proxy took a call at this endpoint."""
        latest = self._latest.get(endpoint)
        if latest is not None and latest.key != key:
            self._latest_of_another[endpoint] = latest
        self._latest[endpoint] = _Accepted(key, trio.current_time())
        if endpoint in self._failing:
            self._failing.discard(endpoint)
            if endpoint == LIST:
                self._recovered.unpark_all()

    def poll_accepted(self, endpoint: str, key: Hashable, began: float) -> None:
        """Notes that a poll, begun then, was answered as the contract says."""
        self._strange.pop(endpoint, None)
        self.accepted(endpoint, key)
        self._tell(began, None)

    def poll_strange(self, endpoint: str, answer: int, began: float) -> None:
        """Notes that a poll got a success whose body is no list of anything. `answer`: the hash of the body."""
        self._strange[endpoint] = answer
        self.failed(endpoint)
        self._tell(began, answer)

    def _tell(self, began: float, strange: int | None) -> None:
        for listener in self.on_poll:
            listener(began, strange)

    def is_strange(self, answer: int) -> bool:
        """Says whether a success with this body is what polls get, too, while that is no list of anything.

        Then it is from something that answers everything alike, and not from the proxy.
        """
        return answer in self._strange.values()

    def failed(self, endpoint: str) -> None:
        """Notes that a call at this endpoint was not taken, whoever said so."""
        self._failing.add(endpoint)

    def fails(self, endpoint: str) -> bool:
        """Says whether the last call at this endpoint was not taken."""
        return endpoint in self._failing

    async def recovery(self) -> None:
        """Waits until the proxy lists instances again after it did not: whoever rests need not wait any longer.

        That list is asked for every few seconds whatever happens, so it tells of the end of an outage first.
        """
        await self._recovered.park()

    def latest(self, endpoint: str) -> float | None:
        """Returns when the proxy last took a call at this endpoint (`trio.current_time()`), None if it never did."""
        latest = self._latest.get(endpoint)
        return latest.at if latest is not None else None

    def since(self, endpoint: str, moment: float) -> bool:
        """Says whether the proxy took any call at this endpoint after `moment` (`trio.current_time()`)."""
        latest = self.latest(endpoint)
        return latest is not None and latest > moment

    def listed_since(self, moment: float) -> bool:
        """Says whether the proxy has listed instances after `moment`. If not it is asked soon, though it may be holding
        the answer to a poll."""
        if self.since(LIST, moment):
            return True
        for listener in self.on_wanted:
            listener()
        return False

    def of_others_since(self, endpoint: str, key: Hashable, moment: float) -> bool:
        """Says whether the proxy took a call at this endpoint after `moment` that was about another key."""
        for accepted in (self._latest.get(endpoint), self._latest_of_another.get(endpoint)):
            if accepted is not None and accepted.key != key and accepted.at > moment:
                return True
        return False
