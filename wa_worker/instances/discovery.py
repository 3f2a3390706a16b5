"""Which instances run: what the proxy lists, what the volume holds, and what to let go of.

`plan()` is pure. `run_discovery()` polls the proxy and acts on the plan through a `Fleet`; it owns no instance.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

import attrs
import structlog
import trio

from wa_worker.backoff import PROXY_OUTAGE, jittered
from wa_worker.edge.client import EdgeClient
from wa_worker.errors import EdgeError
from wa_worker.models import InstanceId

log = structlog.get_logger(__name__)

UNLISTED_POLLS = 2
"""Polls in a row that do not list an instance which they should, before it is let go of."""


@attrs.frozen
class Running:
    """Says what discovery needs to know of an instance that runs. `announced`: the proxy has acknowledged its current
    status, so that a poll begun since must list it unless it is CONNECTED or gone. `changes`: of its status so far."""

    connected: bool
    announced: bool
    changes: int = 0

    def throughout(self, later: Running | None) -> Running:
        """What was true of it from this moment to a later one: a line that broke in between may have been reported
        after the proxy looked."""
        if later is None:
            return self
        steady = self.announced and later.announced and self.changes == later.changes
        return Running(self.connected or later.connected, steady, later.changes)


@attrs.frozen
class Plan:
    start: frozenset[InstanceId]
    """Listed and not running."""
    release: frozenset[InstanceId]
    """Unlisted for long enough although it is not connected: the proxy does not want it any more."""
    announce_again: frozenset[InstanceId]
    """Listed, though connected here: the proxy lost the status."""
    unlisted: Mapping[InstanceId, int]
    """Polls in a row, to be handed to the next plan."""


def plan(
    listed: Iterable[InstanceId], running: Mapping[InstanceId, Running], unlisted: Mapping[InstanceId, int]
) -> Plan:
    """Says what a successful poll means. `running` is what was so from its beginning to its end."""
    wanted = frozenset(listed)
    missing = {
        instance: unlisted.get(instance, 0) + 1
        for instance, now in running.items()
        if instance not in wanted and not now.connected and now.announced
    }
    release = frozenset(instance for instance, polls in missing.items() if polls >= UNLISTED_POLLS)
    return Plan(
        start=wanted - running.keys(),
        release=release,
        announce_again=frozenset(i for i in wanted & running.keys() if running[i].connected),
        unlisted={instance: polls for instance, polls in missing.items() if instance not in release},
    )


class Fleet(Protocol):
    """Stands for the instances, as discovery sees them. All sync: they start, cancel or ring."""

    def running(self) -> Mapping[InstanceId, Running]: ...
    def start(self, instance: InstanceId) -> None: ...
    def release(self, instance: InstanceId) -> None: ...
    def announce_again(self, instance: InstanceId) -> None: ...
    def proxy_is_back(self, last_seen: float) -> None: ...


async def run_discovery(edge: EdgeClient, fleet: Fleet, interval: float) -> None:
    """Polls every `interval` seconds until cancelled. A failed poll changes nothing."""
    unlisted: Mapping[InstanceId, int] = {}
    pauses: Iterator[float] | None = None
    last_answer = trio.current_time()
    while True:
        running = fleet.running()
        try:
            rows = await edge.disconnected_instances()
        except EdgeError as error:
            log.warning("instances not listed", endpoint=error.endpoint, reason=error.detail)
            pauses = pauses or PROXY_OUTAGE.delays(trio.current_time)
            await trio.sleep(max(error.retry_after or 0.0, min(next(pauses), interval)))
            continue
        if pauses is not None:
            pauses = None
            fleet.proxy_is_back(last_answer)
        last_answer = trio.current_time()
        for bad in rows.bad:
            log.warning("a listed instance is refused", reason=bad.reason)
        now = fleet.running()
        decided = plan(rows.good, {each: state.throughout(now.get(each)) for each, state in running.items()}, unlisted)
        unlisted = decided.unlisted
        for instance in sorted(decided.release):
            log.info("instance released: the proxy no longer lists it", instance=instance)
            fleet.release(instance)
        for instance in sorted(decided.announce_again):
            fleet.announce_again(instance)
        for instance in sorted(decided.start):
            fleet.start(instance)
        await trio.sleep(jittered(interval, 0.1))
