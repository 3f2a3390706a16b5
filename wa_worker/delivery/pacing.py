"""PACE at work: asks the journal for the facts, lets pace.py decide, and says what is held back and why.

A message that is held back is not in the ledger's hands: it stays as the proxy lists it, no try is counted, and nothing
of it can be lost. The proxy of version 2 is told of holds of a minute and more, for as long as it understands that.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable

import attrs
import structlog
import trio

from wa_worker.delivery.held_back import HeldBack
from wa_worker.delivery.optional_call import ABSENT_FOR, UNKNOWN_EVENT
from wa_worker.delivery.pace import RECENTLY, RESTRICTED_FOR, Facts, Held, Pace, Today, typing_for
from wa_worker.edge.client import EdgeClient
from wa_worker.edge.events import held_event
from wa_worker.errors import EdgeError, JournalError
from wa_worker.jid import is_group
from wa_worker.journal import Contacts
from wa_worker.journal.contacts import Account
from wa_worker.messages import Content, OutgoingMedia, QueuedMessage, Text
from wa_worker.messages.pacing import HeldMessage, PaceLimits
from wa_worker.metrics import Metrics
from wa_worker.models import InstanceId, Jid, MessageId
from wa_worker.wakeup import Wakeup

log = structlog.get_logger(__name__)

SAID_AGAIN = 60.0
"""Seconds in which the log says once of an instance that messages are held back."""

SHORTEST_WAIT = 0.25
"""Seconds before the next look at what is held back, at the least."""

NO_ACCOUNT = Jid("")


class Pacing:
    """One per process. limits None: nothing is held back, and only since when numbers are linked is noted."""

    def __init__(self, limits: PaceLimits | None, contacts: Contacts, edge: EdgeClient, metrics: Metrics) -> None:
        self._limits = limits
        self._contacts = contacts
        self._edge = edge
        self._metrics = metrics
        self._instances: dict[InstanceId, InstancePace] = {}
        self._accounts: dict[InstanceId, Jid] = {}
        self._silent_until = 0.0
        """Until when the proxy counts as one that does not know the word (`trio.current_time()`)."""

    def of(self, instance: InstanceId) -> InstancePace | None:
        """Returns what paces an instance, the same one in each of its sessions; None: nothing does."""
        if self._limits is None:
            return None
        if instance not in self._instances:
            pace = Pace(self._limits, time.monotonic())
            self._instances[instance] = InstancePace(instance, pace, self._contacts, self._metrics)
        self._instances[instance].account = self._accounts.get(instance, NO_ACCOUNT)
        return self._instances[instance]

    async def linked(self, instance: InstanceId, account: Jid) -> None:
        """Notes whose number an instance is, before anything is sent."""
        self._accounts[instance] = account
        try:
            await trio.to_thread.run_sync(self._note, instance, account)
        except JournalError as error:
            log.error("the journal cannot commit", instance=instance, reason=str(error))

    def _note(self, instance: InstanceId, account: Jid) -> None:
        self._contacts.linked(instance, account)
        if self._limits is not None:
            self._contacts.learn(instance, account)

    def forget(self, instance: InstanceId) -> None:
        """An instance has ended. What must outlast that is in the journal; should it come back, its rate begins anew,
        with nothing."""
        self._instances.pop(instance, None)
        self._accounts.pop(instance, None)

    def learn(self) -> None:
        """Takes over whom the inbox and the ledger know, before that is forgotten. Blocking. Raises JournalError."""
        if self._limits is not None:
            for instance, account in list(self._accounts.items()):
                self._contacts.learn(instance, account)

    async def tell(self, paced: InstancePace) -> None:
        """Tells the proxy what is held back, until cancelled. What it cannot be told now is told with the next look."""
        while True:
            await paced.held_more.wait()
            paced.held_more.arm()
            if not self._edge.poster.batches or trio.current_time() < self._silent_until:
                continue
            async with trio.open_nursery() as nursery:
                for message in paced.held.to_tell(time.time()):
                    nursery.start_soon(self._tell, paced.held, message)

    async def _tell(self, held: HeldBack, message: HeldMessage) -> None:
        try:
            await self._edge.poster.tell(held_event(message))
        except EdgeError as error:
            if error.status in UNKNOWN_EVENT and trio.current_time() >= self._silent_until:
                log.info("the proxy does not take the status held", remembered_seconds=ABSENT_FOR)
                self._silent_until = trio.current_time() + ABSENT_FOR
        else:
            held.told(message)


class InstancePace:
    """Paces one instance. Its batches run one at a time, on threads."""

    def __init__(self, instance: InstanceId, pace: Pace, contacts: Contacts, metrics: Metrics) -> None:
        self.account = NO_ACCOUNT
        self.held = HeldBack()
        self.held_more = Wakeup()
        self._instance = instance
        self._pace = pace
        self._contacts = contacts
        self._metrics = metrics
        self._said_at = -SAID_AGAIN

    def look(self, chats: Iterable[Jid]) -> PaceLook:
        """Begins a look at what is queued for these chats. Raises JournalError."""
        self._pace.look()
        return PaceLook(self, self._facts(chats), self._contacts.account(self._instance, self.account))

    def _facts(self, chats: Iterable[Jid]) -> dict[Jid, Facts]:
        people, found = [], {}
        for chat in chats:
            if is_group(chat):
                found[chat] = Facts(open=True)
            else:
                people.append(chat)
        for chat, contact in self._contacts.find(self._instance, self.account, people).items():
            found[chat] = Facts(heard_at=contact.heard_at, begun=contact.begun)
        return found

    def ask(self, message: MessageId, chat: Jid, facts: Facts, today: Today) -> HeldMessage | None:
        """Says whether a message is held back; None: it is to be sent. Raises JournalError."""
        steady, spread = time.monotonic(), random.random()  # noqa: S311 - no secret
        held = self._pace.ask(message, chat, facts, today, steady, spread)
        return self._noted(held, message, chat, facts, today)

    def prepare(self, message: MessageId, chat: Jid, facts: Facts, today: Today, typed: bool) -> HeldMessage | None:
        """Says whether a message is not even to be prepared. Raises JournalError."""
        held = self._pace.prepare(message, chat, facts, today, time.monotonic(), typed)
        return self._noted(held, message, chat, facts, today)

    def _noted(
        self, held: Held | None, message: MessageId, chat: Jid, facts: Facts, today: Today
    ) -> HeldMessage | None:
        """Writes down what was decided: who is written to first is on disk before that."""
        if held is not None:
            found = HeldMessage(self._instance, message, chat, held.reason, today.now + held.seconds)
            if self.held.note(found):
                self._metrics.held_back(held.reason)
            return found
        if facts.is_first:
            try:
                self._contacts.begin(self._instance, self.account, chat, first=True)
            except JournalError:
                self._pace.over(message, chat)
                raise
        self.held.drop(message)
        return None

    def over(self, message: MessageId, chat: Jid) -> None:
        """A try is over, whatever became of it."""
        self._pace.over(message, chat)
        self.held.drop(message)

    def restrict(self, seconds: float) -> None:
        """Holds first messages back for so long; 0: no longer. Raises JournalError."""
        self._contacts.restrict(self._instance, self.account, seconds)

    def say(self) -> None:
        """Says what is held back: to the log once in a while, and to who tells the proxy."""
        self.held_more.ring()
        if time.monotonic() - self._said_at < SAID_AGAIN:
            return
        self._said_at = time.monotonic()
        view = self.held.view(time.time())
        log.info(
            "messages are held back",
            instance=self._instance,
            messages=view.messages,
            because={reason.value: count for reason, count in sorted(view.reasons.items())},
            until=None if view.until is None else round(view.until),
        )


class PaceLook:
    """One look of an instance at what is queued. For the thread of the batch."""

    def __init__(self, paced: InstancePace, facts: dict[Jid, Facts], account: Account) -> None:
        self._paced = paced
        self._facts = facts
        self._account = account
        self._until: float | None = None

    def wrote_recently(self, chat: Jid) -> bool:
        """Says whether somebody waits for an answer there: they go first."""
        heard_at = self._facts[chat].heard_at
        return heard_at is not None and time.time() - heard_at < RECENTLY

    def holds(self, row: QueuedMessage, chat: Jid, content: Content | Exception | None) -> bool:
        """Says whether a message is held back: one that is ready before it is sent, another before it is prepared
        (`content` None). One that cannot be sent is not: that is told at once. Raises JournalError."""
        facts, account = self._facts[chat], self._account
        today = Today(time.time(), account.firsts, account.linked_at, account.restricted_for)
        if isinstance(content, Exception):
            return False
        if content is None:
            is_typed = not isinstance(row.content, OutgoingMedia)
            return self._noted(self._paced.prepare(row.id, chat, facts, today, is_typed), chat)
        return self._noted(self._paced.ask(row.id, chat, facts, today), chat)

    def _noted(self, held: HeldMessage | None, chat: Jid) -> bool:
        if held is not None:
            self._until = held.until if self._until is None else min(self._until, held.until)
            return True
        if self._facts[chat].is_first:  # the next one to the same person is not the first
            self._facts[chat] = Facts(begun=True)
            self._account = attrs.evolve(self._account, firsts=(*self._account.firsts, time.time()))
        return False

    def over(self, message: MessageId, chat: Jid, *, accepted: bool) -> None:
        """A try is over. accepted: WhatsApp has taken the message."""
        self._paced.over(message, chat)
        if accepted and not self._facts[chat].known and self._account.restricted_for > 0:
            self._restrict(0.0)

    def refused(self) -> None:
        """WhatsApp has refused a message with error 463."""
        self._restrict(RESTRICTED_FOR)

    def _restrict(self, seconds: float) -> None:
        self._account = attrs.evolve(self._account, restricted_for=seconds)
        try:
            self._paced.restrict(seconds)
        except JournalError as error:  # it holds for this look, and the next refusal says it again
            log.error("the journal cannot commit", reason=str(error))

    def end(self) -> float | None:
        """Ends the look. Returns the seconds until the first of what is held back is to be looked at again."""
        if self._until is None:
            return None
        self._paced.say()
        return max(self._until - time.time(), SHORTEST_WAIT)


def typed(row: QueuedMessage) -> QueuedMessage:
    """Returns a row for which typing is shown, if it is a text and the proxy says nothing of that."""
    if row.typing is None and isinstance(row.content, Text):
        return attrs.evolve(row, typing=typing_for(row.content.body))
    return row
