"""`/queued-messages` to WhatsApp through the ledger (P1, P2), for one connected instance.

A batch is one thread hop: the ledger admits it, then each message is committed as an intent, sent, and its outcome
committed together with the next intent. The thread finishes the send it is in and records it even when the task
that waits for it is cancelled. Polls never overlap, and sends of an instance run one after another.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Protocol

import attrs
import structlog
import trio

from wa_worker import jid
from wa_worker.backoff import Backoff
from wa_worker.delivery.poll_timer import PollTimer
from wa_worker.edge.client import EdgeClient
from wa_worker.edge.wire import Rows
from wa_worker.errors import (
    EdgeError,
    JournalError,
    SendDelayed,
    SendRefused,
    SendUncertain,
    SessionNotOpen,
)
from wa_worker.journal import SendLedger, SendState, Settled
from wa_worker.messages import Accepted, QueuedMessage
from wa_worker.models import InstanceId, Jid, MessageId

log = structlog.get_logger(__name__)

MAX_TRIES = 8
"""Sends begun before a message that keeps failing is given up. With the pauses below: about half an hour."""

LONGEST_PAUSE = 900.0
"""Seconds to which a message's pause grows with its tries, unless the error's own pause is longer."""

JOURNAL_RETRY = 0.5
"""Seconds between tries to commit an outcome."""

SHUTDOWN_GRACE = 3.0
"""Seconds for a send under way when the worker stops or the instance goes; then its thread finishes alone."""

POLL_RETRY = Backoff(first=1.0, ceiling=30.0)

MARKS_GRACE = 5.0
"""Seconds to wait for a batch's marks before the next poll: the proxy would only list the same messages again."""


class Sender(Protocol):
    """What sends: a session. Blocks the calling thread; raises SendError."""

    def send(self, to: Jid, text: str) -> Accepted: ...


@attrs.define
class Dispatch:
    """One batch on its way. `run()` is for a thread; `stop` may be set from outside at any time."""

    instance: InstanceId
    messages: list[QueuedMessage]
    rejected: list[tuple[MessageId, str]]
    listed_at: float
    ledger: SendLedger
    sender: Sender
    resend_uncertain: bool
    on_progress: Callable[[], None]
    on_settled: Callable[[Settled], None] = lambda _settled: None
    """Called with each outcome once it is on disk."""
    stop: bool = False
    tried: int = 0
    sent: int = 0
    held: int = 0

    def run(self) -> None:
        """Sends what is due. Raises JournalError; then the send under way, if any, is uncertain at the next start."""
        done = [Settled(m, SendState.FAILED, error=reason) for m, reason in self.rejected]
        batch: dict[MessageId, Jid | None] = {m: None for m, _ in self.rejected}
        bodies: dict[MessageId, QueuedMessage] = {}
        for message in self.messages:
            try:
                batch[message.id] = jid.destination(message.to)
                bodies[message.id] = message
            except ValueError as error:
                batch[message.id] = None
                done.append(Settled(message.id, SendState.FAILED, error=f"bad destination: {error}"))
        admission = self.ledger.admit(self.instance, batch, listed_at=self.listed_at)
        due = set(admission.due)
        hopeless = [settled for settled in done if settled.message_id in due]
        for settled in hopeless:
            log.warning("a message cannot be sent", instance=self.instance, reason=settled.error)
        if hopeless:
            self._record(hopeless, None)
        if admission.relisted:
            self.on_progress()
        self.held = admission.held
        self._send([bodies[m] for m in admission.due if m in bodies], batch, dict(admission.attempts))

    def _send(self, due: list[QueuedMessage], chats: dict[MessageId, Jid | None], tries: dict[MessageId, int]) -> None:
        done: list[Settled] = []
        blocked: set[Jid] = set()
        for message in due:
            chat = chats[message.id]
            if self.stop:
                break
            if chat is None or chat in blocked:
                continue
            self._record(done, message.id)
            self.tried += 1
            try:
                done = [self._one(message, chat, tries[message.id])]
            except SessionNotOpen:
                self._record([], message.id, undo=True)
                return
            if done[0].state is SendState.WAITING:
                blocked.add(chat)
        if done:
            self._record(done, None)

    def _record(self, done: list[Settled], intent: MessageId | None, *, undo: bool = False) -> None:
        """Commits. What has been decided is kept until the disk takes it, however long that is; an intent is not."""
        while True:
            try:
                self.ledger.step(self.instance, done, intent, undo=undo)
            except JournalError as error:
                if not done and not undo:
                    raise
                log.error("the journal cannot commit, trying again", instance=self.instance, reason=str(error))
                time.sleep(JOURNAL_RETRY)
            else:
                break
        for settled in done:
            self.on_settled(settled)
        if done:
            self.on_progress()

    def _one(self, message: QueuedMessage, chat: Jid, tried: int) -> Settled:
        try:
            accepted = self.sender.send(chat, message.body)
        except SessionNotOpen:
            raise
        except SendRefused as no:
            log.warning("WhatsApp refuses a message", instance=self.instance, reason=str(no))
            return Settled(message.id, SendState.FAILED, error=str(no))
        except SendDelayed as no:
            if tried + 1 >= MAX_TRIES:
                log.warning("a message is given up", instance=self.instance, reason=str(no), tries=tried + 1)
                return Settled(message.id, SendState.FAILED, error=f"given up after {tried + 1} tries: {no}")
            log.warning("a message waits for another try", instance=self.instance, reason=str(no))
            return Settled(
                message.id,
                SendState.WAITING,
                error=str(no),
                pause=Backoff(no.pause, max(no.pause, LONGEST_PAUSE)).delay(tried),
            )
        except Exception as maybe:
            if not isinstance(maybe, SendUncertain):
                log.exception("a send failed in a way nobody expected", instance=self.instance)
            again = self.resend_uncertain and tried + 1 < MAX_TRIES
            state = SendState.WAITING if again else SendState.UNCERTAIN
            log.warning(
                "a message may or may not have left", instance=self.instance, reason=str(maybe), then=state.value
            )
            return Settled(message.id, state, error=str(maybe), doubt=True)
        self.sent += 1
        return Settled(message.id, SendState.SENT, accepted.wa_id)


