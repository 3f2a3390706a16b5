"""What `/poll` listed for each instance, until the instance takes it (version 2 of the contract)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import attrs
import trio

from wa_worker.edge.wire import Rows
from wa_worker.messages import QueuedMessage
from wa_worker.models import InstanceId


@attrs.frozen
class Listed:
    """Holds the messages listed for an instance. `at`: when the poll began, in unix seconds."""

    rows: Rows[QueuedMessage]
    at: float


@attrs.define(eq=False)
class _Place:
    ready: trio.Event = attrs.field(factory=trio.Event)
    listed: Listed | None = None


class PolledMessages:
    """One per process. Trio thread only."""

    def __init__(self) -> None:
        self._waiting: dict[InstanceId, _Place] = {}
        self._at_work: set[InstanceId] = set()
        self._progress = trio.lowlevel.ParkingLot()
        self.on_ready: list[Callable[[InstanceId], None]] = []
        """Called when an instance begins to wait for messages."""
        self.on_nothing: list[Callable[[frozenset[InstanceId]], None]] = []
        """Called with the instances for which the proxy has nothing."""

    @property
    def ready(self) -> frozenset[InstanceId]:
        """Names the instances that wait for messages."""
        return frozenset(self._waiting)

    async def take(self, instance: InstanceId) -> Listed | None:
        """Waits for messages for a connected instance. None: there will be none, since the proxy speaks version 1."""
        place = self._waiting[instance] = _Place()
        self.leave(instance)
        for listener in self.on_ready:
            listener(instance)
        try:
            await place.ready.wait()
        finally:
            if self._waiting.get(instance) is place:
                del self._waiting[instance]
        return place.listed

    def give(self, messages: Mapping[InstanceId, Rows[QueuedMessage]], at: float) -> frozenset[InstanceId]:
        """Hands messages to those that wait for them, and returns those. For others they are listed again later."""
        given = frozenset(messages) & self.ready
        for instance in given:
            place = self._waiting.pop(instance)
            self._at_work.add(instance)
            place.listed = Listed(messages[instance], at)
            place.ready.set()
        return given

    def nothing_for(self, instances: frozenset[InstanceId]) -> None:
        """A poll that asked for these instances listed nothing for them."""
        for listener in self.on_nothing:
            listener(instances)

    def leave(self, instance: InstanceId) -> None:
        """An instance is done with what it was given, or has ended."""
        self._at_work.discard(instance)
        self._progress.unpark_all()

    async def done(self, instances: Iterable[InstanceId]) -> None:
        """Returns once none of these instances is at work on what it was given."""
        mine = frozenset(instances)
        while mine & self._at_work:
            await self._progress.park()

    def end(self) -> None:
        """The proxy speaks version 1 from now on: nobody is given anything any more."""
        for place in self._waiting.values():
            place.ready.set()
        self._waiting.clear()
