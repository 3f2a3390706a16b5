"""One batch of queued messages on its way through the ledger to WhatsApp (P1, P2), on a thread of its own.

The ledger admits the batch; then each message is committed as an intent, sent, and its outcome committed together with
the next intent: one fsync a message. The thread finishes the send it is in and records it, whatever happens to the
task that waits for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

import attrs
import structlog

from wa_worker import jid
from wa_worker.backoff import Backoff
from wa_worker.edge.wire import Rows
from wa_worker.errors import JournalError, RowError, SendDelayed, SendRefused, SendUncertain, SessionNotOpen
from wa_worker.jid.numbering import DEFAULT_REGION
from wa_worker.journal import JOURNAL_RETRY, SendLedger, SendState, Settled, Trace
from wa_worker.messages import Accepted, OutgoingMessage, QueuedMessage
from wa_worker.models import InstanceId, Jid, MessageId

log = structlog.get_logger(__name__)

MAX_TRIES = 8
"""Sends begun before a message that keeps failing is given up. With the pauses below: about half an hour."""

LONGEST_PAUSE = 900.0
"""Seconds to which a message's pause grows with its tries, unless the error's own pause is longer."""


class Sender(Protocol):
    """Says what sends: a session. Blocks the calling thread; raises SendError."""

    @property
    def store_mark(self) -> str | None:
        """What tells the session store it sends through from any other; None where that would be no witness."""

    def send(self, message: OutgoingMessage) -> Accepted: ...


@attrs.frozen
class SendRecord:
    """Says where the outcomes of sends go, and what becomes of an uncertain one. The same for all batches.

    settled(instance, outcome): called on the batch's thread with each outcome once it is on disk.
    progress(): called there when the proxy has something to hear.
    region: where a number without country code is dialled.
    """

    ledger: SendLedger
    resend_uncertain: bool
    settled: Callable[[InstanceId, Settled], None]
    progress: Callable[[], None]
    region: str = DEFAULT_REGION


@attrs.frozen
class BatchResult:
    """Says how many messages a batch began to send, and how many of them WhatsApp accepted."""

    tried: int
    sent: int


@attrs.define
class SendBatch:
    """Sends one batch. `run()` is for a thread; `stop` may be set from outside at any time.

    listed_at: when the poll began that listed it, in unix seconds.
    """

    instance: InstanceId
    session: Sender
    record: SendRecord
    rows: Rows[QueuedMessage]
    listed_at: float
    stop: bool = False

    def run(self) -> BatchResult:
        """Sends what is due. Raises JournalError; then the send under way, if any, is uncertain at the next start."""
        settled = self._unfit()
        chats: dict[MessageId, Jid | None] = {outcome.message_id: None for outcome in settled}
        messages: dict[MessageId, QueuedMessage] = {}
        for message in self.rows.good:
            messages[message.id] = message
            try:
                chats[message.id] = jid.destination(message.to, self.record.region)
            except RowError as error:
                chats[message.id] = None
                settled.append(Settled(message.id, SendState.FAILED, error=error.failure.value))
        admission = self.record.ledger.admit(self.instance, chats, listed_at=self.listed_at)
        due = set(admission.due)
        hopeless = [outcome for outcome in settled if outcome.message_id in due]
        for outcome in hopeless:
            log.warning("a message cannot be sent", instance=self.instance, reason=outcome.error)
        if hopeless:
            self._commit(hopeless, None)
        if admission.relisted:
            self.record.progress()
        sendable = [
            (messages[id], chat, admission.attempts[id])
            for id in admission.due  # noqa: A001 - that is what it is
            if (chat := chats[id]) is not None
        ]
        return self._send_all(sendable)

    def _unfit(self) -> list[Settled]:
        """Returns the rows that are no messages and can be marked as failed."""
        ids = {message.id for message in self.rows.good}
        unfit: list[Settled] = []
        for bad in self.rows.bad:
            log.warning("a queued row is not a message", instance=self.instance, reason=bad.reason)
            if bad.id is not None and bad.id not in ids:
                unfit.append(Settled(bad.id, SendState.FAILED, error=bad.failure.value))
        return unfit

    def _send_all(self, due: list[tuple[QueuedMessage, Jid, int]]) -> BatchResult:
        outcomes: list[Settled] = []
        blocked: set[Jid] = set()
        tried = sent = 0
        for message, chat, tries in due:
            if self.stop:
                break
            if chat in blocked:
                continue
            outgoing = OutgoingMessage(chat, message.content)
            self._commit(outcomes, message.id, Trace(outgoing.secret, self.session.store_mark))
            tried += 1
            try:
                outcome = self._send_one(message, outgoing, tries)
            except SessionNotOpen:
                self._commit([], message.id, undo=True)
                return BatchResult(tried, sent)
            sent += outcome.state is SendState.SENT
            if outcome.state is SendState.WAITING:
                blocked.add(chat)
            outcomes = [outcome]
        if outcomes:
            self._commit(outcomes, None)
        return BatchResult(tried, sent)

    def _commit(
        self, outcomes: list[Settled], intent: MessageId | None, trace: Trace | None = None, *, undo: bool = False
    ) -> None:
        """Commits. What has been decided is kept until the disk takes it, however long that is; an intent is not."""
        while True:
            try:
                self.record.ledger.step(self.instance, outcomes, intent, trace=trace, undo=undo)
            except JournalError as error:
                if not outcomes and not undo:
                    raise
                log.error("the journal cannot commit, trying again", instance=self.instance, reason=str(error))
                time.sleep(JOURNAL_RETRY)
            else:
                break
        for outcome in outcomes:
            self.record.settled(self.instance, outcome)
        if outcomes:
            self.record.progress()

    def _send_one(self, row: QueuedMessage, message: OutgoingMessage, tries: int) -> Settled:
        """Sends a message for the (`tries` + 1)th time. Raises SessionNotOpen; any other error is an outcome."""
        try:
            accepted = self.session.send(message)
        except SessionNotOpen:
            raise
        except SendRefused as error:
            log.warning("WhatsApp refuses a message", instance=self.instance, reason=str(error))
            return Settled(row.id, SendState.FAILED, error=error.failure.value)
        except SendDelayed as error:
            return self._delayed(row.id, error, tries)
        except Exception as error:
            if not isinstance(error, SendUncertain):
                log.exception("a send failed in a way nobody expected", instance=self.instance)
            again = self.record.resend_uncertain and tries + 1 < MAX_TRIES
            state = SendState.WAITING if again else SendState.UNCERTAIN
            log.warning(
                "a message may or may not have left", instance=self.instance, reason=str(error), then=state.value
            )
            wa_id = error.wa_id if isinstance(error, SendUncertain) else None
            return Settled(row.id, state, error=str(error), doubt=True, maybe_id=wa_id)
        return Settled(
            row.id, SendState.SENT, accepted.wa_id, to=accepted.to or message.to, timestamp=accepted.timestamp
        )

    def _delayed(self, message_id: MessageId, error: SendDelayed, tries: int) -> Settled:
        if tries + 1 >= MAX_TRIES:
            log.warning("a message is given up", instance=self.instance, reason=str(error), tries=tries + 1)
            return Settled(message_id, SendState.FAILED, error=error.failure.value)
        log.warning("a message waits for another try", instance=self.instance, reason=str(error))
        pause = Backoff(error.pause, max(error.pause, LONGEST_PAUSE)).delay(tries)
        return Settled(message_id, SendState.WAITING, error=str(error), pause=pause)
