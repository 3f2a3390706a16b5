"""Tells the proxy what became of messages: `/mark-sent` and `/mark-failed` from the ledger, until it has heard.

Runs beside the sending, several calls at once, so that a proxy that takes its time does not set the pace.
"""

from __future__ import annotations

import math

import structlog
import trio

from wa_worker.backoff import Backoff
from wa_worker.edge import EdgeClient
from wa_worker.journal import Outbox, Telling
from wa_worker.lanes import GroupCommit, Lanes
from wa_worker.models import InstanceId
from wa_worker.wakeup import Wakeup

CALLS_AT_ONCE = 16

STUBBORN = Backoff(first=1.0, ceiling=600.0)
"""For a mark that the proxy refuses as such (it deleted the message, say): kept, but not every 30 s."""


class Teller:
    """One per process. Ring `wakeup` after a commit to the ledger."""

    def __init__(self, outbox: Outbox, edge: EdgeClient) -> None:
        self._outbox = outbox
        self._edge = edge
        self._found: dict[int, Telling] = {}
        """Rows to tell of, by lane, from the looking up until their turn. Those that are settled are dropped."""
        self._committed = Wakeup()
        self._told = GroupCommit(self._commit)
        self._lanes = Lanes("outcome", self._find, self._tell, width=CALLS_AT_ONCE, stubborn=STUBBORN)
        self.wakeup = self._lanes.wakeup

    async def run(self) -> None:
        """Until cancelled. A call under way then is repeated at the next start: marking twice is harmless."""
        await self._lanes.run()

    async def settled(self, instance: InstanceId, since: float = 0.0) -> None:
        """Returns when the proxy has heard what there is to tell of an instance since then (unix seconds)."""
        while True:
            self._committed.arm()
            if not await trio.to_thread.run_sync(self._outbox.has_untold, instance, since):
                return
            await self._committed.wait()

    def _find(self, after: int, limit: int) -> list[int]:
        rows = {row.seq: row for row in self._outbox.to_tell(after, limit)}
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
        structlog.contextvars.bind_contextvars(instance=row.instance)  # of this lane's task
        if row.wa_id is not None:
            await self._edge.mark_sent(row.message_id, row.wa_id)
        else:
            await self._edge.mark_failed(row.message_id, row.error or "failed")
        await self._told.add(row)

    def _commit(self, tellings: list[Telling]) -> None:
        self._outbox.told(tellings)
        self._committed.ring()
