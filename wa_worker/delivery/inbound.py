"""The journal's inbox to `/inbound` (P3): in order per chat, several chats at once, until the proxy has it."""

from __future__ import annotations

from collections.abc import Callable

import structlog
import trio

from wa_worker.backoff import Backoff
from wa_worker.delivery.file_waits import PATIENCE, FileWaits
from wa_worker.delivery.group_commit import GroupCommit
from wa_worker.delivery.group_read import GroupRead
from wa_worker.delivery.keyed_queue import JOURNAL_PAUSE, RETRY, KeyedQueue, NothingAsked
from wa_worker.delivery.optional_call import OptionalCall
from wa_worker.delivery.refusals import REFUSAL_PAUSE, Refusals
from wa_worker.delivery.unproven import Unproven
from wa_worker.delivery.waiting_keys import NotBefore
from wa_worker.edge.answers import ALREADY_THERE
from wa_worker.edge.client import EdgeClient
from wa_worker.edge.events import GROUP_EVENT, Outcome, inbound_event
from wa_worker.errors import EdgeError, EdgeRejected, JournalError
from wa_worker.journal import FileState, Inbox, InboxResult, PendingInbound
from wa_worker.metrics import Delivered, Metrics

log = structlog.get_logger(__name__)

CHATS_AT_ONCE = 16
"""In version 1. With a proxy that answers in 100 ms: 160 messages/s."""

CHATS_IN_BATCHES = 400
"""In version 2: as many as the calls under way can hold at the least."""

BATCH = 32
"""Messages of a chat read and posted before another chat has its turn: bounds memory and waiting, whatever the
backlog."""


WANTS_PAUSE = 0.5
"""Seconds between looks at a chat whose next message goes out only if the proxy wants it, while that is not known: from
the start until the first answer to a poll."""


