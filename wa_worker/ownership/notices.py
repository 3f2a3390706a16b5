"""What the database is yet to be told about instances: gathered, so that one statement tells of many."""

from __future__ import annotations

import attrs

from wa_worker.models import InstanceId
from wa_worker.ownership.claims import Claims
from wa_worker.ownership.lease import View

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
        self._told_at: dict[InstanceId, float] = {}

    def want(self, instance: InstanceId, now: float, *, anew: bool = False) -> None:
        """It is to be run, by anybody. Nothing is to be told of what was told not long ago, unless it is `anew`.

        Nor is it kept for later: the proxy may have ceased to list it by then.
        """
        self._unwanted.pop(instance, None)
        if anew or now - self._told_at.get(instance, float("-inf")) >= TOLD_AGAIN:
            self._wanted[instance] = None

    def unwant(self, instance: InstanceId) -> None:
        """It is to be run by nobody."""
        self._wanted.pop(instance, None)
        self._told_at.pop(instance, None)
        self._unwanted[instance] = None

    def prove(self, instance: InstanceId) -> None:
        """Its session got through to WhatsApp."""
        self._proven[instance] = None

    def corrected(self, view: View) -> View:
        """Leaves out of the unwanted those that are wanted again, of which the database has yet to hear."""
        return attrs.evolve(view, unwanted=tuple(each for each in view.unwanted if each not in self._wanted))

    @property
    def due(self) -> bool:
        return bool(self._wanted or self._unwanted or self._proven)

    def take(self, now: float) -> Notice:
        """Returns all of it, to be told; if that fails, it is to be taken back."""
        taken = Notice(tuple(sorted(self._wanted)), tuple(sorted(self._unwanted)), tuple(sorted(self._proven)))
        for waiting in (self._wanted, self._unwanted, self._proven):
            waiting.clear()
        self._told_at.update(dict.fromkeys(taken.wanted, now))
        return taken

    def take_back(self, taken: Notice) -> None:
        """Has it wait again, but for what is said otherwise since."""
        for instance in taken.wanted:
            if self._told_at.pop(instance, None) is not None and instance not in self._unwanted:
                self._wanted[instance] = None
        for instance in taken.unwanted:
            if instance not in self._wanted:
                self._unwanted[instance] = None
        self._proven.update(dict.fromkeys(taken.proven))
