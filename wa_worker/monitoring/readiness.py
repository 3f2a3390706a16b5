"""How the worker is, for `GET /ready` and `GET /metrics`: what phase it is in, and what can be read off its parts.

Owns no state but the phase. Ready means: it does its work now. It is no reason to restart it (that is `/health`):
a proxy that is down makes it unready, and a restart would not help.
"""

from __future__ import annotations

import enum
import threading
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import attrs
import trio

from wa_worker.delivery.held_back import held_by_reason
from wa_worker.edge.client import EdgeClient
from wa_worker.edge.evidence import LIST, QUEUE
from wa_worker.errors import JournalError
from wa_worker.instances.polling import WAIT
from wa_worker.instances.registry import Registry
from wa_worker.journal import Backlog, InstanceBacklog, Journal, Together
from wa_worker.metrics import Snapshot
from wa_worker.models import InstanceId
from wa_worker.volume import VolumeGuard

POLLS_MISSED = 5
"""Intervals without an answer to the poll for instances: one or two are a redeploy of the proxy."""

LEAST_SILENCE = 10.0
"""Seconds without an answer that are always allowed, however short the interval."""

TOO_OLD = 300.0
"""Seconds that a message may wait for the proxy: its outages are shorter, or somebody should know."""


class Phase(enum.Enum):
    """Where the start is; each member's value is the reason for not being ready."""

    WAITING = "waiting for the lock on the volume"
    JOINING = "waiting for PostgreSQL to take this worker in"
    LOADING = "the journal and the WhatsApp library are loading"
    WORKING = ""
    STOPPING = "stopping"


@attrs.frozen
class Facts:
    """Holds what readiness is decided on. `silence`: seconds since the last answer to the poll for instances, or since
    the work began; `answered`: whether there has been any; `held`: seconds for which the proxy may hold one."""

    phase: Phase
    answered: bool
    silence: float
    poll_interval: float
    held: float
    backlog: Backlog | None
    trouble: str | None
    """Why the journal cannot be read or written."""
    full: bool
    """Whether the volume is, so that no session opens."""


def reasons_not_ready(facts: Facts) -> list[str]:
    """Says why the worker is not ready; empty if it is. Pure."""
    if facts.phase is not Phase.WORKING:
        return [facts.phase.value]
    found: list[str] = []
    if facts.silence > max(POLLS_MISSED * facts.poll_interval, LEAST_SILENCE) + facts.held:
        found.append(f"the proxy has not answered a poll for {facts.silence:.0f} s")
    elif not facts.answered:
        found.append("the proxy has not answered a poll yet")
    if facts.full:
        found.append("the volume is full")
    if facts.trouble is not None:
        found.append(f"the journal does not work: {facts.trouble}")
    if facts.backlog is not None:
        for queue, what in (
            (facts.backlog.to_deliver, "received messages wait for /inbound"),
            (facts.backlog.to_tell, "outcomes wait for /mark-sent or /mark-failed"),
        ):
            if queue.age > TOO_OLD:
                found.append(f"{queue.size} {what}, the oldest for {queue.age:.0f} s")
    return found


class Readiness:
    """Knows whether the worker is ready. One per process. Trio thread only."""

    def __init__(self, registry: Registry, poll_interval: float) -> None:
        self._registry = registry
        self._poll_interval = poll_interval
        self._phase = Phase.WAITING
        self._working_since = 0.0
        self._journal: Journal | None = None
        self._edge: EdgeClient | None = None
        self._volume: VolumeGuard | None = None
        self.uploads_hanging = 0
        """Uploads to WhatsApp's media host that were given up and have not ended: while there are many, none goes."""
        self.other_shards = 0
        """Sessions on the volume that belong to other workers, and are not started."""

    def joining(self) -> None:
        """The volume is ours, and the state is elsewhere."""
        self._phase = Phase.JOINING

    def loading(self) -> None:
        """The volume is ours, and PostgreSQL has taken the worker in if it shares its instances."""
        self._phase = Phase.LOADING

    def working(self, journal: Journal, edge: EdgeClient, volume: VolumeGuard) -> None:
        """The start is over."""
        self._phase, self._journal, self._edge, self._volume = Phase.WORKING, journal, edge, volume
        self._working_since = trio.current_time()

    def stopping(self) -> None:
        self._phase = Phase.STOPPING

    @property
    def at_work(self) -> bool:
        """Says whether the start is over and the stop has not begun."""
        return self._phase is Phase.WORKING

    async def reasons_not_ready(self) -> list[str]:
        """Says why the worker is not ready; empty if it is."""
        return reasons_not_ready(self._facts(*await trio.to_thread.run_sync(self._read_journal)))

    def notes(self) -> list[str]:
        """Says what a person should know though it makes nothing unready."""
        many = self.other_shards
        if not many:
            return []
        what = "1 session on the volume is" if many == 1 else f"{many} sessions on the volume are"
        return [f"{what} of other shards, and not started: see docs/scaling.md"]

    async def snapshot(self) -> Snapshot:
        """Says what a scrape needs of the worker's state."""
        paced = self._registry.paced()
        (backlog, trouble), held = await trio.to_thread.run_sync(
            lambda: (self._read_journal(), held_by_reason(paced, time.time()))
        )
        now = trio.current_time()
        return Snapshot(
            states=Counter(snapshot.state for snapshot in self._registry.all().values()),
            backlog=backlog,
            journal_works=trouble is None and self._journal is not None,
            ready=not reasons_not_ready(self._facts(backlog, trouble)),
            poll_ages={name: now - at for name in self._polls() if (at := self._polled(name)) is not None},
            threads=_threads(),
            attention=self._registry.attention(),
            paced=held,
            other_shards=self.other_shards,
        )

    async def backlogs(self) -> Mapping[InstanceId, InstanceBacklog]:
        """Says how much waits for each instance; nothing while the journal is not open or cannot be read."""
        if self._journal is None:
            return {}
        try:
            return await trio.to_thread.run_sync(self._journal.backlogs)
        except JournalError:
            return {}  # `/ready` says why

    async def together(self) -> Together | None:
        """Says what other workers have; None: this one shares with none, or that cannot be read now."""
        if self._journal is None:
            return None
        try:
            return await trio.to_thread.run_sync(self._journal.together)
        except JournalError:
            return None  # `/ready` says why

    def _facts(self, backlog: Backlog | None, trouble: str | None) -> Facts:
        polled = self._polled(LIST)
        since = self._working_since if polled is None else polled
        return Facts(
            self._phase,
            answered=polled is not None,
            silence=trio.current_time() - since,
            poll_interval=self._poll_interval,
            held=WAIT if self._edge is not None and self._edge.version.two else 0.0,
            backlog=backlog,
            trouble=trouble,
            full=self._volume is not None and self._volume.full,
        )

    def _polls(self) -> tuple[str, ...]:
        """Names the polls that are made in the version of the contract that the proxy speaks."""
        return (LIST,) if self._edge is not None and self._edge.version.two else (LIST, QUEUE)

    def _polled(self, endpoint: str) -> float | None:
        """Returns when a poll was last answered as the contract says (`trio.current_time()`), None if it never was."""
        return self._edge.evidence.latest(endpoint) if self._edge else None

    def _read_journal(self) -> tuple[Backlog | None, str | None]:
        """On a thread."""
        if self._journal is None or self._phase is not Phase.WORKING:
            return None, None
        try:
            return self._journal.backlog(), self._journal.trouble()
        except JournalError as error:
            return None, str(error)


def _threads() -> int:
    try:
        return len(list(Path("/proc/self/task").iterdir()))  # Go's are not known to Python
    except OSError:
        return threading.active_count()
