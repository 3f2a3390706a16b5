"""The rules of ownership when several workers share one state database: pure, without a clock and without I/O.

A worker has one lease, for all its instances: its row in `wa.workers`. It renews the row, and believes in it for a
shorter time than the database does, so that it has stopped by itself when a peer may take its instances.

| constant | value | source |
|---|---|---|
| TTL | 15 s | after it, by the database's clock, peers may delete the row and take the instances |
| SAFE | 10 s | after the START of the last good renewal, by CLOCK_BOOTTIME, the worker has stopped: clocks may differ in rate by TTL / SAFE = 1.5 |
| RENEW | 3 s | so a renewal has three more chances within SAFE |
| RETRY | 1 s | after a renewal that failed |
| STATEMENT | 2 s | statement_timeout: a renewal that takes longer has failed |
| CLAIM | 2 s | between looks for instances without an owner, a quarter more or less at random |
| WOKEN | 50 ms | the longest time until a worker looks that was told to, at random: not all at the same moment |
| BATCH | 10 | instances of one claim: with CLAIM, 5 logins a second and worker |
| SLACK | 10 % | how far a worker's number may be from its fair share |
| HAND_OVER | 5 s | between two instances handed over to a peer that has fewer |
| LONGEST_HAND_OVER | 600 s | the same, when they come back because no peer takes them |
| PATIENCE | 10 s | after it a worker takes more than its share: those who should do not |
| DRAIN_BATCH | 10 | instances that a stopping worker gives away at once; more when peers have taken these |
| CUT_OFF | 60 s | without one session through to WhatsApp, while a peer has one: its instances go to peers |
| LONGEST_TRIAL | 1800 s | between two tries of a worker that was cut off, at the most |
| MOST_CLAIMS | 5 | claims of an instance that never got through, each within CLAIMS_WINDOW of the last: no more |
| CLAIMS_WINDOW | 600 s | and so long it is held then |
"""  # noqa: E501 - rows of a table

from __future__ import annotations

import enum
from collections.abc import Sequence

import attrs

from wa_worker.models import InstanceId

TTL = 15.0
SAFE = 10.0
RENEW = 3.0
RETRY = 1.0
STATEMENT = 2.0
CLAIM = 2.0
WOKEN = 0.05
BATCH = 10
SLACK = 0.1
HAND_OVER = 5.0
LONGEST_HAND_OVER = 600.0
PATIENCE = 10.0
DRAIN_BATCH = 10
CUT_OFF = 60.0
LONGEST_TRIAL = 1800.0
MOST_CLAIMS = 5
CLAIMS_WINDOW = 600.0

UNLIMITED = 1_000_000
"""The capacity of a worker whose setting is 0."""


class Because(enum.Enum):
    """Why a worker lets an instance go."""

    UNWANTED = "unwanted"
    """The proxy does not list it any more: nobody will take it."""
    HANDED_OVER = "handed_over"
    DRAINING = "draining"
    CUT_OFF = "cut_off"
    TAKEN = "taken"
    """The database says that it is not ours. Nobody but a person who changed the rows brings this about."""


class Came(enum.Enum):
    """Says what an instance was before a worker took it."""

    NEW = "new"
    """Nobody had ever run it."""
    FREE = "free"
    """Its worker had given it away."""
    DEAD = "dead"
    """The lease of its worker had run out."""


@attrs.frozen
class Peer:
    """Describes another worker whose lease has not run out."""

    capacity: int
    owned: int
    through: bool
    """Whether a session of it is through to WhatsApp: the column `healthy`."""
    draining: bool

    @property
    def has_room(self) -> bool:
        return not self.draining and self.owned < self.capacity


@attrs.frozen
class View:
    """Says what the database held at one look."""

    wanted: int
    """Instances that are to be run, by anybody."""
    claimable: int
    """Of those, the ones that nobody owns and whose pause is over."""
    expired: int
    """Workers whose lease has run out and whose rows are still there."""
    mine: int
    tokens: int
    """The sum of the tokens of mine: with their number it tells a worker that it has missed something."""
    unwanted: tuple[InstanceId, ...]
    """Those of mine that are to be run no more."""
    peers: tuple[Peer, ...]


