"""The journal's inbox to `/inbound` (P3): in order per chat, several chats at once, until the proxy has it."""

from __future__ import annotations

import structlog
import trio

from wa_worker.backoff import Backoff
from wa_worker.delivery.group_commit import GroupCommit
from wa_worker.delivery.keyed_queue import JOURNAL_PAUSE, RETRY, KeyedQueue
from wa_worker.delivery.refusals import REFUSAL_PAUSE, Refusals
from wa_worker.delivery.unproven import Unproven
from wa_worker.edge.answers import ALREADY_THERE
from wa_worker.edge.client import EdgeClient
from wa_worker.errors import EdgeError, EdgeRejected, JournalError
from wa_worker.journal import Inbox, InboxResult, PendingInbound
from wa_worker.metrics import Delivered, Metrics

log = structlog.get_logger(__name__)

CHATS_AT_ONCE = 16
"""With a proxy that answers in 100 ms: 160 messages/s."""

BATCH = 32
"""Messages of a chat read and posted before another chat has its turn: bounds memory and waiting, whatever the
backlog."""


class InboundDelivery:
    """Delivers received messages. One per process. Ring `wakeup` after a commit to the inbox.

    refusal_pause: see refusals.py, seconds.
    """

    def __init__(
        self, inbox: Inbox, edge: EdgeClient, metrics: Metrics, *, refusal_pause: float = REFUSAL_PAUSE
    ) -> None:
        self._inbox = inbox
        self._edge = edge
        self._metrics = metrics
        self._refusals = Refusals(edge.evidence, inbox.next_seq(), refusal_pause)
        self._unproven = Unproven(edge.evidence)
        self._results = GroupCommit(inbox.settle)
        self._queue = KeyedQueue(
            "inbound",
            inbox.keys,
            self._post_chat,
            width=CHATS_AT_ONCE,
            stubborn=self._pauses,
            recovery=edge.evidence.recovery,
        )
        self.wakeup = self._queue.wakeup

    async def run(self) -> None:
        """Runs until cancelled. What was posted but not yet recorded then is posted again at the next start."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._take_back)
            await self._queue.run()

    async def _take_back(self) -> None:
        while True:
            rows = await self._unproven.doubted()
            log.warning("messages were taken by something else than the proxy, and are posted again", count=len(rows))
            while not await self._has_taken_back(rows):  # noqa: ASYNC110 - nothing tells
                await trio.sleep(JOURNAL_PAUSE)
            self.wakeup.ring()

    async def _has_taken_back(self, rows: list[PendingInbound]) -> bool:
        try:
            with trio.CancelScope(shield=True):  # else they are lost
                await trio.to_thread.run_sync(self._inbox.take_back, rows)
        except JournalError as error:
            log.error("the journal cannot be written", what="inbound", reason=str(error))
            return False
        return True

    def _pauses(self, error: EdgeError) -> Backoff:
        """How long a chat rests whose first message fails while others are accepted: a refusal may pass as well."""
        if not isinstance(error, EdgeRejected) or error.status == ALREADY_THERE:
            return RETRY
        return Backoff(RETRY.first, 2 * self._refusals.pause)

    async def _post_chat(self, chat: int) -> None:
        rows = await trio.to_thread.run_sync(self._inbox.pending, chat, BATCH)
        for at, row in enumerate(rows):
            structlog.contextvars.bind_contextvars(instance=row.instance)  # of this chat's task
            try:
                await self._post(row)
            except EdgeRejected as error:
                if self._refusals.is_final(row, error):
                    await self._settle(row, error)
                    continue
                await self._results.add(InboxResult(row.seq, str(error)))
                if self._refusals.lacks_witness(row) and at + 1 < len(rows):
                    await self._judge(row, witness=rows[at + 1])
                    return
                raise  # the chat rests
            except EdgeError as error:
                self._refusals.unanswered(row, error)
                raise

    async def _post(self, row: PendingInbound) -> None:
        answer = await self._edge.inbound(row.instance, row.message)
        self._refusals.settled(row)
        accepted = self._unproven.add(row, answer)
        await self._results.add(InboxResult(row.seq))
        self._unproven.settled(accepted)
        self._queue.succeeded(row.chat)
        self._metrics.delivered(Delivered.ACCEPTED)

    async def _judge(self, row: PendingInbound, witness: PendingInbound) -> None:
        """Posts the message behind one that has been refused for long, then that one once more: refused again in the
        moment in which another is accepted, it is settled by that."""
        await self._post(witness)
        try:
            await self._post(row)
        except EdgeRejected as error:
            await self._settle(row, error)

    async def _settle(self, row: PendingInbound, error: EdgeRejected) -> None:
        """Acts on a refusal that is believed."""
        self._refusals.settled(row)
        if error.status == ALREADY_THERE:
            await self._results.add(InboxResult(row.seq))
            self._metrics.delivered(Delivered.ACCEPTED)
            return
        await self._results.add(InboxResult(row.seq, str(error), dead=True))
        self._metrics.delivered(Delivered.SET_ASIDE)
        log.error("a message is set aside: the proxy refuses it", instance=row.instance, reason=str(error))
