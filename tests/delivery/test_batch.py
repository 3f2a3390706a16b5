"""A batch on its way: what is sent in which order, what becomes of the rest, and what a disk or the library may do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from tests.delivery.sessions import Nothing, Steady, words
from tests.journal.rows import ANA, BIA, SHOP, admit, read_only, states
from wa_worker.delivery.batch import LONGEST_PAUSE, MAX_TRIES, SendBatch, Sender, SendPolicy, SendRecord
from wa_worker.edge.wire import BadRow, Rows
from wa_worker.errors import Failure, JournalError, SendDelayed, SendRefused, SendUncertain, SessionNotOpen
from wa_worker.journal import Admission, Journal, SendLedger, SendState, Settled
from wa_worker.messages import Accepted, OutgoingMessage, QueuedMessage, Quote, Target, Text
from wa_worker.models import WaMessageId


@attrs.define
class Disk(Steady):
    """A session that accepts everything; the disk stops taking writes while it sends. With `closed` it is not open."""

    journal: Journal
    closed: bool = False
    copies: int = 0
    heals: threading.Timer = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.heals = threading.Timer(0.2, read_only, (self.journal, False))

    def send(self, message: OutgoingMessage) -> Accepted:
        read_only(self.journal, True)
        self.heals.start()
        if self.closed:
            raise SessionNotOpen("not connected", pause=1.0)
        self.copies += 1
        return Accepted(WaMessageId("W"), 0)


def batch(journal: Journal, sender: Sender, count: int = 1) -> SendBatch:
    return listed(journal, sender, *(QueuedMessage(n, ANA, Text(str(n))) for n in range(1, count + 1)))


def listed(
    journal: Journal,
    sender: Sender,
    *good: QueuedMessage,
    bad: tuple[BadRow, ...] = (),
    resend: bool = True,
    progress: Callable[[], None] = lambda: None,
    settled: Callable[[Settled], None] = lambda _outcome: None,
) -> SendBatch:
    record = SendRecord(
        journal.ledger, Nothing(), lambda _instance, outcome: settled(outcome), progress, SendPolicy(resend)
    )
    return SendBatch(SHOP, sender, record, Rows(good, bad), time.time())


@attrs.define
class Answering(Steady):
    """A session that raises `errors` one after the other, a None for a send that is accepted; then it accepts all."""

    errors: list[Exception | None] = attrs.Factory(list)
    texts: list[str] = attrs.Factory(list)
    accepted_at: int = 0

    def send(self, message: OutgoingMessage) -> Accepted:
        self.texts.append(words(message))
        if self.errors and (error := self.errors.pop(0)) is not None:
            raise error
        return Accepted(WaMessageId(f"W{len(self.texts)}"), self.accepted_at)


def pauses_over(journal: Journal) -> float:
    """Ends the pause of the one message that waits, and says how long it would have been."""
    with journal.database.transaction() as sql:
        ((until, since),) = sql.execute("SELECT not_before, changed_at FROM ledger WHERE state = 'waiting'").fetchall()
        sql.execute("UPDATE ledger SET not_before = 0")
    return float(until - since)


def error(journal: Journal) -> str:
    with journal.database.reading() as sql:
        return str(sql.execute("SELECT error FROM ledger").fetchone()[0])


def test_each_is_an_intent_on_disk_before_it_is_sent(journal: Journal) -> None:
    seen: list[dict[str, str]] = []

    class Looking(Steady):
        def send(self, message: OutgoingMessage) -> Accepted:
            seen.append(states(journal))
            return Accepted(WaMessageId("W"), 0)

    batch(journal, Looking(), count=2).run()
    assert seen == [{"1": "intent", "2": "waiting"}, {"1": "sent", "2": "intent"}]


def test_a_mark_says_when_and_where(journal: Journal) -> None:
    assert batch(journal, Answering(accepted_at=1_700_000_000)).run().sent == 1
    (mark,) = journal.ledger.unreported(0, 9)
    assert (mark.to, mark.timestamp) == (ANA, 1_700_000_000)


def test_behind_one_that_is_delayed_only_its_chat_waits(journal: Journal) -> None:
    session = Answering([SendDelayed("not now", pause=60.0)])
    chats = [ANA, BIA, ANA, BIA]
    listed(journal, session, *(QueuedMessage(n, chat, Text(str(n))) for n, chat in enumerate(chats))).run()
    assert session.texts == ["0", "1", "3"]
    assert states(journal) == {"0": "waiting", "1": "sent", "2": "waiting", "3": "sent"}


def test_one_that_is_refused_holds_up_nobody(journal: Journal) -> None:
    session = Answering([SendRefused("words of a library", Failure.NOT_ON_WHATSAPP)])
    batch(journal, session, count=2).run()
    assert states(journal) == {"1": "failed", "2": "sent"}
    assert error(journal) == Failure.NOT_ON_WHATSAPP


def test_a_delay_grows_with_the_tries_and_at_last_it_is_given_up(journal: Journal) -> None:
    session = Answering([SendDelayed("not now", pause=60.0) for _ in range(MAX_TRIES)])
    for tries in range(MAX_TRIES - 1):
        batch(journal, session).run()
        whole = min(60.0 * 2**tries, LONGEST_PAUSE)
        assert whole / 2 <= pauses_over(journal) <= whole
    batch(journal, session).run()
    assert states(journal) == {"1": "failed"}
    assert error(journal) == Failure.GIVEN_UP
    batch(journal, session).run()
    assert len(session.texts) == MAX_TRIES


def test_a_long_delay_is_waited_for_whatever_the_longest_pause_is(journal: Journal) -> None:
    batch(journal, Answering([SendDelayed("restricted", pause=4 * LONGEST_PAUSE)])).run()
    assert pauses_over(journal) >= 2 * LONGEST_PAUSE


@pytest.mark.parametrize(("resend", "state"), [(True, "waiting"), (False, "uncertain")])
def test_one_that_may_have_left_is_sent_again_or_held(journal: Journal, resend: bool, state: str) -> None:
    one, session = QueuedMessage(1, ANA, Text("1")), Answering([SendUncertain("cut")])
    listed(journal, session, one, resend=resend).run()
    assert states(journal) == {"1": state}
    listed(journal, session, one, resend=resend).run()
    assert len(session.texts) == (2 if resend else 1)


def test_one_that_is_always_in_doubt_is_held_in_the_end(journal: Journal) -> None:
    session = Answering([SendUncertain("cut") for _ in range(MAX_TRIES + 5)])
    for _ in range(MAX_TRIES + 2):
        batch(journal, session).run()
    assert len(session.texts) == MAX_TRIES
    assert states(journal) == {"1": "uncertain"}


def test_what_cannot_be_sent_fails_with_its_reason_and_the_rest_goes_on(journal: Journal) -> None:
    session = Answering()
    good = [QueuedMessage("nowhere", "Maria", Text("lost")), QueuedMessage("fine", ANA, Text("fine"))]
    listed(journal, session, *good, bad=(BadRow("no body", "bad"), BadRow("no id"))).run()
    assert session.texts == ["fine"]
    assert states(journal) == {'"bad"': "failed", '"nowhere"': "failed", '"fine"': "sent"}
    with journal.database.reading() as sql:
        errors = [text for (text,) in sql.execute("SELECT error FROM ledger WHERE state = 'failed' ORDER BY seq")]
    assert errors == [Failure.BAD_ROW, Failure.BAD_NUMBER]


def test_a_spoiled_row_does_not_fail_the_good_one_of_its_id(journal: Journal) -> None:
    outcomes: list[Settled] = []
    one = QueuedMessage(1, ANA, Text("good"))
    listed(journal, Answering(), one, bad=(BadRow("no body", 1),), settled=outcomes.append).run()
    assert [outcome.state for outcome in outcomes] == [SendState.SENT]


def test_who_tells_the_proxy_hears_of_what_is_new_and_of_a_mark_that_was_lost(journal: Journal) -> None:
    rung: list[int] = []
    one, session = QueuedMessage(1, ANA, Text("1")), Answering()
    for _ in range(2):
        listed(journal, session, one, progress=lambda: rung.append(1)).run()
        assert len(rung) == 1, "listed again before it was marked: nothing is new"
    journal.ledger.reported(journal.ledger.unreported(0, 9))
    listed(journal, session, one, progress=lambda: rung.append(1)).run()
    assert (len(rung), session.texts) == (2, ["1"])


def test_a_session_that_is_not_open_ends_the_batch(journal: Journal) -> None:
    session = Answering([None, SessionNotOpen("not connected", pause=1.0)])
    assert batch(journal, session, count=4).run().sent == 1
    assert session.texts == ["1", "2"]
    assert states(journal) == {"1": "sent", "2": "waiting", "3": "waiting", "4": "waiting"}


def test_without_a_disk_nothing_is_begun(journal: Journal) -> None:
    session, heals = Answering(), threading.Timer(0.3, read_only, (journal, False))

    class Failing(SendLedger):
        """Admits, and then the disk takes nothing."""

        def admit(self, *arguments: Any, **options: Any) -> Admission:
            admission = super().admit(*arguments, **options)
            read_only(journal, True)
            heals.start()
            return admission

    under_way = batch(journal, session)
    under_way.record = attrs.evolve(under_way.record, ledger=Failing(journal.database))
    with pytest.raises(JournalError):
        under_way.run()
    heals.join()
    assert session.texts == []


def test_told_to_stop_it_begins_no_other_send(journal: Journal) -> None:
    class Stopping(Answering):
        def send(self, message: OutgoingMessage) -> Accepted:
            under_way.stop = True
            return super().send(message)

    session = Stopping()
    under_way = batch(journal, session, count=3)
    assert under_way.run().sent == 1
    assert states(journal) == {"1": "sent", "2": "waiting", "3": "waiting"}


def test_what_whatsapp_accepted_is_kept_until_the_disk_takes_it(journal: Journal) -> None:
    disk = Disk(journal)
    batch(journal, disk).run()
    assert states(journal) == {"1": "sent"}
    batch(journal, disk).run()
    assert disk.copies == 1


@attrs.define
class Unreadable(Steady):
    """A session that accepts everything; after the first send nothing can be read from the disk for a while."""

    journal: Journal
    copies: list[str] = attrs.Factory(list)
    heals: threading.Timer = attrs.field(init=False)

    def _rename(self, old: str, new: str) -> None:
        with self.journal.database.transaction() as sql:
            sql.execute(f"ALTER TABLE {old} RENAME TO {new}")

    def send(self, message: OutgoingMessage) -> Accepted:
        self.copies.append(words(message))
        if len(self.copies) == 1:
            self._rename("ledger", "elsewhere")
            self.heals = threading.Timer(0.2, self._rename, ("elsewhere", "ledger"))
            self.heals.start()
        return Accepted(WaMessageId("W"), 0)


def test_what_was_sent_is_recorded_though_the_next_cannot_be_looked_up(journal: Journal) -> None:
    """Whose message the second one answers is read from the ledger after the first one has left."""
    session = Unreadable(journal)
    rows = QueuedMessage(1, ANA, Text("1")), QueuedMessage(2, ANA, Text("2"), quote=Quote(Target("A")))
    with pytest.raises(JournalError):
        listed(journal, session, *rows).run()
    session.heals.join()
    assert states(journal) == {"1": "sent", "2": "waiting"}
    journal.ledger.recover(resend=True, tries=MAX_TRIES)
    listed(journal, session, *rows).run()
    assert session.copies == ["1", "2"]


def test_an_intent_is_taken_back_even_if_the_disk_is_slow_to_take_it(journal: Journal) -> None:
    disk = Disk(journal, closed=True)
    try:
        batch(journal, disk).run()
    finally:
        disk.heals.join()
        assert admit(journal, 1).due == (1,)


@attrs.define
class Upkeep(Steady):
    """A session that accepts everything, while rows that have waited for long are forgotten."""

    journal: Journal
    copies: list[str] = attrs.Factory(list)

    def send(self, message: OutgoingMessage) -> Accepted:
        self.copies.append(words(message))
        self.journal.ledger.purge(-1)
        return Accepted(WaMessageId("W"), 0)


def test_what_is_forgotten_in_the_middle_of_its_batch_is_sent_once_all_the_same(journal: Journal) -> None:
    """Rows that waited for a week, say while the account was banned, go out just when upkeep comes round."""
    upkeep = Upkeep(journal)
    for _poll in range(2):
        batch(journal, upkeep, count=3).run()
    assert upkeep.copies == ["1", "2", "3"]
    assert set(states(journal).values()) == {"sent"}


class Strange(Steady):
    """A session whose library does what nobody expected."""

    def send(self, message: OutgoingMessage) -> Accepted:
        raise RuntimeError("surprise")


def test_a_surprise_in_a_send_is_a_doubt_and_not_the_end(journal: Journal) -> None:
    batch(journal, Strange()).run()
    with journal.database.reading() as sql:
        assert sql.execute("SELECT state, doubts, error FROM ledger").fetchall() == [("waiting", 1, "surprise")]


PRIVATE = "no LID found for 5511988880001@s.whatsapp.net (+55 (11) 98888-0001): Oi, Ana"
"""What a library may say."""


@attrs.define
class Talkative(Steady):
    """A session that refuses or delays everything, in the library's words."""

    delays: bool

    def send(self, message: OutgoingMessage) -> Accepted:
        raise SendDelayed(PRIVATE, pause=0.0) if self.delays else SendRefused(PRIVATE)


