"""What the database is yet to be told about instances: gathered, so that one statement tells of many."""

from __future__ import annotations

import attrs

from wa_worker.models import InstanceId
from wa_worker.ownership.claims import Claims

TOLD_AGAIN = 30.0
"""Seconds after which the database is told again what the proxy lists: another worker may have said otherwise."""


@attrs.frozen
class Notice:
    """Says what one telling holds."""

    wanted: tuple[InstanceId, ...] = ()
    unwanted: tuple[InstanceId, ...] = ()
    proven: tuple[InstanceId, ...] = ()

    def tell(self, claims: Claims) -> None:
        """Blocking. Raises StateError: then some of it may have been told, and all of it may be told again."""
        if self.wanted:
            claims.want(self.wanted)
        if self.unwanted:
            claims.unwant(self.unwanted)
        if self.proven:
            claims.proven(self.proven)


class Notices:
    """Owned by the keeper, filled by the fleet. What could not be told is told later. `now`: seconds of any clock."""

    def __init__(self) -> None:
        self._wanted: dict[InstanceId, None] = {}
        self._unwanted: dict[InstanceId, None] = {}
        self._proven: dict[InstanceId, None] = {}
        self._known: set[InstanceId] = set()
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

    def take(self, now: float) -> Notice:
        """Returns all of it, to be told; if that fails, it is to be taken back."""
        taken = Notice(tuple(sorted(self._wanted)), tuple(sorted(self._unwanted)), tuple(sorted(self._proven)))
        for waiting in (self._wanted, self._unwanted, self._proven):
            waiting.clear()
        self._known.update(taken.wanted)
        self._told_at = now
        return taken

    def take_back(self, taken: Notice) -> None:
        """Has it wait again, but for what is said otherwise since."""
        self._known.difference_update(taken.wanted)
        for instance in taken.wanted:
            if instance not in self._unwanted:
                self._wanted[instance] = None
        for instance in taken.unwanted:
            if instance not in self._wanted:
                self._unwanted[instance] = None
        self._proven.update(dict.fromkeys(taken.proven))
