"""What a worker has that shares its instances with others: a lease, a gate for its sessions, and what ends it in time.

The keeper says which instances are ours; they are started here, once what their last owner left is taken up. Nothing of
a session goes on the wire after the lease: the gate cuts at its end, and the watchdog ends the process soon after.
"""

from __future__ import annotations

import math
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, closing
from uuid import UUID

import attrs
import structlog
import trio

from wa_worker.config import Settings
from wa_worker.errors import JournalError, LeaseLost, StartupError, StateError, UnfitState
from wa_worker.instances.fleet import InstanceFleet
from wa_worker.instances.registry import Registry
from wa_worker.journal import Journal, LetGo, open_state_journal
from wa_worker.metrics import Metrics
from wa_worker.models import InstanceId
from wa_worker.ownership.claims import Claims
from wa_worker.ownership.keeper import Keeper
from wa_worker.ownership.lease import SAFE, TTL, Because
from wa_worker.ownership.lease_metrics import LeaseMetrics
from wa_worker.ownership.watchdog import Watchdog
from wa_worker.postgres.connecting import connect, state_errors
from wa_worker.postgres.migrations import upgrade
from wa_worker.postgres.pooler import refuse_pooler
from wa_worker.postgres.url import StateUrl
from wa_worker.states import PROVEN, State
from wa_worker.whatsapp.egress_rows import EgressRows
from wa_worker.whatsapp.schema_store import SchemaStores
from wa_worker.whatsapp.socket_gate import SocketGate
from wa_worker.whatsapp.spool import Spool

log = structlog.get_logger(__name__)

LAST_MOMENT = (TTL - SAFE) / 2
"""Seconds from the lease's end, at which the gate cuts everything, to that of the process: for the sessions to close in
order, and for what they have received to be committed. Peers may take the instances as long again after that."""

TRIES = 2.0
"""Seconds between tries to reach PostgreSQL at the start."""

Prepare = Callable[[InstanceId], Awaitable[bool]]

_TRIED = frozenset({State.OPENING, State.CONNECTED, State.RECONNECTING, State.RETRYING})
"""The states of instances that should get through to WhatsApp."""


class OwnedInstances:
    """Implements keeper.Sessions: starts what becomes ours, as soon as there is a fleet. Trio thread only."""

    def __init__(self, stores: SchemaStores, registry: Registry, cut: Callable[[InstanceId], object]) -> None:
        """`cut`: ends the connections of an instance, should the library hold on to one."""
        self._stores = stores
        self._cut = cut
        self._registry = registry
        self._fleet: InstanceFleet | None = None
        self._prepare: Prepare | None = None
        self._let_go: LetGo | None = None
        self._rings: Sequence[Callable[[], None]] = ()
        self._early: set[InstanceId] = set()
        """Those that became ours before there was a fleet."""

    def attach(
        self, fleet: InstanceFleet, prepare: Prepare, let_go: LetGo, rings: Sequence[Callable[[], None]] = ()
    ) -> None:
        """Starts what is ours by now, and what will be. `prepare` takes up what the last owner left. `rings`: tell
        those who deliver from the journal to look."""
        self._fleet, self._prepare, self._let_go, self._rings = fleet, prepare, let_go, rings
        for instance in sorted(self._early):
            self._start(instance)
        self._early.clear()

    def gained(self, instance: InstanceId, schema: str, application_name: str) -> None:
        self._stores.gained(instance, schema, application_name)
        if self._fleet is None:
            self._early.add(instance)
        else:
            self._start(instance)

    async def give_up(self, instance: InstanceId, because: Because) -> None:
        self._early.discard(instance)
        if self._fleet is not None:
            if because is Because.UNWANTED and await self._is_let_go(instance):
                self._fleet.let_go_elsewhere(instance)
            await self._fleet.give_up(instance, goes_on=because is not Because.UNWANTED)
        self._cut(instance)
        self._stores.lost(instance)

    async def _is_let_go(self, instance: InstanceId) -> bool:
        """Says whether a person has let go of it, as at the admin page of a peer. If that cannot be read: nobody has;
        it ends all the same, and the proxy hears of it at the next start of a worker."""
        assert self._let_go is not None
        try:
            return instance in await trio.to_thread.run_sync(self._let_go.all)
        except JournalError as error:
            log.warning("whether a person let go of an instance cannot be read", instance=instance, reason=str(error))
            return False

    def rows_came(self) -> None:
        for ring in self._rings:
            ring()

    def last_used(self, instance: InstanceId) -> float:
        snapshot = self._registry.all().get(instance)
        if snapshot is not None and snapshot.state is State.PAIRING:
            return math.inf  # somebody may be scanning its code
        activity = self._registry.activity(instance)
        return max(activity.last_in or 0.0, activity.last_out or 0.0)

    def connections(self) -> tuple[int, int]:
        states = [snapshot.state for snapshot in self._registry.all().values()]
        return sum(state in _TRIED for state in states), states.count(State.CONNECTED)

    def _start(self, instance: InstanceId) -> None:
        fleet, prepare = self._fleet, self._prepare
        assert fleet is not None
        assert prepare is not None
        fleet.gained(instance, lambda: prepare(instance))


