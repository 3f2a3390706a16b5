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
from wa_worker.delivery.pacing import InstancePace, PaceLook, typed
from wa_worker.edge.wire import Rows
from wa_worker.errors import Failure, JournalError, RowError, SendDelayed, SendRefused, SendUncertain, SessionNotOpen
from wa_worker.jid.numbering import DEFAULT_REGION
from wa_worker.journal import JOURNAL_RETRY, Restored, SendLedger, SendState, Settled, Trace
from wa_worker.messages import Accepted, Content, OutgoingMessage, QueuedMessage
from wa_worker.messages.pacing import PaceLimits
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


class Prepared(Protocol):
    """Says what holds the messages for which there is something to do before they are sent: preparing.py."""

    def take(self, instance: InstanceId, row: QueuedMessage) -> Content | RowError | SendDelayed | None: ...

    def drop(self, instance: InstanceId, row: QueuedMessage) -> None: ...


@attrs.frozen
class SendPolicy:
    """Says what becomes of an uncertain send, where a number without country code is dialled, and how fast it goes."""

    resend_uncertain: bool = True
    region: str = DEFAULT_REGION
    pace: PaceLimits | None = None


DEFAULT_POLICY = SendPolicy()


@attrs.frozen
class SendRecord:
    """Says where the outcomes of sends go, and what becomes of an uncertain one. The same for all batches.

    restored: knows whether the ledger has a gap, because it came from a backup.
    prepared: what is ready of the messages that take time before they are sent.
    settled(instance, outcome): called on the batch's thread with each outcome once it is on disk.
    progress(): called there when the proxy has something to hear.
    """

    ledger: SendLedger
    prepared: Prepared
    settled: Callable[[InstanceId, Settled], None]
    progress: Callable[[], None]
    policy: SendPolicy = DEFAULT_POLICY
    restored: Restored | None = None


@attrs.frozen
class BatchResult:
    """Says how many messages a batch began to send, how many of them WhatsApp accepted, and which wait to be prepared,
    each with its chat. `held`: seconds until the first of those that PACE holds back is to be looked at again."""

    tried: int
    sent: int
    unprepared: tuple[tuple[QueuedMessage, Jid], ...] = ()
    held: float | None = None


@attrs.frozen
class _Addressed:
    """Holds a row and the addresses in it, as JIDs."""

    row: QueuedMessage
    to: Jid
    author: Jid | None
    mentions: tuple[Jid, ...]


