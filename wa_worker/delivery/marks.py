"""Tells the proxy what became of messages: `/mark-sent` and `/mark-failed` from the ledger, until it has heard.

Runs beside the sending, several calls at once, so that a proxy that takes its time does not set the pace.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import structlog
import trio

from wa_worker.backoff import Backoff
from wa_worker.delivery.found_rows import FoundRows
from wa_worker.delivery.group_commit import GroupCommit
from wa_worker.delivery.journal_read import when_it_can_be_read
from wa_worker.delivery.keyed_queue import KeyedQueue
from wa_worker.edge.answers import NO_SUCH_CALL
from wa_worker.edge.client import EdgeClient
from wa_worker.edge.events import FAILED, failed_event, sent_event
from wa_worker.edge.evidence import QUEUE
from wa_worker.errors import EdgeError, Failure
from wa_worker.journal import Mark, SendLedger
from wa_worker.models import InstanceId, MessageId

log = structlog.get_logger(__name__)

CALLS_AT_ONCE = 16
"""In version 1."""

ROWS_IN_BATCHES = 400
"""In version 2: as many as the calls under way can hold."""

STUBBORN = Backoff(first=1.0, ceiling=600.0)
"""For a mark that the proxy refuses while it takes others (it deleted the message, say): kept, but not every 30 s."""

APART = 0.05
"""In version 2, seconds between two looks for what is to be told: an instance sends one message after another, and each
would be a call by itself. Some twenty are sent in this time. The first one after a pause goes at once."""

ASK_AGAIN = 2.0
"""Seconds before a failure that the proxy has no call for is told once more, to make sure."""

NO_CALL_MEMORY = 600.0
"""Seconds for which such a failure is not told again, though the proxy goes on listing the message."""


_Key = tuple[InstanceId, MessageId]


class MarkReporter:
    """Reports outcomes to the proxy. One per process. Ring `wakeup` after a commit to the ledger.

    known(): called, on a thread, when the proxy has heard of messages of which receipts have come already.
    """

    def __init__(self, ledger: SendLedger, edge: EdgeClient, known: Callable[[], None] = lambda: None) -> None:
        self._ledger = ledger
        self._known = known
        self._edge = edge
        self._found = FoundRows(ledger.unreported)
        self._doubted: dict[_Key, float] = {}
        """Failures that the proxy had no call for, and when it said so at first."""
        self._silent_until: dict[_Key, float] = {}
        """Those of which it said so again: they are not told before then."""
        self._absent_since = -math.inf
        """When the proxy was last found to have no /mark-failed (`trio.current_time()`)."""
        self._told = trio.Event()
        """Set, and another one put in its place, when the proxy has heard of something and that is on disk."""
        self._reported = GroupCommit(self._commit)
        self._queue = KeyedQueue(
            "outcome",
            self._found.find,
            self._report,
            width=lambda: ROWS_IN_BATCHES if edge.poster.batches else CALLS_AT_ONCE,
            stubborn=lambda _error: STUBBORN,
            recovery=edge.evidence.recovery,
            apart=lambda: APART if edge.poster.batches else 0.0,
        )
        self.wakeup = self._queue.wakeup

    async def run(self) -> None:
        """Runs until cancelled. A call under way then is repeated at the next start: marking twice is harmless."""
        await self._queue.run()

    async def settled(self, instance: InstanceId, since: float = 0.0) -> None:
        """Returns when the proxy has heard what there is to tell of an instance since then (unix seconds).

        While the journal cannot be read it asks again. Raises LeaseLost.
        """
        while True:
            told = self._told  # each who waits has his own: what is told while he looks is not lost
            read = partial(self._ledger.has_unreported, instance, since)
            if not await when_it_can_be_read(read, what="outcome"):
                return
            await told.wait()

    def _commit(self, rows: list[Mark]) -> None:
        if self._ledger.reported(rows):
            self._known()

    async def _report(self, seq: int) -> None:
        row = self._found.take(seq)
        if row is None:
            return
        structlog.contextvars.bind_contextvars(instance=row.instance)  # of this key's task
        alone = self._queue.is_alone(seq)
        if row.wa_id is not None:
            event = sent_event(row.instance, row.message_id, row.wa_id, row.to, row.timestamp)
            await self._edge.poster.tell(event, alone=alone)
        else:
            await self._report_failure(row, alone=alone)
        await self._reported.add(row)
        told, self._told = self._told, trio.Event()
        told.set()

    async def _report_failure(self, row: Mark, *, alone: bool) -> None:
        """Tells of a failure. A proxy may have no call for it: then that counts as told, but of this message alone, and
        only if the proxy has answered a poll well since. Should it go on listing the message, it is told again."""
        key: _Key = (row.instance, row.message_id)
        if trio.current_time() < self._silent_until.get(key, 0.0):
            return
        try:
            event = failed_event(row.instance, row.message_id, Failure.of(row.error))
            await self._edge.poster.tell(event, alone=alone)
        except EdgeError as error:
            if error.status not in NO_SUCH_CALL:
                raise
            if not self._is_believed(key):
                error.retry_after = ASK_AGAIN
                raise
        else:
            self._doubted.pop(key, None)

    def _is_believed(self, key: _Key) -> bool:
        """Says whether it counts that the proxy has no call for this failure."""
        now, evidence = trio.current_time(), self._edge.evidence
        first = self._doubted.setdefault(key, now)
        has_none = now - self._absent_since < NO_CALL_MEMORY and not evidence.since(FAILED, -math.inf)
        if not has_none and not evidence.since(QUEUE, first) and not evidence.listed_since(first):
            return False
        if not has_none:
            log.info("the proxy has no /mark-failed", remembered_seconds=NO_CALL_MEMORY)
        del self._doubted[key]
        self._absent_since = now
        self._silent_until = {known: until for known, until in self._silent_until.items() if until > now}
        self._silent_until[key] = now + NO_CALL_MEMORY
        return True