async def run_outbox(
    instance: InstanceId,
    sender: Sender,
    *,
    edge: EdgeClient,
    ledger: SendLedger,
    timer: PollTimer,
    resend_uncertain: bool,
    connected: Callable[[], Awaitable[None]],
    on_progress: Callable[[], None],
    on_settled: Callable[[Settled], None],
    marks_settled: Callable[[InstanceId, float], Awaitable[None]],
    threads: trio.Nursery,
) -> None:
    """Polls and sends until cancelled; `connected()` returns once the instance is.

    Cancelled in the middle of a send: gives it SHUTDOWN_GRACE seconds, then leaves it to its thread.
    """
    failures = POLL_RETRY.delays()
    await timer.first()
    while True:
        await connected()
        listed_at = time.time()
        try:
            rows = await edge.queued_messages(instance)
        except EdgeError as error:
            log.warning("queued messages not listed", instance=instance, endpoint=error.endpoint, reason=error.detail)
            await trio.sleep(error.retry_after or next(failures))
            continue
        failures = POLL_RETRY.delays()
        sent = 0
        if rows.good or rows.bad:
            dispatch = _dispatch(instance, rows, listed_at, ledger, sender, resend_uncertain, on_progress, on_settled)
            try:
                await _on_thread(dispatch, threads)
                sent = dispatch.sent
                if dispatch.tried:
                    timer.activity()
            except JournalError as error:
                log.error("nothing is sent while the journal cannot commit", instance=instance, reason=str(error))
        if sent:
            with trio.move_on_after(MARKS_GRACE):
                await marks_settled(instance, listed_at)  # not older ones, which the proxy may refuse for ever
        else:
            await timer.wait()


def _dispatch(
    instance: InstanceId,
    rows: Rows[QueuedMessage],
    listed_at: float,
    ledger: SendLedger,
    sender: Sender,
    resend_uncertain: bool,
    on_progress: Callable[[], None],
    on_settled: Callable[[Settled], None],
) -> Dispatch:
    rejected: list[tuple[MessageId, str]] = []
    ids = {message.id for message in rows.good}
    for bad in rows.bad:
        log.warning("a queued row is not a message", instance=instance, reason=bad.reason)
        if bad.id is not None and bad.id not in ids:
            rejected.append((bad.id, f"not a message: {bad.reason}"))
    good = list(rows.good)
    return Dispatch(
        instance, good, rejected, listed_at, ledger, sender, resend_uncertain, on_progress, on_settled=on_settled
    )


async def _on_thread(dispatch: Dispatch, threads: trio.Nursery) -> None:
    """Runs the batch on a thread whose task lives in `threads`. On cancel it stops after the send under way, which
    gets SHUTDOWN_GRACE seconds. Raises what the batch raised."""
    finished = trio.Event()
    failure: Exception | None = None

    async def run() -> None:
        nonlocal failure
        try:
            await trio.to_thread.run_sync(dispatch.run, limiter=trio.CapacityLimiter(1), abandon_on_cancel=True)
        except Exception as error:  # noqa: BLE001 - goes on to who waits: this nursery is everybody's
            failure = error
        finally:
            finished.set()

    threads.start_soon(run)
    try:
        await finished.wait()
    except trio.Cancelled:
        dispatch.stop = True
        with trio.move_on_after(SHUTDOWN_GRACE, shield=True):
            await finished.wait()
        raise
    if failure is not None:
        raise failure