@attrs.define
class SendBatch:
    """Sends one batch. `run()` is for a thread; `stop` may be set from outside at any time.

    listed_at: when the poll began that listed it, in unix seconds. pace: what holds messages back, if anything does.
    """

    instance: InstanceId
    session: Sender
    record: SendRecord
    rows: Rows[QueuedMessage]
    listed_at: float
    pace: InstancePace | None = None
    stop: bool = False

    def run(self) -> BatchResult:
        """Sends what is due. Raises JournalError; then the send under way, if any, is uncertain at the next start."""
        settled = self._unfit()
        chats: dict[MessageId, Jid | None] = {outcome.message_id: None for outcome in settled}
        messages: dict[MessageId, _Addressed] = {}
        for row in self.rows.good:
            try:
                messages[row.id] = self._addressed(row)
                chats[row.id] = messages[row.id].to
            except RowError as error:
                chats[row.id] = None
                settled.append(Settled(row.id, SendState.FAILED, error=error.failure.value))
        if self.record.restored is not None:
            to = {message_id: message.to for message_id, message in messages.items()}
            self.record.restored.listed(self.instance, to, hold=not self.record.policy.resend_uncertain)
        admission = self.record.ledger.admit(self.instance, chats, listed_at=self.listed_at)
        due = set(admission.due)
        hopeless = [outcome for outcome in settled if outcome.message_id in due]
        for outcome in hopeless:
            log.warning("a message cannot be sent", instance=self.instance, reason=outcome.error)
        if hopeless:
            self._commit(hopeless, None)
        if admission.relisted:
            self.record.progress()
        return self._send_all([(messages[id], admission.attempts[id]) for id in admission.due if id in messages])  # noqa: A001

    def _addressed(self, row: QueuedMessage) -> _Addressed:
        """Reads the addresses of a row. Raises RowError."""
        to = jid.destination(row.to, self.record.policy.region)
        try:
            people = [jid.destination(each, self.record.policy.region) for each in row.mentions]
        except RowError as error:
            raise RowError(Failure.BAD_MENTIONS) from error
        author = None
        if row.target is not None and row.target.sender is not None:
            try:
                author = jid.destination(row.target.sender, self.record.policy.region)
            except RowError as error:
                raise RowError(Failure.BAD_CONTEXT) from error
        return _Addressed(row, to, author, tuple(dict.fromkeys(people)))

    def _unfit(self) -> list[Settled]:
        """Returns the rows that are no messages and can be marked as failed."""
        ids = {message.id for message in self.rows.good}
        unfit: list[Settled] = []
        for bad in self.rows.bad:
            log.warning("a queued row is not a message", instance=self.instance, reason=bad.reason)
            if bad.id is not None and bad.id not in ids:
                unfit.append(Settled(bad.id, SendState.FAILED, error=bad.failure.value))
        return unfit

    def _send_all(self, due: list[tuple[_Addressed, int]]) -> BatchResult:
        if (look := None if self.pace is None else self.pace.look({message.to for message, _ in due})) is not None:
            due = sorted(due, key=lambda each: not look.wrote_recently(each[0].to))  # stable: a chat keeps its order
        outcomes: list[Settled] = []
        blocked: set[Jid] = set()
        unprepared: list[tuple[QueuedMessage, Jid]] = []
        tried = sent = 0
        for message, tries in due:
            row, chat = message.row if look is None else typed(message.row), message.to
            if self.stop:
                break
            if chat in blocked:
                if row.takes_time and not row.typing:  # that may begin before its turn
                    unprepared.append((row, chat))
                continue
            content = self.record.prepared.take(self.instance, row) if row.takes_time else row.content
            try:
                if look is not None and look.holds(row, chat, content):
                    continue
            except JournalError:
                self._commit(outcomes, None)
                raise
            if content is None:
                unprepared.append((row, chat))
                blocked.add(chat)
                continue
            tried += 1
            if isinstance(content, RowError | SendDelayed):
                outcome = self._unprepared(row, content, tries)
                self._commit([*outcomes, outcome], None)
                outcomes = []
            else:
                try:
                    outgoing = self._outgoing(message, content)
                    trace = Trace(outgoing.secret, self.session.store_mark, outgoing.poll_options)
                except Exception:
                    if outcomes:  # what was sent before is recorded, whatever keeps this one from being sent
                        self._commit(outcomes, None)
                    raise
                self._commit(outcomes, row.id, trace)
                try:
                    outcome = self._send_one(row, outgoing, tries, look)
                except SessionNotOpen:
                    self._commit([], row.id, undo=True)
                    return BatchResult(tried, sent, tuple(unprepared))
                outcomes = [outcome]
            if look is not None:
                look.over(row.id, chat, accepted=outcome.state is SendState.SENT)
            sent += outcome.state is SendState.SENT
            if outcome.state is SendState.WAITING:
                blocked.add(chat)
            elif row.takes_time:
                self.record.prepared.drop(self.instance, row)
        if outcomes:
            self._commit(outcomes, None)
        return BatchResult(tried, sent, tuple(unprepared), None if look is None else look.end())

    def _outgoing(self, message: _Addressed, content: Content) -> OutgoingMessage:
        """Raises JournalError."""
        row = message.row
        ours = (
            row.target is not None
            and message.author is None
            and self.record.ledger.wrote(self.instance, row.target.message_id)
        )
        return OutgoingMessage(
            message.to, content, quote=row.quote, mentions=message.mentions, author=message.author, ours=ours
        )

    def _unprepared(self, row: QueuedMessage, error: RowError | SendDelayed, tries: int) -> Settled:
        """Returns the outcome of a message that could not be prepared: a try like another, but nothing has left."""
        if isinstance(error, SendDelayed):
            return attrs.evolve(self._delayed(row.id, error, tries), counted=True)
        log.warning("a message cannot be sent", instance=self.instance, reason=error.failure.value)
        return Settled(row.id, SendState.FAILED, error=error.failure.value, counted=True)

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

    def _send_one(self, row: QueuedMessage, message: OutgoingMessage, tries: int, look: PaceLook | None) -> Settled:
        """Sends a message for the (`tries` + 1)th time. Raises SessionNotOpen; any other error is an outcome."""
        try:
            accepted = self.session.send(message)
        except SessionNotOpen:
            raise
        except SendRefused as error:
            log.warning("WhatsApp refuses a message", instance=self.instance, reason=str(error))
            return Settled(row.id, SendState.FAILED, error=error.failure.value)
        except SendDelayed as error:
            if look is not None and error.failure is Failure.LIMITED:
                look.refused()
            return self._delayed(row.id, error, tries)
        except Exception as error:
            if not isinstance(error, SendUncertain):
                log.exception("a send failed in a way nobody expected", instance=self.instance)
            again = self.record.policy.resend_uncertain and tries + 1 < MAX_TRIES
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
