"""Keys of a queue that have nothing to do before a moment, by their own word: no failure, and nobody's business."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import attrs
import trio


@attrs.frozen
class NotBefore(Exception):
    """Raised by a queue's `work`: its key has nothing to do before a moment (`trio.current_time()`), or its release."""

    moment: float


class WaitingKeys:
    """Says which keys wait. One per queue; Trio thread only."""

    def __init__(self) -> None:
        self._until: dict[int, float] = {}
        self._released: set[int] = set()
        """Keys that were released while they were at work: what they have seen is out of date."""

    @property
    def keys(self) -> Collection[int]:
        """Returns those that wait, or have waited and were not started since."""
        return self._until.keys()

    def started(self, key: int) -> None:
        """Notes that a key is at work."""
        self._until.pop(key, None)
        self._released.discard(key)

    def wait(self, key: int, moment: float) -> None:
        """Lets a key that was at work wait, unless it was released meanwhile."""
        if key not in self._released:
            self._until[key] = moment

    def finished(self, key: int) -> None:
        """Notes that a key is at work no more."""
        self._released.discard(key)

    def release(self, key: int, *, busy: bool) -> None:
        """Lets a key go on at once. busy: it is at work."""
        self._until.pop(key, None)
        if busy:
            self._released.add(key)

    def waits(self, key: int) -> bool:
        """Says whether a key has nothing to do now."""
        return self._until.get(key, 0.0) > trio.current_time()

    def forget(self, keys: Collection[int]) -> None:
        """The rows of these keys are gone."""
        for key in keys:
            self._until.pop(key, None)

    def ends(self, now: float) -> Iterator[float]:
        """Yields the moments to come at which keys have something to do."""
        return (moment for moment in self._until.values() if moment > now)
