"""The steps that a worker takes about its lease and its instances: owner.py says which, keeper.py takes them."""

from __future__ import annotations

import attrs

from wa_worker.models import InstanceId
from wa_worker.ownership.lease import Because, Claimed


@attrs.frozen
class Renew:
    """Extend the lease, and tell peers these."""

    capacity: int
    through: bool
    draining: bool


@attrs.frozen
class Look:
    """Read a View."""


@attrs.frozen
class Reap:
    """Delete the rows of workers whose lease has run out."""


@attrs.frozen
class Claim:
    """Take so many instances that nobody owns."""

    count: int


@attrs.frozen
class GiveAway:
    """Say that these are nobody's: their sessions have ended here."""

    instances: tuple[Claimed, ...]


@attrs.frozen
class ListMine:
    """Read which instances are ours, and their tokens."""


@attrs.frozen
class Wait:
    """Nothing is to be done until then, unless something happens."""

    until: float


Step = Renew | Look | Reap | Claim | GiveAway | ListMine | Wait
Leaving = tuple[InstanceId, Because]