class InboundDelivery:
    """Delivers received messages. One per process. Ring `wakeup` after a commit to the inbox.

    refusal_pause: see refusals.py; patience: see file_waits.py (its `is_late` may be set on `waits`);
    seconds. on_accepted(rows): called when the proxy has taken messages and that is on disk.
    """

    def __init__(
        self,
        inbox: Inbox,
        edge: EdgeClient,
        metrics: Metrics,
        *,
        refusal_pause: float = REFUSAL_PAUSE,
        on_accepted: Callable[[list[PendingInbound]], None] = lambda _rows: None,
        patience: float = PATIENCE,
    ) -> None:
        self._on_accepted = on_accepted
        self._inbox = inbox
        self._edge = edge
        self._metrics = metrics
        self._refusals = Refusals(edge.evidence, inbox.next_seq(), refusal_pause)
        self._unproven = Unproven(edge.evidence)
        self._group_events = OptionalCall(edge.evidence, GROUP_EVENT)
        self.waits = FileWaits(patience)
        self._results = GroupCommit(inbox.settle)
        self._rows = GroupRead(lambda chats: {chat: inbox.pending(chat, BATCH) for chat in chats})
        self._queue = KeyedQueue(
            "inbound",
            inbox.keys,
            self._post_chat,
            width=lambda: CHATS_IN_BATCHES if edge.poster.batches else CHATS_AT_ONCE,
            stubborn=self._pauses,
            recovery=edge.evidence.recovery,
        )
        self.wakeup = self._queue.wakeup

    async def run(self) -> None:
        """Runs until cancelled. What was posted but not yet recorded then is posted again at the next start."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._take_back)
            await self._queue.run()

    def gained(self) -> None:
        """Looks for the rows of an instance that was another worker's, which may have posted some of them. Blocking.
        Raises JournalError."""
        self._refusals.oldest_new = self._inbox.next_seq()
        self.wakeup.ring()

    def file_decided(self, chat: int) -> None:
        """It is known now what becomes of a file that a message of this chat may wait for, or that it comes late."""
        self._queue.release(chat)

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
        rows, until = self.waits.ready(await self._wanted(await self._rows.get(chat)))
        if rows:
            structlog.contextvars.bind_contextvars(instance=rows[0].instance)  # of this chat's task
        alone = self._queue.is_alone(chat)
        while rows:
            batches = self._edge.poster.batches
            outcomes = await self._post(rows, alone=alone)
            posted = list(zip(rows, outcomes, strict=False))
            await self._accepted(chat, [(row, outcome) for row, outcome in posted if outcome.error is None])
            refused = [(row, outcome.error) for row, outcome in posted if outcome.error is not None]
            rows = rows[len(posted) :]
            if refused:
                row, error = refused[0]
                rows = [row for row, _ in refused[1:]] + rows
                if self._has_no_call(row, error, batches=batches):
                    await self._drop([row])
                    rows = await self._wanted(rows)
                    continue
                if not isinstance(error, EdgeRejected):
                    for unanswered, _ in refused:
                        self._refusals.unanswered(unanswered, error)
                    raise error
                if not await self._refused(chat, row, error, behind=rows):
                    return
        if until is not None:
            raise NotBefore(until)

    def _forget(self, row: PendingInbound) -> None:
        """Drops what was kept in memory of a message that waits no more."""
        self._refusals.settled(row)
        self.waits.settled(row)
        self._group_events.took(row.seq)

    def _has_no_call(self, row: PendingInbound, error: EdgeError | None = None, *, batches: bool = False) -> bool:
        """Says whether this is what changed in a group, and the proxy has no call for that. `error` may say so."""
        if row.message.group_change is None:
            return False
        return self._group_events.absent if error is None else self._group_events.drops(error, row.seq, batches=batches)

    async def _wanted(self, rows: list[PendingInbound]) -> list[PendingInbound]:
        """Settles those of these rows that the proxy does not want, and returns the others: up to the first one of
        which it is not known yet. Raises NothingAsked if none is left, NotBefore if only that one is."""
        wanted: list[PendingInbound] = []
        unwanted: list[PendingInbound] = []
        unknown = False
        for row in rows:
            answer = self._edge.wants.includes(row.message) and not self._has_no_call(row)
            if unknown := answer is None:
                break
            (wanted if answer else unwanted).append(row)
        if unwanted:
            await self._drop(unwanted)
        if not wanted:
            raise NotBefore(trio.current_time() + WANTS_PAUSE) if unknown else NothingAsked
        return wanted

    async def _drop(self, rows: list[PendingInbound]) -> None:
        """Settles rows that the proxy does not want to hear of."""
        for row in rows:
            self._forget(row)
        # what becomes of a file that is still open does not matter any more
        settled = (InboxResult(row.seq, file=row.file if row.file is FileState.SETTLED else None) for row in rows)
        await self._results.add(*settled)
        self._metrics.delivered(Delivered.NOT_WANTED, len(rows))

    async def _post(self, rows: list[PendingInbound], *, alone: bool) -> list[Outcome]:
        """Posts the first of these rows, or as many as go in one call.

        alone: the first, in a call of its own, for one behind it may be why the chat has failed.
        """
        poster = self._edge.poster
        together = rows if poster.batches and not alone else rows[:1]
        return await poster.post([inbound_event(row.instance, row.message) for row in together], alone=alone)

    async def _accepted(self, chat: int, taken: list[tuple[PendingInbound, Outcome]]) -> None:
        if not taken:
            return
        unproven = [self._unproven.add(row, outcome.answer) for row, outcome in taken if outcome.answer is not None]
        for row, _ in taken:
            self._forget(row)
        await self._results.add(*(InboxResult(row.seq, file=row.file) for row, _ in taken))
        for accepted in unproven:
            self._unproven.settled(accepted)
        self._queue.succeeded(chat)
        self._metrics.delivered(Delivered.ACCEPTED, len(taken))
        self._on_accepted([row for row, _ in taken])

    async def _refused(self, chat: int, row: PendingInbound, error: EdgeRejected, behind: list[PendingInbound]) -> bool:
        """Acts on the refusal of a row. True if the rows `behind` it may go on; raises the error if its chat is to
        rest."""
        if self._refusals.is_final(row, error):
            await self._settle(row, error)
            return True
        await self._results.add(InboxResult(row.seq, str(error)))
        if not behind or not self._refusals.lacks_witness(row):
            raise error
        await self._ask_with_a_witness(chat, row, witness=behind[0])
        return False

    async def _ask_with_a_witness(self, chat: int, row: PendingInbound, witness: PendingInbound) -> None:
        """Posts the message behind one that has been refused for long, then that one once more: refused again in the
        moment in which another is accepted, it is settled by that."""
        for each in (witness, row):
            (outcome,) = await self._edge.poster.post([inbound_event(each.instance, each.message)], alone=True)
            if outcome.error is None:
                await self._accepted(chat, [(each, outcome)])
            elif each is row and isinstance(outcome.error, EdgeRejected):
                await self._settle(row, outcome.error)
            else:
                raise outcome.error

    async def _settle(self, row: PendingInbound, error: EdgeRejected) -> None:
        """Acts on a refusal that is believed."""
        self._forget(row)
        if error.status == ALREADY_THERE:
            await self._results.add(InboxResult(row.seq, file=row.file))
            self._metrics.delivered(Delivered.ACCEPTED)
            self._on_accepted([row])
            return
        await self._results.add(InboxResult(row.seq, str(error), dead=True))
        self._metrics.delivered(Delivered.SET_ASIDE)
        log.error(
            "a message is set aside: the proxy refuses it", instance=row.instance, reason=str(error), **error.traced
        )
