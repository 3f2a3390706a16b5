"""Which instances this worker may run when several share them, and what that makes of the end of a session.

When WhatsApp says that another login took a session over, the lease says who that was: a login of a former owner that
slipped through, the next owner, or a stranger.
"""

from __future__ import annotations

from typing import Protocol

import trio

from wa_worker.instances.state import InstanceState
from wa_worker.models import InstanceId
from wa_worker.states import Event, Report

ONCE_IN = 600.0
"""Seconds between two times that an instance which is ours is opened again at once: a former owner's login comes once,
a stranger's again and again."""


class Ownership(Protocol):
    """Says which instances this worker may run when several share them. Trio thread only; nothing waits."""

    def owns(self, instance: InstanceId) -> bool: ...
    def want(self, instance: InstanceId, *, anew: bool = False) -> None:
        """The proxy lists it: a worker that has room is to take it. anew: a person wants it, whatever was before."""

    def unwanted(self, instance: InstanceId) -> None:
        """It has ended here, and no worker is to take it until somebody wants it again."""

    def peers_go_on(self) -> bool:
        """Says whether others run what ends here: then the proxy hears no farewell."""

    def doubt(self) -> None:
        """Has the database be asked soon what is ours: what is not is given up."""

    async def verify(self, instance: InstanceId) -> bool | None:
        """Asks the database now whether an instance is ours. None: it did not answer in time."""


async def judged(ownership: Ownership | None, state: InstanceState, report: Report) -> Report:
    """Returns what a report of a session's means here: of REPLACED, by whom."""
    if ownership is None or report.event is not Event.REPLACED:
        return report
    ours, now = await ownership.verify(state.instance), trio.current_time()
    if ours is False:
        return Report(Event.STORE_LOST, "its next owner has logged in")
    if ours and now - state.overtaken_at >= ONCE_IN:
        state.overtaken_at = now
        return Report(Event.OVERTAKEN, report.detail)
    return report
