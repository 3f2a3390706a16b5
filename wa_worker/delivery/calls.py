"""Calls whose outcome nobody hears of: they are told of all the same, after a while."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog
import trio

from wa_worker.delivery.keyed_queue import JOURNAL_PAUSE
from wa_worker.errors import JournalError
from wa_worker.journal import RingingCalls
from wa_worker.journal.calls import PATIENCE
from wa_worker.wakeup import Wakeup

log = structlog.get_logger(__name__)


class CallTimeouts:
    """One per process. Ring `wakeup` when a call has begun to ring. recorded(): called when there are new rows.

    It sleeps while no call rings.
    """

    def __init__(self, calls: RingingCalls, recorded: Callable[[], None]) -> None:
        self._calls = calls
        self._recorded = recorded
        self.wakeup = Wakeup()

    async def run(self) -> None:
        """Runs until cancelled; calls that ring then are looked at after the next start."""
        while True:
            self.wakeup.arm()
            try:
                if await trio.to_thread.run_sync(self._calls.give_up):
                    self._recorded()
                due = await trio.to_thread.run_sync(self._calls.next_due)
            except JournalError as error:
                log.error("the journal cannot be written", what="calls", reason=str(error))
                await trio.sleep(JOURNAL_PAUSE)
                continue
            if due is None:
                await self.wakeup.wait()
            else:
                with trio.move_on_after(min(max(due - time.time(), 0.0), PATIENCE)):
                    await self.wakeup.wait()
