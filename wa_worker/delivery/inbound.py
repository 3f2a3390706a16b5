"""The journal's inbox to `/inbound` (P3): in order per chat, several chats at once, until the proxy has it."""

from __future__ import annotations

import structlog
import trio

from wa_worker.delivery.group_commit import GroupCommit
from wa_worker.delivery.keyed_queue import KeyedQueue
from wa_worker.edge.client import EdgeClient
from wa_worker.errors import EdgeRejected
from wa_worker.journal import Inbox, InboxResult, PendingInbound
from wa_worker.metrics import Delivered, Metrics

log = structlog.get_logger(__name__)

CHATS_AT_ONCE = 16
"""With a proxy that answers in 100 ms: 160 messages/s."""

BATCH = 32
"""Messages of a chat read and posted before another chat has its turn: bounds memory and waiting, whatever the
backlog."""

REJECTIONS = 3
"""Final refusals of a message before it is set aside as dead, with the proxy's answer."""


class InboundDelivery:
    """Delivers received messages. One per process. Ring `wakeup` after a commit to the inbox."""

    def __init__(self, inbox: Inbox, edge: EdgeClient, metrics: Metrics) -> None:
        self._inbox = inbox
        self._edge = edge
        self._metrics = metrics
        self._results = GroupCommit(inbox.settle)
        self._queue = KeyedQueue("inbound", inbox.keys, self._post_chat, width=CHATS_AT_ONCE)
        self.wakeup = self._queue.wakeup

    async def run(self) -> None:
        """Runs until cancelled. What was posted but not yet recorded then is posted again at the next start."""
        await self._queue.run()

    async def _post_chat(self, chat: int) -> None:
        for row in await trio.to_thread.run_sync(self._inbox.pending, chat, BATCH):
            structlog.contextvars.bind_contextvars(instance=row.instance)  # of this key's task
            await self._post(row)

    async def _post(self, row: PendingInbound) -> None:
        try:
            await self._edge.inbound(row.instance, row.message)
        except EdgeRejected as no:
            dead = row.rejections + 1 >= REJECTIONS
            await self._results.add(InboxResult(row.seq, str(no), dead))
            if not dead:
                raise  # the key rests; it is the same message again then
            self._metrics.delivered(Delivered.SET_ASIDE)
            log.error("a message is set aside: the proxy refuses it", instance=row.instance, reason=str(no))
        else:
            await self._results.add(InboxResult(row.seq))
            self._queue.succeeded(row.chat)
            self._metrics.delivered(Delivered.ACCEPTED)
