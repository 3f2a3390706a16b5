"""Tells the proxy what became of messages: `/mark-sent` and `/mark-failed` from the ledger, until it has heard.

Runs beside the sending, several calls at once, so that a proxy that takes its time does not set the pace.
"""

from __future__ import annotations

import math

import structlog
import trio

from wa_worker.backoff import Backoff
from wa_worker.delivery.group_commit import GroupCommit
from wa_worker.delivery.keyed_queue import KeyedQueue
from wa_worker.edge.client import EdgeClient
from wa_worker.journal import Mark, SendLedger
from wa_worker.models import InstanceId
from wa_worker.wakeup import Wakeup

CALLS_AT_ONCE = 16

STUBBORN = Backoff(first=1.0, ceiling=600.0)
"""For a mark that the proxy refuses as such (it deleted the message, say): kept, but not every 30 s."""


class MarkReporter:
    """Reports outcomes to the proxy. One per process. Ring `wakeup` after a commit to the ledger."""

    def __init__(self, ledger: SendLedger, edge: EdgeClient) -> None:
        self._ledger = ledger
        self._edge = edge
        self._found: dict[int, Mark] = {}
        """Rows to tell of, by key, from the looking up until their turn. Those that are settled are dropped."""
        self._committed = Wakeup()
        self._told = GroupCommit(self._commit)
        self._queue = KeyedQueue("outcome", self._find, self._tell, width=CALLS_AT_ONCE, stubborn=STUBBORN)
        self.wakeup = self._queue.wakeup

    async def run(self) -> None:
        """Runs until cancelled. A call under way then is repeated at the next start: marking twice is harmless."""
        await self._queue.run()

    async def settled(self, instance: InstanceId, since: float = 0.0) -> None:
        """Returns when the proxy has heard what there is to tell of an instance since then (unix seconds)."""
        while True:
            self._committed.arm()
            if not await trio.to_thread.run_sync(self._ledger.has_unreported, instance, since):
                return
            await self._committed.wait()

    def _find(self, after: int, limit: int) -> list[int]:
        rows = {row.seq: row for row in self._ledger.unreported(after, limit)}
        # a row whose mark is under way is found again, and not taken once that has been told
        last = max(rows) if len(rows) == limit else math.inf
        for seq in list(self._found):  # a copy: tasks take rows out while this thread looks
            if after < seq <= last and seq not in rows:
                self._found.pop(seq, None)
        self._found.update(rows)
        return list(rows)

    async def _tell(self, seq: int) -> None:
        row = self._found.pop(seq, None)
        if row is None:
            return
        structlog.contextvars.bind_contextvars(instance=row.instance)  # of this key's task
        if row.wa_id is not None:
            await self._edge.mark_sent(row.message_id, row.wa_id)
        else:
            await self._edge.mark_failed(row.message_id, row.error or "failed")
        await self._told.add(row)

    def _commit(self, marks: list[Mark]) -> None:
        self._ledger.reported(marks)
        self._committed.ring()
