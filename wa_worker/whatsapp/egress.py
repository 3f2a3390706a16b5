"""Through which proxy each instance goes out to WhatsApp: as the back end lists it, and remembered.

The back end lists what is not connected, and a worker that starts again resumes what it has before it has heard of any
list. So what was said last is remembered beside the session (egress_memory.py), and is so before it counts. What cannot
be used, read or written down stays in force as Unusable: the instance waits, and never goes out by the worker's own
address instead.
"""

from __future__ import annotations

from collections.abc import Collection

import structlog
import trio

from wa_worker.edge.wire import InstanceRows
from wa_worker.models import Egress, EgressProxy, InstanceId, Unusable
from wa_worker.whatsapp.egress_memory import EgressMemory

log = structlog.get_logger(__name__)


class EgressTable:
    """One per process. Trio thread only, but for `load()` and `load_one()`."""

    def __init__(self, memory: EgressMemory) -> None:
        self._memory = memory
        self._egress: dict[InstanceId, Egress] = {}
        self._changed = trio.lowlevel.ParkingLot()

    def load(self) -> None:
        """Reads what is remembered of all instances. Blocking; before any instance runs."""
        self._egress.update(self._memory.all())

    def load_one(self, instance: InstanceId) -> None:
        """Reads what is remembered of one instance that another worker has run. Blocking; before it runs here.

        Raises StateError if that cannot be asked now.
        """
        self._egress = {**self._egress, instance: self._memory.of(instance)}  # the Trio thread may be reading

    def of(self, instance: InstanceId) -> Egress:
        """Returns by which way an instance goes out."""
        return self._egress.get(instance)

    @property
    def instances(self) -> Collection[InstanceId]:
        """Returns those that have a proxy of their own, or what should be one."""
        return [instance for instance, egress in self._egress.items() if egress is not None]

    async def listed(self, rows: InstanceRows) -> None:
        """Takes what the back end lists. An instance of which it says nothing keeps what it has."""
        changed = {instance: egress for instance, egress in rows.egress.items() if egress != self.of(instance)}
        for instance, egress in changed.items():
            self._egress[instance] = await self._remembered(instance, egress)
            _tell(instance, self._egress[instance])
        if changed:
            self._changed.unpark_all()

    async def until_other(self, instance: InstanceId, than: Egress) -> None:
        """Waits until an instance goes out by another way than this one."""
        while self.of(instance) == than:
            await self._changed.park()

    async def _remembered(self, instance: InstanceId, egress: Egress) -> Egress:
        """Returns what may count: `egress` itself, once it is remembered."""
        problem = await trio.to_thread.run_sync(self._memory.keep, instance, egress)
        return egress if problem is None else Unusable(problem)


def _tell(instance: InstanceId, egress: Egress) -> None:
    match egress:
        case None:
            log.info("an instance goes out without a proxy of its own from now on", instance=instance)
        case Unusable(why):
            log.warning("the proxy of an instance cannot be used: it does not connect", instance=instance, reason=why)
        case EgressProxy():
            log.info("an instance goes out through a proxy", instance=instance, scheme=egress.scheme, at=egress.place)
