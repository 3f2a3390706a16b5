"""Which instances run: what the proxy lists, what the volume holds, and what to let go of.

`plan()` is pure. `Discovery` acts on the plan through a `Fleet`; it owns no instance, and polling.py asks the proxy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import attrs
import structlog

from wa_worker.edge.wire import InstanceRows, Rows
from wa_worker.models import InstanceId, ProxyStatus

log = structlog.get_logger(__name__)

UNLISTED_POLLS = 2
"""Polls in a row that do not list an instance which they should, before it is let go of. A poll that began or ended
while its status was on its way does not count, and does not end the row."""


@attrs.frozen
class Running:
    """Says what discovery needs to know of an instance that runs.

    announced: the proxy has acknowledged its current status, so that a poll begun since must list it unless it is
    CONNECTED or gone; or it says that it does not know the instance. changes: how often it has become another one.
    status: what the proxy is told of it.
    """

    connected: bool
    announced: bool
    changes: int = 0
    status: ProxyStatus = ProxyStatus.DISCONNECTED

    def throughout(self, later: Running | None) -> Running:
        """What was true of it from this moment to a later one: a line that broke in between may have been reported
        after the proxy looked."""
        if later is None:
            return self
        steady = self.announced and later.announced and self.changes == later.changes
        return Running(self.connected or later.connected, steady, later.changes, later.status)


@attrs.frozen
class Plan:
    start: frozenset[InstanceId]
    """Listed and not running."""
    release: frozenset[InstanceId]
    """Unlisted for long enough although it is not connected: the proxy does not want it any more."""
    announce_again: frozenset[InstanceId]
    """Listed, though connected here: the proxy lost the status."""
    confirm: frozenset[InstanceId]
    """Unlisted for the first time: something else than the proxy may have taken the status. It is posted once more."""
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
    confirm = frozenset(instance for instance, polls in missing.items() if polls == 1)
    for instance, polls in unlisted.items():  # whose status is on its way: this poll says nothing of it
        if instance in running and instance not in wanted and not running[instance].connected:
            missing.setdefault(instance, polls)
    return Plan(
        start=wanted - running.keys(),
        release=release,
        announce_again=frozenset(i for i in wanted & running.keys() if running[i].connected),
        confirm=confirm,
        unlisted={instance: polls for instance, polls in missing.items() if instance not in release},
    )


class Fleet(Protocol):
    """Stands for the instances, as discovery sees them. All sync but one: they start, cancel or ring."""

    on_end: list[Callable[[], None]]
    on_connected: list[Callable[[InstanceId], None]]

    def running(self) -> Mapping[InstanceId, Running]: ...
    def start(self, instance: InstanceId) -> None: ...
    def release(self, instance: InstanceId) -> None: ...
    def announce_again(self, instance: InstanceId) -> None: ...
    def proxy_is_back(self, last_seen: float) -> None: ...
    def pair_by_code(self, rows: InstanceRows) -> None: ...
    @property
    def kept_off(self) -> frozenset[InstanceId]: ...
    async def go_out_by(self, rows: InstanceRows) -> None: ...


class Discovery:
    """Acts on what the proxy lists. Trio thread only."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._unlisted: Mapping[InstanceId, int] = {}
        self.refused: frozenset[str] = frozenset()
        """What the proxy lists last as ids of instances, and cannot be ones, or a person has let go of."""
        self.elsewhere: frozenset[InstanceId] = frozenset()
        """What the proxy lists last, and does not run here though the fleet was told to start it: another worker has
        it, or it will run here later."""

    def listed(self, rows: Rows[InstanceId], running: Mapping[InstanceId, Running]) -> bool:
        """Takes a list of instances. `running`: what ran when it was asked for. True if there was any to start
        that is not known to run elsewhere."""
        kept_off = self._fleet.kept_off
        self.refused = frozenset(bad.id for bad in rows.bad if isinstance(bad.id, str)) | kept_off.intersection(
            rows.good
        )
        for bad in rows.bad:
            log.warning("a listed instance is refused", reason=bad.reason)
        now = self._fleet.running()
        throughout = {instance: state.throughout(now.get(instance)) for instance, state in running.items()}
        decided = plan(frozenset(rows.good) - kept_off, throughout, self._unlisted)
        self._unlisted = decided.unlisted
        for instance in sorted(decided.release):
            log.info("instance released: the proxy no longer lists it", instance=instance)
            self._fleet.release(instance)
        for instance in sorted(decided.confirm):
            self._fleet.announce_again(instance)
        for instance in sorted(decided.announce_again):
            log.info("the proxy lists a connected instance, announcing it again", instance=instance)
            self._fleet.announce_again(instance)
        for instance in sorted(decided.start):
            self._fleet.start(instance)
        new = decided.start - self.elsewhere
        self.elsewhere = decided.start - self._fleet.running().keys()
        return bool(new)
