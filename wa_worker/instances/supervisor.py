"""One instance among others: its child nursery and its crash barrier.

`run_instance()` runs the status publisher and the lifecycle of an instance. It ends by being cancelled or when the
proxy says that the instance is gone.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog
import trio

from wa_worker.edge.client import EdgeClient
from wa_worker.errors import EdgeError, JournalError, LeaseLost
from wa_worker.instances.lifecycle import Lifecycle
from wa_worker.instances.services import Services
from wa_worker.instances.state import InstanceState
from wa_worker.instances.status import InstanceGone, StatusPublisher
from wa_worker.models import InstanceId, Reason, Status
from wa_worker.states import Event

log = structlog.get_logger(__name__)

FAREWELL = 2.5
"""Seconds for the last DISCONNECTED when the worker stops; then the next start corrects the proxy (P6)."""


async def run_instance(
    instance: InstanceId, services: Services, publisher: StatusPublisher, *, says_farewell: Callable[[], bool]
) -> None:
    """Runs until cancelled, or until the proxy does not know the instance. Errors nobody expected, and a journal that
    does not answer, are logged and the instance starts again after a pause: they never reach its neighbours.

    When `says_farewell()` is true at the end, the proxy is told DISCONNECTED, unless another worker has taken the
    instance.
    """
    structlog.contextvars.bind_contextvars(instance=instance)  # for all that runs below, threads included
    state = InstanceState(instance, publisher, services.registry, services.metrics)
    gone = False
    try:
        while not gone:
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(publisher.run)
                    await Lifecycle(services, state).run()
            except* InstanceGone as group:
                gone = True
                log.info(
                    "instance let go: the proxy does not know it",
                    instance=instance,
                    reason=str(group.exceptions[0]),
                )
            except* LeaseLost:
                raise  # it is the end of the worker
            except* JournalError as group:
                log.error("the journal cannot be read", instance=instance, reason=str(_first(group)))
            except* Exception:
                services.metrics.crashed()
                log.exception("instance crashed, starting it again", instance=instance)
            if not gone:
                await trio.sleep(state.pause(state.apply(Event.CRASHED)))
    finally:
        services.registry.remove(instance)
        if says_farewell() and not publisher.silent:
            with trio.move_on_after(FAREWELL, shield=True):
                await _say_farewell(instance, services.edge, publisher.parting(Reason.WORKER_STOPPING))


def _first(group: BaseException) -> BaseException:
    while isinstance(group, BaseExceptionGroup):
        group = group.exceptions[0]
    return group


async def _say_farewell(instance: InstanceId, edge: EdgeClient, farewell: Status) -> None:
    try:
        await edge.update_status(instance, farewell)
    except EdgeError as error:
        log.warning("the proxy was not told that we stop", instance=instance, reason=str(error), **error.traced)
