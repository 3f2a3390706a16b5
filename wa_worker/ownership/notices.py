"""What the database is yet to be told about instances: gathered, so that one statement tells of many."""

from __future__ import annotations

from collections.abc import Callable

from wa_worker.models import InstanceId
from wa_worker.ownership.claims import Claims

TOLD_AGAIN = 30.0
"""Seconds after which the database is told again what the proxy lists: another worker may have said otherwise."""


class Notices:
    """Owned by the keeper, filled by the fleet. What could not be told is told later. `now`: seconds of any clock."""

    def __init__(self) -> None:
        self._wanted: dict[InstanceId, None] = {}
        self._unwanted: dict[InstanceId, None] = {}
        self._proven: dict[InstanceId, None] = {}
        self._known: set[InstanceId] = set()
        self._taken: tuple[list[InstanceId], list[InstanceId], list[InstanceId]] = ([], [], [])
        self._told_at = float("-inf")

    def want(self, instance: InstanceId) -> bool:
        """It is to be run, by anybody. Says whether that is news: what is not, is told with other news or later."""
        self._unwanted.pop(instance, None)
        self._wanted[instance] = None
        return instance not in self._known

    def unwant(self, instance: InstanceId) -> None:
        """It is to be run by nobody."""
        self._wanted.pop(instance, None)
        self._known.discard(instance)
        self._unwanted[instance] = None

    def prove(self, instance: InstanceId) -> None:
        """Its session got through to WhatsApp."""
        self._proven[instance] = None

    def due(self, now: float) -> bool:
        late = now - self._told_at >= TOLD_AGAIN
        return bool(self._unwanted or self._proven or (self._wanted and (late or self._wanted.keys() - self._known)))

    def take(self, now: float) -> Callable[[Claims], None]:
        """Returns the call that tells all of them, for a thread. When it fails, they are to be taken back."""
        wanted, unwanted, proven = list(self._wanted), list(self._unwanted), list(self._proven)
        self._taken = wanted, unwanted, proven
        for waiting in (self._wanted, self._unwanted, self._proven):
            waiting.clear()
        self._known.update(wanted)
        self._told_at = now

        def tell(claims: Claims) -> None:
            if wanted:
                claims.want(sorted(wanted))
            if unwanted:
                claims.unwant(sorted(unwanted))
            if proven:
                claims.proven(sorted(proven))

        return tell

    def take_back(self) -> None:
        """Puts what was taken last among what waits, but for what is said otherwise since."""
        wanted, unwanted, proven = self._taken
        self._known.difference_update(wanted)
        for instance in wanted:
            if instance not in self._unwanted:
                self._wanted[instance] = None
        for instance in unwanted:
            if instance not in self._wanted:
                self._unwanted[instance] = None
        self._proven.update(dict.fromkeys(proven))
