"""Receipts to the proxy: committed on the library's threads, told as `message_status` or `/message-status`.

By the furthest that each receiver has said: a read that comes before a delivered was told of is told alone. The proxy
hears of no message's status before it knows the message. It need not have the call.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from wa_worker.backoff import Backoff
from wa_worker.delivery.found_rows import FoundRows
from wa_worker.delivery.group_commit import GroupCommit
from wa_worker.delivery.keyed_queue import KeyedQueue
from wa_worker.delivery.optional_call import OptionalCall
from wa_worker.delivery.thread_commit import ThreadCommit
from wa_worker.edge.client import EdgeClient
from wa_worker.edge.events import MESSAGE_STATUS, message_status_event
from wa_worker.errors import EdgeError
from wa_worker.journal import DueStatus, Receipts
from wa_worker.messages import Receipt
from wa_worker.models import InstanceId

CALLS_AT_ONCE = 8
"""In version 1: ticks have less of a hurry than messages and marks."""

ROWS_IN_BATCHES = 400
"""In version 2: as many as the calls under way can hold."""

STUBBORN = Backoff(first=1.0, ceiling=600.0)
"""For a status that the proxy refuses while it takes others."""

APART = 0.2
"""Seconds between two looks for what is to be told: a delivered and the read after it are often one then, and in
version 2 those of many messages one call."""


class ReceiptReporter:
    """Takes receipts, and tells the proxy of them. One per process. Ring `wakeup` when some have become due.

    call: whether the proxy has the call; None: nothing is known of it yet.
    """

    def __init__(self, receipts: Receipts, edge: EdgeClient, call: OptionalCall | None = None) -> None:
        self._receipts = receipts
        self._edge = edge
        self._call = call or OptionalCall(edge.evidence, MESSAGE_STATUS)
        self._found = FoundRows(receipts.due)
        self._committing = ThreadCommit(self._record)
        self._told = GroupCommit(receipts.told)
        self._queue = KeyedQueue(
            "receipt",
            self._found.find,
            self._report,
            width=lambda: ROWS_IN_BATCHES if edge.poster.batches else CALLS_AT_ONCE,
            stubborn=lambda _error: STUBBORN,
            recovery=edge.evidence.recovery,
            apart=lambda: APART,
        )
        self.wakeup = self._queue.wakeup

    async def run(self) -> None:
        """Runs until cancelled. A call under way then is repeated at the next start: telling twice is harmless."""
        await self._queue.run()

    # --- the library's threads

    def heard(self, instance: InstanceId, receipt: Receipt) -> None:
        """Commits a receipt, together with those that other sessions have at this moment. Blocking. Raises
        JournalError."""
        self._committing.add((instance, receipt))

    def _record(self, receipts: Sequence[tuple[InstanceId, Receipt]]) -> None:
        if self._receipts.record(receipts):
            self.wakeup.ring()

    # --- the queue

    async def _report(self, seq: int) -> None:
        row = self._found.take(seq)
        if row is None:
            return
        structlog.contextvars.bind_contextvars(instance=row.status.instance)  # of this key's task
        if not self._call.absent:
            await self._tell(row)
        await self._told.add(row)

    async def _tell(self, row: DueStatus) -> None:
        """Returns when the proxy has it, or has no such call. Raises EdgeError."""
        batches = self._edge.poster.batches
        try:
            await self._edge.poster.tell(message_status_event(row.status), alone=self._queue.is_alone(row.seq))
        except EdgeError as error:
            if not self._call.drops(error, row.seq, batches=batches):
                raise
        else:
            self._call.took(row.seq)