@attrs.frozen
class Shared:
    """Holds these parts. One per process."""

    url: StateUrl
    keeper: Keeper
    instances: OwnedInstances
    stores: SchemaStores
    egress: EgressRows
    gate: SocketGate
    watchdog: Watchdog

    def open_journal(self) -> AbstractContextManager[Journal]:
        """Returns the journal of all, as this worker may see and change it."""
        return open_state_journal(self.url, UUID(self.keeper.worker_id))

    async def drain(self, seconds: float) -> None:
        """Hands all instances to peers; those that none has taken in so many seconds are free for whoever comes."""
        await self.keeper.drain(seconds)
        self.watchdog.stand_down()  # every session is closed


@asynccontextmanager
async def open_shared(
    settings: Settings, url: StateUrl, registry: Registry, metrics: Metrics, environ: Mapping[str, str], spool: Spool
) -> AsyncIterator[Shared]:
    """Waits until PostgreSQL has taken this worker in, and keeps its lease in the block; at its end what is left is
    free. Raises LeaseLost, in a group, as soon as the lease is over; StartupError as _until_there() does."""
    await _until_there(url)
    stores = SchemaStores(url)
    gate = SocketGate(lambda: keeper.deadline(), environ)  # noqa: PLW0108 - there is no keeper yet
    instances = OwnedInstances(stores, registry, gate.cut)
    counts = LeaseMetrics(metrics.registry)
    keeper = Keeper(Claims(url, socket.gethostname()), instances, counts, capacity=settings.worker_capacity)
    counts.watch(keeper.owned, keeper.seconds_left, keeper.unowned, spool.count)
    watchdog = Watchdog(lambda: keeper.deadline() + LAST_MOMENT, gate.cut_all, spool.keep_in_hand)
    with closing(stores):
        try:
            async with trio.open_nursery() as nursery:
                await nursery.start(_keep_lease, keeper, spool)
                await nursery.start(gate.run)
                registry.on_connected.append(lambda instance: nursery.start_soon(_prove, registry, keeper, instance))
                watchdog.start()
                try:
                    yield Shared(url, keeper, instances, stores, EgressRows(url), gate, watchdog)
                finally:
                    watchdog.stand_down()  # every session has closed
                    nursery.cancel_scope.cancel()
        finally:  # the gate has cut what the library may have held on to
            if keeper.seconds_left() > 0:
                await keeper.leave()


async def _keep_lease(
    keeper: Keeper, spool: Spool, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Keeps the lease. When that is lost, what is on its way to the journal is kept on the volume first."""
    try:
        await keeper.run(task_status=task_status)
    except LeaseLost:
        with trio.move_on_after(LAST_MOMENT / 2, shield=True):
            # on a thread of its own: the others may all wait for PostgreSQL
            alone = trio.CapacityLimiter(1)
            await trio.to_thread.run_sync(spool.keep_in_hand, abandon_on_cancel=True, limiter=alone)
        raise


async def _prove(registry: Registry, keeper: Keeper, instance: InstanceId) -> None:
    """Tells the peers that an instance works here, once its session has been through for long enough. One that ends
    the worker soon after each login would go through all of them."""
    was = registry.all().get(instance)
    await trio.sleep(PROVEN)
    now = registry.all().get(instance)
    if was is not None and now is not None and (was.state, was.since) == (now.state, now.since):
        keeper.proven(instance)


async def _until_there(url: StateUrl) -> None:
    """Waits until PostgreSQL answers, and makes or upgrades the tables: a worker that starts while it is away is there
    when it is back. Where it answers that a password is wrong, that is said, and tried again as well.
    Raises StartupError where what answers is nothing that a worker can work with: a pooler in transaction mode, say."""
    said: str | None = None
    while True:
        try:
            await trio.to_thread.run_sync(_make_tables, url, abandon_on_cancel=True)
        except UnfitState as error:
            raise StartupError(str(error)) from error
        except StateError as error:
            if str(error) != said:
                log.error("PostgreSQL does not take this worker in: waiting for it", reason=str(error))
            said = str(error)
            await trio.sleep(TRIES)
        else:
            return


def _make_tables(url: StateUrl) -> None:
    with state_errors(url), closing(connect(url, "start")) as sql:
        refuse_pooler(url, sql)
        upgrade(sql)
