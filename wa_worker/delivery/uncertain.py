"""Sends of which nobody knows whether they left: what proves that they did, and when they are sent again (P2).

The session store has the id under which such a message left, if it left (whatsapp/message_secrets.py). A receipt for
that id is the proof: the message is sent, and nothing is sent again. Where the policy is to resend, that is waited for
first. Ids that wait are kept in memory; a receipt for any other costs a look into a set.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable
from typing import Protocol

import attrs
import structlog
import trio

from wa_worker.errors import JournalError, SessionError
from wa_worker.journal import JOURNAL_RETRY, CutOff, Doubts, SendState, Settled
from wa_worker.models import InstanceId, MessageId, WaMessageId
from wa_worker.wakeup import Wakeup

log = structlog.get_logger(__name__)

UNCERTAIN_WAIT = 6.0
"""Seconds on a steady line without a receipt after which a message is sent again. A phone that is on answers within a
second or two; whatsmeow's own second try, which ends before this begins, waits for a line for 5 (`retryFrame`)."""

LOOK_AGAIN = 1.0
"""Seconds between looks at the line, while a message waits for a receipt."""

RECENT = 600.0
"""Seconds after the beginning of a send for which a start believes a session store that does not know it. A copy of the
volume that somebody has put back is older, as a rule, and knows nothing of what was sent since."""

LookUp = Callable[[InstanceId, bytes, str | None], WaMessageId | None]
"""Asks the session store of an instance under which id the message with this secret has left; see sent_id()."""


class Line(Protocol):
    """Says for how long an instance's line has been up: a session."""

    @property
    def steady(self) -> float: ...


@attrs.define(eq=False)
class _Instance:
    """Holds the uncertain sends of an instance."""

    ids: dict[str, MessageId | None] = attrs.Factory(dict)
    """Those that a receipt would settle, by id. None: the ledger does not have that id yet."""
    proven: set[str] = attrs.Factory(set)
    """Ids for which a receipt came, and which the ledger does not count as sent yet."""
    waiting: dict[MessageId, float] = attrs.Factory(dict)
    """Messages to be sent again, and since when they wait (monotonic seconds)."""
    bell: Wakeup | None = None
    """Rung when there is something to do. None as long as no session has been open."""

    def ring(self) -> None:
        if self.bell is not None:
            self.bell.ring()

    def forget(self, message_id: MessageId) -> None:
        self.waiting.pop(message_id, None)
        for wa_id in [wa_id for wa_id, of in self.ids.items() if of == message_id]:
            self.drop(wa_id)

    def drop(self, wa_id: str) -> None:
        self.ids.pop(wa_id, None)
        self.proven.discard(wa_id)


