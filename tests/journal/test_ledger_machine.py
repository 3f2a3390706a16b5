"""P1 and P2 under any interleaving of polls, outcomes, marks and crashes: the ledger and Dispatch against a model."""

from __future__ import annotations

import enum
import time
from collections import Counter, defaultdict

import attrs
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from tests.delivery.sessions import Nothing, words
from tests.journal.machine import CHATS, FEWER, SETTINGS, SHOP, Machine
from tests.journal.rows import YEAR
from wa_worker.delivery.batch import SendBatch, SendPolicy, SendRecord
from wa_worker.edge.wire import Rows
from wa_worker.errors import SendDelayed, SendRefused, SendUncertain, SessionNotOpen
from wa_worker.messages import Accepted, OutgoingMessage, QueuedMessage, Text
from wa_worker.models import Jid, WaMessageId


class Death(BaseException):
    """kill -9: nothing of ours may catch it."""


class Fate(enum.Enum):
    """What becomes of a send."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    DELAYED = "delayed, due at once"
    PAUSED = "delayed for a year"
    NOT_OPEN = "the session is not open"
    LOST = "uncertain, and it did not leave"
    LEFT = "uncertain, and it left"
    LOST_KNOWN = "uncertain, and it did not leave under the id that is known"
    LEFT_KNOWN = "uncertain, and it left under an id that is known"
    DIED_BEFORE = "the process died before it left"
    DIED_AFTER = "the process died after WhatsApp accepted it"
    DIED_RECORDED = "the process died when the outcome was on disk"


# lists, and chains of one kind of trouble; long enough that few sends are left to go well by themselves
FATES = st.lists(st.sampled_from(Fate), min_size=3, max_size=6) | st.sampled_from(Fate).map(lambda fate: [fate] * 4)
NEW = st.lists(st.sampled_from(CHATS), max_size=4)


class Answer(enum.Enum):
    """What becomes of a mark."""

    HEARD = "heard"
    UNHEARD = "no answer, and not heard"
    UNANSWERED = "no answer, but heard"
    FORGOTTEN = "a 2xx, but the proxy goes on listing the message"
    DIED = "heard, and the process died"


@attrs.define
class Row:
    """A message at the proxy. Its body is its name."""

    id: int
    chat: Jid
    listed: bool = True


class LedgerMachine(Machine):
    """It is the proxy and WhatsApp at once, and the `Sender` that a batch is given."""

    store_mark: str | None = None

    def __init__(self) -> None:
        super().__init__()
        self.resend = True
        self.rows: list[Row] = []
        self.copies: Counter[int] = Counter()
        self.first_copies: dict[Jid, list[int]] = defaultdict(list)
        self.fates: list[Fate] = []
        self.receipts: dict[WaMessageId, int] = {}
        """Those that have yet to come, by the id of what has left."""
        self.proven: dict[int, int] = {}
        """How many copies there were when a receipt came."""
        self.recorded: set[int] = set()
        self.dies_when_recorded = False

    @initialize(resend=st.booleans())
    def policy(self, resend: bool) -> None:
        self.resend = resend

    @rule(chats=NEW, fates=FATES)
    def poll(self, chats: list[Jid], fates: list[Fate]) -> None:
        """The proxy gets messages for `chats` and lists all it holds; sends meet `fates`, then go well."""
        for chat in chats:
            self.rows.append(Row(len(self.rows), chat))
        self.fates = list(fates)
        listed = tuple(QueuedMessage(row.id, row.chat, Text(str(row.id))) for row in self.rows if row.listed)
        record = SendRecord(
            self.journal.ledger,
            Nothing(),
            lambda _instance, _outcome: None,
            self.recorded_one,
            SendPolicy(self.resend),
        )
        batch = SendBatch(SHOP, self, record, Rows(listed, ()), time.time())
        try:
            batch.run()
        except Death:
            self.crash()
        assert not self.in_state("intent"), "what is not in flight is no intent"

    @rule(chats=NEW, first=FATES, then=FATES)
    def poll_twice(self, chats: list[Jid], first: list[Fate], then: list[Fate]) -> None:
        self.poll(chats, first)
        self.promises_hold()
        self.poll([], then)

    def send(self, message: OutgoingMessage) -> Accepted:
        """`Sender.send` of the simulated session."""
        row = self.rows[int(words(message))]
        assert row.chat == message.to
        assert row.id not in self.recorded, "P1: it is recorded as sent"
        assert self.in_state("intent") == {row.id}, "P2: the intent is on disk before the message leaves"
        fate = self.fates.pop(0) if self.fates else Fate.ACCEPTED
        if fate in (Fate.ACCEPTED, Fate.LEFT, Fate.LEFT_KNOWN, Fate.DIED_AFTER, Fate.DIED_RECORDED):
            self.copies[row.id] += 1
            if self.copies[row.id] == 1:
                self.first_copies[row.chat].append(row.id)
        match fate:
            case Fate.REFUSED:
                raise SendRefused("no")
            case Fate.DELAYED:
                raise SendDelayed("later", pause=0.0)
            case Fate.PAUSED:
                raise SendDelayed("much later", pause=YEAR)
            case Fate.NOT_OPEN:
                raise SessionNotOpen("not connected", pause=0.0)
            case Fate.LOST | Fate.LEFT:
                # a resend waits as long as its pause says, which for these is none
                raise SendUncertain("timed out")
            case Fate.LOST_KNOWN:
                raise SendUncertain("timed out", WaMessageId(f"{row.id}/never"))
            case Fate.LEFT_KNOWN:
                left = WaMessageId(f"{row.id}/{self.copies[row.id]}")
                self.receipts[left] = row.id
                raise SendUncertain("timed out", left)
            case Fate.DIED_BEFORE | Fate.DIED_AFTER:
                raise Death
        self.dies_when_recorded = fate is Fate.DIED_RECORDED
        return Accepted(WaMessageId(f"{row.id}/{self.copies[row.id]}"), 0)

    def recorded_one(self) -> None:
        if self.dies_when_recorded:
            self.dies_when_recorded = False
            raise Death

    @rule(answers=st.lists(st.sampled_from(Answer), max_size=6), page=st.integers(1, 5))
    def report(self, answers: list[Answer], page: int) -> None:
        for mark in self.journal.ledger.unreported(0, page):
            assert isinstance(mark.message_id, int)
            row = self.rows[mark.message_id]
            if mark.wa_id is not None:
                assert mark.wa_id in {f"{row.id}/{n}" for n in range(1, self.copies[row.id] + 1)}
            else:
                assert mark.error
            answer = answers.pop(0) if answers else Answer.HEARD
            if answer in (Answer.HEARD, Answer.UNANSWERED, Answer.DIED):
                row.listed = False
            if answer in (Answer.HEARD, Answer.FORGOTTEN):
                self.journal.ledger.reported([mark])
            if answer is Answer.DIED:
                self.crash()
                return

    @rule(count=st.integers(1, 3))
    def receipts_come(self, count: int) -> None:
        for wa_id in list(self.receipts)[:count]:
            row = self.receipts.pop(wa_id)
            assert self.journal.doubts.prove(SHOP, {row: wa_id}) == []
            assert self.in_state("sent", "marked") >= {row}, "a receipt is the proof"
            self.proven.setdefault(row, self.copies[row])

    @rule()
    def no_receipt_has_come(self) -> None:
        waiting = [row.message_id for row in self.journal.doubts.maybe_sent() if row.unproven]
        self.journal.doubts.release(SHOP, waiting)

    @rule(row=st.integers(0, 20))
    def the_proxy_loses_a_mark(self, row: int) -> None:
        if row < len(self.rows):
            self.rows[row].listed = True

    @rule()
    def crash(self) -> None:
        self.die()
        in_flight = self.in_state("intent")
        assert len(in_flight) <= 1, "one send at a time"
        assert self.journal.doubts.found({}, resend=self.resend, tries=10**6) == 0
        assert self.journal.ledger.recover(resend=self.resend, tries=10**6) == len(in_flight)

    def in_state(self, *states: str) -> set[int]:
        return {message_id for message_id, (state, _) in self.ledger().items() if state in states}

    def ledger(self) -> dict[int, tuple[str, int]]:
        with self.journal.database.reading() as sql:
            rows = sql.execute("SELECT message_id, state, doubts FROM ledger").fetchall()
        return {int(key): (state, doubts) for key, state, doubts in rows}

    @invariant()
    def promises_hold(self) -> None:
        ledger = self.ledger()
        sent = {message_id for message_id, (state, _) in ledger.items() if state in ("sent", "marked")}
        assert self.recorded <= sent, "P1: what is recorded as sent stays so"
        self.recorded = sent
        assert all(self.copies[message_id] for message_id in sent), "sent means that WhatsApp has it"
        for message_id, copies in self.copies.items():
            state, doubts = ledger[message_id]
            certain = state in ("sent", "marked")
            assert copies <= doubts + certain, "P2: every copy but a recorded one was in doubt, and counted"
            if not self.resend:
                assert copies <= 1, "P2: to hold means never a second copy"
                assert state != "waiting", "P2: what may have left waits for a person"
        for message_id, copies in self.proven.items():
            assert self.copies[message_id] == copies, "no second copy of what a receipt has proved"
        for first in self.first_copies.values():
            assert first == sorted(first), "in order per chat"

    def teardown(self) -> None:
        """However it went: once all is well again, everything is settled, but what waits for a person."""
        try:
            with self.journal.database.transaction() as sql:
                sql.execute("UPDATE ledger SET not_before = 0")
            for _ in range(2):
                self.no_receipt_has_come()
                self.poll([], [])
                self.promises_hold()
                self.report([], page=1000)
            ledger = self.ledger()
            assert {state for state, _ in ledger.values()} <= {"marked", "failed", "uncertain"}
            waiting = {row.id for row in self.rows if row.listed}
            # the proxy got a failure, lost it, and gets it again after a minute
            assert all(ledger[message_id][0] in ("uncertain", "failed") for message_id in waiting)
        finally:
            super().teardown()


LedgerMachine.TestCase.settings = SETTINGS
TestLedger = LedgerMachine.TestCase


class LedgerMachineOnPostgres(LedgerMachine):
    on_postgres = True


LedgerMachineOnPostgres.TestCase.settings = FEWER
TestLedgerOnPostgres = pytest.mark.usefixtures("machines_on_postgres")(LedgerMachineOnPostgres.TestCase)
