"""The instances that run: started, released and cancelled by discovery, each with its own scope (P4)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

import attrs
import structlog
import trio

from wa_worker.backoff import Backoff
from wa_worker.edge.wire import InstanceRows
from wa_worker.errors import EdgeError
from wa_worker.instances.discovery import Running
from wa_worker.instances.history import HANDED_OVER, LET_GO, TAKEN_UP, By
from wa_worker.instances.newcomers import Newcomers, Prepare
from wa_worker.instances.ownership import Ownership
from wa_worker.instances.services import Services
from wa_worker.instances.status import PARTINGS, StatusPublisher
from wa_worker.instances.supervisor import run_instance
from wa_worker.models import InstanceId, ProxyStatus, Reason, Status, in_shard
from wa_worker.states import State

log = structlog.get_logger(__name__)

LET_GO_RETRY = Backoff(first=10.0, ceiling=3600.0)
"""Between tries to tell the proxy that an instance which was let go of is not connected."""


@attrs.define(eq=False)
class _Member:
    publisher: StatusPublisher
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    released_by: By = By.PROXY
    starts_again: bool = False
    """A person took it up again before it had ended."""
    handed_over: bool = False
    """A peer goes on with it: the proxy hears nothing of the end here."""
    is_unwanted: bool = False
    """Nobody is to run it any more: the state database says so."""
    ended: trio.Event = attrs.field(factory=trio.Event)


class InstanceFleet:
    """Implements discovery.Fleet. Its tasks live in `nursery`. When they end and `stopping()` is true,
    the worker stops, and each instance takes leave of the proxy.

    ownership: which instances may run here; None: all.
    """

    def __init__(
        self,
        services: Services,
        nursery: trio.Nursery,
        *,
        stopping: Callable[[], bool],
        ownership: Ownership | None = None,
    ) -> None:
        self._services = services
        self._nursery = nursery
        self._stopping = stopping
        self._shard = services.settings.worker_shard
        self._ownership = ownership
        self._newcomers = Newcomers(nursery, services.metrics.crashed)
        self._members: dict[InstanceId, _Member] = {}
        self._let_go: dict[InstanceId, trio.CancelScope] = {}
        """Instances that were let go of, of which the proxy may still think that they are connected."""
        self._kept_off: set[InstanceId] = set()
        self.on_end: list[Callable[[], None]] = []
        """Called when an instance has ended."""
        self.on_connected = services.registry.on_connected

    def running(self) -> Mapping[InstanceId, Running]:
        """Shows what discovery needs to know of each instance."""
        states = self._services.registry.all()
        return {
            instance: Running(
                connected=instance in states and states[instance].state is State.CONNECTED,
                announced=member.publisher.settled or member.publisher.unknown,
                changes=member.publisher.changes,
                status=member.publisher.status,
            )
            for instance, member in self._members.items()
        }

    def start(self, instance: InstanceId) -> None:
        """Starts an instance, unless it runs, a person has let go of it, or it is of another shard. One that is not
        ours is asked for."""
        if instance in self._members or instance in self._newcomers or not in_shard(self._shard, [instance]):
            return
        if self._ownership is not None:
            # also of one that is ours, which may just have been unwanted; what a person keeps off, the database knows
            self._ownership.want(instance)
        if instance not in self._kept_off and (scope := self._let_go.pop(instance, None)):
            scope.cancel()
        if instance in self._kept_off or not self._is_ours(instance):
            return
        member = _Member(StatusPublisher(instance, self._services.edge, ask_others=self._ask_others))
        self._members[instance] = member
        self._nursery.start_soon(self._run, instance, member)

    def _is_ours(self, instance: InstanceId) -> bool:
        return self._ownership is None or self._ownership.owns(instance)

    def gained(self, instance: InstanceId, prepare: Prepare) -> None:
        """Starts an instance that has become ours, once `prepare()` has taken up what its last owner left."""
        known = instance in self._kept_off

        def prepared(kept_off: bool) -> None:
            if self._ownership is None or not self._ownership.owns(instance):
                return
            if kept_off:
                self._kept_off.add(instance)
            if kept_off or not in_shard(self._shard, [instance]):  # the number of shards was changed
                self._ownership.unwanted(instance)
                return
            if known:  # a person has taken it up at another worker
                self._kept_off.discard(instance)
            self.start(instance)

        self._newcomers.add(instance, prepare, prepared)

    async def give_up(self, instance: InstanceId, *, goes_on: bool) -> None:
        """Ends an instance that is not ours any more. Returns once its session is closed. Cancelled, it ends all the
        same. goes_on: a peer has it or will; otherwise nobody wants it, and the proxy hears that it has ended."""
        await self._newcomers.drop(instance)
        if member := self._members.get(instance):
            peers = self._ownership is not None and self._ownership.peers_go_on()
            member.handed_over = goes_on and peers and instance not in self._kept_off
            member.is_unwanted = not goes_on
            member.scope.cancel()
            await member.ended.wait()

    @property
    def alone(self) -> bool:
        """Says whether there are no other workers that share these instances."""
        return self._ownership is None

    @property
    def kept_off(self) -> frozenset[InstanceId]:
        """Names the instances that a person has let go of: they do not run, whatever the proxy lists."""
        return frozenset(self._kept_off)

    def still_let_go(self, instances: Iterable[InstanceId]) -> None:
        """Takes the instances that a person let go of before the start. The proxy is told, for the last run may not
        have come to it; of one that is another worker's now, that one speaks."""
        parting = Status(ProxyStatus.DISCONNECTED, why=PARTINGS[Reason.RELEASED], since=int(time.time()))
        for instance in in_shard(self._shard, instances):
            self._kept_off.add(instance)
            self._nursery.start_soon(self._tell_let_go, instance, parting)

    def let_go(self, instance: InstanceId, *, elsewhere: bool = False) -> None:
        """Ends an instance because a person wants it; its data stays. It does not start until it is taken up.

        elsewhere: another worker runs it, which ends it and says so.
        """
        self._kept_off.add(instance)
        if elsewhere:
            assert self._ownership is not None
            self._ownership.unwanted(instance)
        elif member := self._members.get(instance):
            member.released_by = By.PERSON
            member.scope.cancel()
        else:
            self._services.history.ended(instance, LET_GO, By.PERSON)
            if self._ownership is not None:
                self._ownership.unwanted(instance)

    def let_go_elsewhere(self, instance: InstanceId) -> None:
        """Ends one that runs here because a person let go of it at another worker."""
        if member := self._members.get(instance):
            self._kept_off.add(instance)
            member.released_by = By.PERSON
            member.scope.cancel()

    def take_up(self, instance: InstanceId) -> None:
        """Starts an instance that a person had let go of. If the proxy does not list it, it is released later."""
        self._kept_off.discard(instance)
        self._services.history.ended(instance, TAKEN_UP, By.PERSON)
        if member := self._members.get(instance):
            member.starts_again = member.scope.cancel_called
        if self._ownership is not None:
            self._ownership.want(instance, anew=True)
        self.start(instance)

    def qr_code(self, instance: InstanceId) -> str | None:
        """Returns the QR code that an instance shows now, as a PNG data URL."""
        member = self._members.get(instance)
        return member.publisher.qr_code if member is not None else None

    def release(self, instance: InstanceId) -> None:
        """Ends an instance that the proxy does not list any more; its data stays."""
        if member := self._members.get(instance):
            member.scope.cancel()

    def announce_again(self, instance: InstanceId) -> None:
        """Posts the status of an instance once more."""
        if member := self._members.get(instance):
            member.publisher.announce_again()

    def pair_by_code(self, rows: InstanceRows) -> None:
        """Takes the numbers by which instances are to be paired with a code, as the proxy lists them."""
        self._services.pair_phones.listed(rows)

    async def go_out_by(self, rows: InstanceRows) -> None:
        """Takes the proxies through which instances go out, as they are listed. To be done before they are started."""
        await self._services.whatsapp.routes.table.listed(rows)

    def proxy_is_back(self, last_seen: float) -> None:
        """Lets all post again what the proxy has not taken, or what was taken since `last_seen`: maybe not by it."""
        for member in self._members.values():
            member.publisher.try_again(doubt_since=last_seen)

    def _ask_others(self, instance: InstanceId) -> bool:
        """Asks one other instance to post its status again. False if no other runs."""
        others = [member.publisher for other, member in self._members.items() if other != instance]
        for publisher in others:
            if publisher.settled:
                publisher.announce_again()
                break
        return bool(others)

    async def _run(self, instance: InstanceId, member: _Member) -> None:
        publisher = member.publisher
        try:
            with member.scope:
                await run_instance(instance, self._services, publisher, says_farewell=lambda: self._is_last(member))
        finally:
            del self._members[instance]
            self._note_end(instance, member)
            self._services.edge.forget(instance)
            self._services.sender.pacing.forget(instance)
            for listener in self.on_end:
                listener()
            self._services.whatsapp.breaker.forget({instance})
            self._after(instance, member)
            member.ended.set()

    def _after(self, instance: InstanceId, member: _Member) -> None:
        """Sees to what becomes of an instance that has ended."""
        if member.handed_over or self._stopping():
            return
        ours = self._is_ours(instance)
        if not ours and not member.is_unwanted and member.released_by is not By.PERSON:
            return  # lost
        publisher = member.publisher
        if ProxyStatus.CONNECTED in publisher.may_have_heard or member.released_by is By.PERSON:
            self._nursery.start_soon(self._tell_let_go, instance, publisher.parting(Reason.RELEASED))
        if member.starts_again:
            self.start(instance)
        elif self._ownership is not None and ours and not member.is_unwanted:
            self._ownership.unwanted(instance)

    def _is_last(self, member: _Member) -> bool:
        """Says whether the proxy is to hear that the worker stops: nobody goes on with the instance."""
        if member.handed_over or not self._stopping():
            return False
        return self._ownership is None or not self._ownership.peers_go_on()

    def _note_end(self, instance: InstanceId, member: _Member) -> None:
        if instance in self._kept_off:
            self._services.history.ended(instance, LET_GO, By.PERSON)
        elif member.handed_over:
            self._services.history.ended(instance, HANDED_OVER, By.WORKER)
        elif self._stopping():
            self._services.history.ended(instance, Reason.WORKER_STOPPING, By.WORKER)
        else:
            self._services.history.ended(instance, Reason.RELEASED, member.released_by)

    async def _tell_let_go(self, instance: InstanceId, parting: Status) -> None:
        """Tells the proxy that an instance is not connected until it has heard, or the instance is started again.

        It may have been let go of by mistake, and the proxy lists again what it knows to be disconnected.
        """
        delays = LET_GO_RETRY.delays()
        with trio.CancelScope() as scope:
            self._let_go[instance] = scope
            while True:
                try:
                    await self._services.edge.update_status(instance, parting)
                    break
                except EdgeError as error:
                    log.info("the proxy was not told that an instance was let go", instance=instance, reason=str(error))
                    await trio.sleep(next(delays))
        if self._let_go.get(instance) is scope:  # it may have been started again in the same moment
            del self._let_go[instance]