class UncertainSends:
    """Follows the uncertain sends of all instances. One per process; `run()` once for each open session.

    settled(outcome): called with each message that a receipt proves to be sent, once that is on disk. progress():
    called when the proxy has something to hear.
    """

    def __init__(
        self,
        doubts: Doubts,
        settled: Callable[[Settled], None],
        progress: Callable[[], None],
        *,
        resend: bool,
        wait: float = UNCERTAIN_WAIT,
    ) -> None:
        self._doubts = doubts
        self._settled = settled
        self._progress = progress
        self.resend = resend
        self._wait = wait
        self._lock = threading.Lock()
        self._instances: dict[InstanceId, _Instance] = {}

    # --- at the start

    def recover(self, look_up: LookUp, tries: int, instance: InstanceId | None = None) -> int:
        """Asks the session stores what became of the sends that the last stop cut off; of one instance, if it is named,
        that was another worker's. Blocking; before SendLedger.recover(). Returns how many never left. Raises
        JournalError."""
        found: dict[int, WaMessageId | None] = {}
        for intent in self._doubts.cut_off(instance):
            try:
                found[intent.seq] = _found(intent, look_up)
            except SessionError as error:
                log.warning("nothing tells whether a message left", instance=intent.instance, reason=str(error))
        return self._doubts.found(found, resend=self.resend, tries=tries, instance=instance)

    def load(self, instance: InstanceId | None = None) -> None:
        """Takes up what the ledger knows of, of one instance if it is named, after SendLedger.recover(). Blocking.
        Raises JournalError."""
        rows = self._doubts.maybe_sent(instance)
        with self._lock:
            if instance is not None:  # what was known when it was last ours is old
                self._instances.pop(instance, None)
            for row in rows:
                at = self._of(row.instance)
                at.ids.update(dict.fromkeys(row.wa_ids, row.message_id))
                if row.unproven:
                    at.waiting[row.message_id] = time.monotonic()

    # --- threads of the library and of batches

    def expect(self, instance: InstanceId, wa_id: WaMessageId) -> None:
        """A receipt for this id proves something from now on. `settled()` says what."""
        with self._lock:
            self._of(instance).ids[wa_id] = None

    def heard(self, instance: InstanceId, wa_ids: Iterable[str]) -> None:
        """Receipts for these ids have come: nearly always for none that waits."""
        at = self._instances.get(instance)
        if at is None or not at.ids:
            return
        with self._lock:
            if proven := at.ids.keys() & wa_ids:
                at.proven |= proven
                at.ring()

    def distrust(self, instance: InstanceId) -> None:
        """See Doubts.distrust()."""
        log.warning("the session store could not be written: it is no witness of what leaves", instance=instance)
        self._doubts.distrust(instance)

    def settled(self, instance: InstanceId, outcome: Settled) -> None:
        """The outcome of a send is on disk."""
        at = self._instances.get(instance)
        if outcome.maybe_id is None and (at is None or not at.ids):
            return
        with self._lock:
            at = self._of(instance)
            if outcome.wa_id is not None:
                at.drop(outcome.wa_id)
            if outcome.state is SendState.SENT:
                at.forget(outcome.message_id)
            if outcome.maybe_id is not None:
                at.ids[outcome.maybe_id] = outcome.message_id
            if outcome.waits_for_receipt:
                at.waiting[outcome.message_id] = time.monotonic()
            if at.ids:
                at.ring()

    # --- Trio

    async def run(self, instance: InstanceId, line: Line, progress: Callable[[], None]) -> None:
        """Follows an instance's uncertain sends until cancelled. `progress()` is called when its chats can go on."""
        with self._lock:
            at = self._of(instance)
            bell = at.bell = Wakeup()
        while True:
            bell.arm()
            if await self._prove(instance, at):
                progress()
            overdue, left = self._overdue(at, line)
            if overdue and await self._release(instance, at, overdue):
                progress()
                continue
            with trio.move_on_after(min(max(left, 0.1), LOOK_AGAIN) if at.waiting else math.inf):
                await bell.wait()

    def _overdue(self, at: _Instance, line: Line) -> tuple[list[MessageId], float]:
        """Returns the messages that have waited long enough, and for how many seconds the next one has to."""
        now = time.monotonic()
        with self._lock:
            proven = {at.ids[wa_id] for wa_id in at.proven}
            left = {
                message_id: self._wait - min(line.steady, now - since)
                for message_id, since in at.waiting.items()
                if message_id not in proven
            }
        return [message_id for message_id in left if left[message_id] <= 0], min(left.values(), default=math.inf)

    async def _prove(self, instance: InstanceId, at: _Instance) -> bool:
        """Says whether a message turned out to be sent."""
        with self._lock:
            sent = {of: WaMessageId(wa_id) for wa_id in at.proven if (of := at.ids.get(wa_id)) is not None}
        if not sent:
            return False
        try:
            busy = await trio.to_thread.run_sync(self._doubts.prove, instance, sent)
        except JournalError as error:
            await self._journal_fails(instance, error)
            at.ring()
            return False
        for message_id in sent.keys() - set(busy):  # a busy one is looked at again when that send has its outcome
            log.info("a receipt proves that an uncertain message was sent", instance=instance)
            self._settled(Settled(message_id, SendState.SENT, sent[message_id]))
            with self._lock:
                at.forget(message_id)
        if len(busy) == len(sent):
            return False
        self._progress()
        return True

    async def _release(self, instance: InstanceId, at: _Instance, overdue: list[MessageId]) -> bool:
        """Lets messages be sent again for which no receipt came. Says whether it did."""
        try:
            await trio.to_thread.run_sync(self._doubts.release, instance, overdue)
        except JournalError as error:
            await self._journal_fails(instance, error)
            return False
        with self._lock:
            for message_id in overdue:  # its ids still wait: the next try takes a moment to begin
                at.waiting.pop(message_id, None)
        log.warning(
            "no receipt has come for uncertain messages: they are sent again", instance=instance, messages=len(overdue)
        )
        return True

    async def _journal_fails(self, instance: InstanceId, error: JournalError) -> None:
        log.error("the journal cannot commit, trying again", instance=instance, reason=str(error))
        await trio.sleep(JOURNAL_RETRY)

    def _of(self, instance: InstanceId) -> _Instance:
        return self._instances.setdefault(instance, _Instance())


def _found(intent: CutOff, look_up: LookUp) -> WaMessageId | None:
    """Raises SessionError if nothing is known."""
    if intent.secret is None:
        raise SessionError("it was begun by an older version")
    recent = 0 <= time.time() - intent.begun <= RECENT
    return look_up(intent.instance, intent.secret, intent.store if recent else None)
