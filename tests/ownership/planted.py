"""Faults that are planted in an owner or a database, for the simulator to find."""

from __future__ import annotations

import random

import attrs

from tests.ownership.database_model import DatabaseModel
from tests.ownership.schedules import first_violation
from tests.ownership.world import World
from wa_worker.models import InstanceId
from wa_worker.ownership.lease import SAFE, Because, Claimed, Lease, View
from wa_worker.ownership.owner import Owner


class FromTheEnd(Owner):
    """Counts the deadline from the answer to a renewal."""

    def renewed(self, started: float, now: float, *, alive: bool) -> None:
        super().renewed(started, now, alive=alive)
        self.lease.renew(now)


@attrs.define
class LongLease(Lease):
    """Believes in its lease a tenth longer."""

    def renew(self, started: float) -> None:
        super().renew(started + SAFE / 10)


class TooLong(Owner):
    def __init__(self, capacity: int, rng: random.Random) -> None:
        super().__init__(capacity, rng)
        self.lease = LongLease()


class Trusting(Owner):
    """Never asks what is its own."""

    def looked(self, now: float, view: View) -> list[tuple[InstanceId, Because]]:
        leaving = super().looked(now, view)
        self._list = False
        return leaving


@attrs.define
class KeepsTheDead(DatabaseModel):
    """Lets the instances of a dead worker be claimed, and leaves its row there."""

    def reap(self, now: float) -> None:
        rows = dict(self.workers)
        super().reap(now)
        for worker in rows.keys() - self.workers.keys():
            self.workers[worker] = attrs.evolve(rows[worker], mine=set())


@attrs.define
class ForgetsTokens(DatabaseModel):
    """Takes the word of whoever owned an instance once."""

    def give_away(self, worker: int, instances: tuple[Claimed, ...]) -> None:
        super().give_away(
            worker, tuple(Claimed(each.instance, self.instances[each.instance].token) for each in instances)
        )


@attrs.define
class SameToken(DatabaseModel):
    def claim(self, now: float, worker: int, count: int) -> list[Claimed]:
        got = super().claim(now, worker, count)
        for each in got:
            self.instances[each.instance].token = 1
        return [Claimed(each.instance, 1) for each in got]


def a_world(database: type[DatabaseModel]) -> type[World]:
    class Planted(World):
        def __init__(self, rng, **kwargs):  # type: ignore[no-untyped-def]
            super().__init__(rng, database=database(rate=rng.choice((0.8, 1.2))), **kwargs)

    return Planted


PLANTED: dict[str, tuple[type[Owner], type[World], int]] = {
    "from the end": (FromTheEnd, World, 80),
    "too long": (TooLong, World, 0),
    "trusting": (Trusting, World, 50),
    "keeps the dead": (Owner, a_world(KeepsTheDead), 50),
    "forgets tokens": (Owner, a_world(ForgetsTokens), 3000),
    "same token": (Owner, a_world(SameToken), 0),
}
"""By name: who decides, what it lives in, and the first seed. That is near one that finds it, which spares seconds; it
would be found from any other, within 10 000."""


def found_by(name: str, first: int | None = None) -> int | None:
    """Returns the seed of a schedule that finds the planted fault."""
    make_owner, kind, near = PLANTED[name]
    first = near if first is None else first
    return first_violation(range(first, first + 10_000), make_owner, kind)