@attrs.frozen
class Claimed:
    """An instance, the token under which it is ours, and its number."""

    instance: InstanceId
    token: int
    n: int = attrs.field(default=0, eq=False)
    came: Came = attrs.field(default=Came.FREE, eq=False)

    @property
    def schema(self) -> str:
        """Where the keys of its session are. The token is in the name: a former owner finds no table."""
        return f"wa_{self.n}_{self.token}"

    @property
    def application_name(self) -> str:
        """What the server's list of connections says of its session's."""
        return f"wa/{self.n}/{self.token}"


@attrs.define
class Lease:
    """Knows until when this worker may act. Seconds of CLOCK_BOOTTIME, which goes on while the host sleeps."""

    deadline: float = float("-inf")

    def renew(self, started: float) -> None:
        """Counts from when the renewal was SENT: the database's own time begins no earlier."""
        self.deadline = max(self.deadline, started + SAFE)

    def holds(self, now: float) -> bool:
        return now < self.deadline


@attrs.frozen
class Verdict:
    """Says whether an instance may be claimed, and what its row says afterwards."""

    claim: bool
    claims: int
    pause: float
    """Seconds from now, before which nobody else may claim it unless it is given away or gets through."""


def judge(claims: int, since: float | None) -> Verdict:
    """Decides about an instance that was claimed so often without getting through, the last time `since` seconds ago.

    One that ends its worker each time would otherwise go through all workers. It is held after MOST_CLAIMS, then
    tried once in CLAIMS_WINDOW: it is not given up for good.
    """
    if claims > MOST_CLAIMS:  # it was held, and that is over: one try
        return Verdict(True, MOST_CLAIMS, _pause(MOST_CLAIMS))
    if since is None or since >= CLAIMS_WINDOW:
        return Verdict(True, 1, _pause(1))
    if claims == MOST_CLAIMS:
        return Verdict(False, MOST_CLAIMS + 1, CLAIMS_WINDOW)
    return Verdict(True, claims + 1, _pause(claims + 1))


def _pause(claims: int) -> float:
    return float(2**claims)


def fair_share(wanted: int, capacities: Sequence[int]) -> int:
    """Returns the least number s for which workers that take s each, or what they can, take all that is wanted.

    That is ceil(wanted / workers) when none is full. When there is no room for all: as if nobody had a limit.
    """
    left, workers = wanted, len(capacities)
    if sum(capacities) < wanted:
        return -(-wanted // max(workers, 1))
    for capacity in sorted(capacities):
        share = -(-left // workers)
        if capacity >= share:
            return share
        left, workers = left - capacity, workers - 1
    return 0


def is_uneven(mine: int, peers: Sequence[Peer], share: int) -> bool:
    """Says whether a peer with room has so much less that one should go there."""
    lowest = min((peer.owned for peer in peers if peer.has_room), default=mine)
    return mine - lowest >= max(2, 2 * SLACK * share)


@attrs.define
class Health:
    """Knows whether this worker is cut off from WhatsApp while peers are not.

    A worker that was cut off gives everything away, and after a pause takes one instance, no more, until a session of
    it gets through. Nothing of this happens while no peer is better off.
    """

    through: bool = False
    cut_off: bool = False
    _on_trial: bool = False
    _none_since: float | None = None
    _trial_at: float = 0.0
    _pause: float = CUT_OFF

    def observe(self, now: float, tried: int, connected: int) -> None:
        """Takes the number of sessions that are to be connected, and of those that are."""
        self.through = connected > 0
        if self.through:
            self.cut_off, self._on_trial, self._none_since, self._pause = False, False, None, CUT_OFF
        elif tried == 0:
            self._none_since = None
        elif self._none_since is None:
            self._none_since = now

    def judge(self, now: float, mine: int, peers: Sequence[Peer]) -> None:
        better = any(peer.through for peer in peers)
        if not better:
            self.cut_off = self._on_trial = False
        elif self.cut_off and mine == 0 and now >= self._trial_at:
            self.cut_off, self._on_trial, self._none_since = False, True, None
        elif not self.cut_off and self._none_since is not None and now - self._none_since >= CUT_OFF:
            if self._on_trial:
                self._pause = min(self._pause * 2, LONGEST_TRIAL)
            self.cut_off, self._trial_at = True, now + self._pause

    def capacity(self, configured: int) -> int:
        return 0 if self.cut_off else min(1, configured) if self._on_trial else configured
