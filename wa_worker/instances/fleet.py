"""The instances that run: started, released and cancelled by discovery, each with its own scope (P4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs
import structlog
import trio

from wa_worker.instances.discovery import Running
from wa_worker.instances.services import Services
from wa_worker.instances.status import StatusPublisher
from wa_worker.instances.supervisor import run_instance
from wa_worker.models import InstanceId
from wa_worker.states import State

log = structlog.get_logger(__name__)


@attrs.frozen
class _Member:
    publisher: StatusPublisher
    scope: trio.CancelScope


class InstanceFleet:
    """Implements discovery.Fleet. Its tasks live in `nursery`. When they end and `stopping()` is true,
    the worker stops, and each instance takes leave of the proxy."""

    def __init__(self, services: Services, nursery: trio.Nursery, *, stopping: Callable[[], bool]) -> None:
        self._services = services
        self._nursery = nursery
        self._stopping = stopping
        self._members: dict[InstanceId, _Member] = {}

    def running(self) -> Mapping[InstanceId, Running]:
        states = self._services.registry.all()
        return {
            instance: Running(
                connected=instance in states and states[instance].state is State.CONNECTED,
                announced=member.publisher.settled,
            )
            for instance, member in self._members.items()
        }

    def start(self, instance: InstanceId) -> None:
        if instance not in self._members:
            member = _Member(StatusPublisher(instance, self._services.edge), trio.CancelScope())
            self._members[instance] = member
            self._nursery.start_soon(self._run, instance, member)

    def release(self, instance: InstanceId) -> None:
        if member := self._members.get(instance):
            member.scope.cancel()

    def announce_again(self, instance: InstanceId) -> None:
        if member := self._members.get(instance):
            log.info("the proxy lists a connected instance, announcing it again", instance=instance)
            member.publisher.announce_again()

    async def _run(self, instance: InstanceId, member: _Member) -> None:
        try:
            with member.scope:
                await run_instance(instance, self._services, member.publisher, stopping=self._stopping)
        finally:
            del self._members[instance]
            self._services.edge.forget(instance)