@pytest.mark.parametrize(
    ("delays", "failures"),
    [
        (False, {1: Failure.REFUSED, 2: Failure.REFUSED, 3: Failure.BAD_NUMBER, 4: Failure.NO_TO}),
        (True, {1: Failure.GIVEN_UP, 2: Failure.GIVEN_UP, 3: Failure.BAD_NUMBER, 4: Failure.NO_TO}),
    ],
)
def test_what_the_proxy_hears_is_of_the_list_whatever_the_library_says(
    journal: Journal, delays: bool, failures: dict[int, Failure]
) -> None:
    record = SendRecord(journal.ledger, Nothing(), lambda _instance, _outcome: None, lambda: None)
    good = (
        QueuedMessage(1, ANA, Text("Oi, Ana")),
        QueuedMessage(2, "+55 (11) 98888-0002", Text("Oi")),
        QueuedMessage(3, "call +55 (11) 98888-0003", Text("Oi")),
    )
    rows = Rows(good, (BadRow(PRIVATE, 4, Failure.NO_TO),))
    for _poll in range(MAX_TRIES):
        with journal.database.transaction() as sql:
            sql.execute("UPDATE ledger SET not_before = 0")
        SendBatch(SHOP, Talkative(delays), record, rows, time.time()).run()
    assert {mark.message_id: mark.error for mark in journal.ledger.unreported(0, 10)} == failures
