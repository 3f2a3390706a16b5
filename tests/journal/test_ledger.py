"""The ledger of sends, method by method."""

from __future__ import annotations

import time
from pathlib import Path

import attrs
import pytest

from tests.journal.rows import ANA, BIA, OTHER, SHOP, YEAR, admit, read_only, send, states
from wa_worker.errors import JournalError
from wa_worker.journal import Admission, Journal, Mark, SendState, Settled, open_journal
from wa_worker.journal.ledger import REPORT_AGAIN, key_of
from wa_worker.models import Jid, MessageId, WaMessageId


def test_a_message_from_listing_to_mark(journal: Journal) -> None:
    ledger = journal.ledger
    assert admit(journal, 7) == Admission((7,), {7: 0}, 0, 0)
    assert states(journal) == {"7": "waiting"}
    ledger.step(SHOP, [], 7)
    assert states(journal) == {"7": "intent"}
    assert admit(journal, 7).due == ()
    assert not ledger.has_unreported(SHOP)
    ledger.step(SHOP, [Settled(7, SendState.SENT, WaMessageId("3EB0"))], None)
    assert states(journal) == {"7": "sent"}
    assert admit(journal, 7) == Admission((), {}, 0, 0)
    assert ledger.has_unreported(SHOP)
    assert not ledger.has_unreported(OTHER)
    (mark,) = ledger.unreported(0, 10)
    assert mark == Mark(mark.seq, SHOP, 7, WaMessageId("3EB0"), None, ANA, mark.timestamp)
    ledger.reported([mark])
    assert states(journal) == {"7": "marked"}
    assert ledger.unreported(0, 10) == []
    assert not ledger.has_unreported(SHOP)


def test_a_mark_that_the_proxy_lost_is_reported_again_and_nothing_sent(journal: Journal) -> None:
    before = time.time() - 10
    admit(journal, 7)
    send(journal, 7, SendState.SENT, wa_id=WaMessageId("3EB0"))
    journal.ledger.reported(journal.ledger.unreported(0, 10))
    assert admit(journal, 7, at=before) == Admission((), {}, 0, 0), "listed before the mark: nothing is lost"
    assert admit(journal, 7, at=time.time() + 1) == Admission((), {}, 1, 0)
    assert [(t.message_id, t.wa_id) for t in journal.ledger.unreported(0, 10)] == [(7, "3EB0")]


def test_a_failure_is_reported_once_and_again_only_after_a_while(journal: Journal) -> None:
    admit(journal, 7)
    send(journal, 7, SendState.FAILED, error="not on WhatsApp")
    (mark,) = journal.ledger.unreported(0, 10)
    assert (mark.wa_id, mark.error) == (None, "not on WhatsApp")
    journal.ledger.reported([mark])
    assert journal.ledger.unreported(0, 10) == []
    assert admit(journal, 7, at=time.time() + REPORT_AGAIN / 2) == Admission((), {}, 0, 0)
    assert admit(journal, 7, at=time.time() + REPORT_AGAIN + 1) == Admission((), {}, 1, 0)
    assert states(journal) == {"7": "failed"}
    assert [t.error for t in journal.ledger.unreported(0, 10)] == ["not on WhatsApp"]


def test_a_number_and_its_text_are_two_messages(journal: Journal) -> None:
    batch: dict[MessageId, Jid | None] = {7: ANA, "7": ANA, "ação": ANA, 10**30: ANA}
    assert journal.ledger.admit(SHOP, batch, listed_at=0).due == (7, "7", "ação", 10**30)
    send(journal, "7", SendState.SENT, wa_id=WaMessageId("W"))
    assert [key_of(7), key_of("7")] == ["7", '"7"']
    assert journal.ledger.admit(SHOP, batch, listed_at=0).due == (7, "ação", 10**30)
    assert [t.message_id for t in journal.ledger.unreported(0, 10)] == ["7"]
    assert journal.ledger.admit(OTHER, {"7": ANA}, listed_at=0).due == ("7",), "another instance's"


def test_behind_one_that_pauses_its_chat_waits(journal: Journal) -> None:
    batch: dict[MessageId, Jid | None] = {1: ANA, 2: BIA, 3: ANA, 4: None}
    journal.ledger.admit(SHOP, batch, listed_at=0)
    send(journal, 1, SendState.WAITING, error="later", pause=3600.0)
    again = journal.ledger.admit(SHOP, batch, listed_at=0)
    assert again.due == (2, 4)
    send(journal, 1, SendState.WAITING, error="later", pause=0.0)
    assert journal.ledger.admit(SHOP, batch, listed_at=0).attempts == {1: 2, 2: 0, 3: 0, 4: 0}


def test_the_outcome_and_the_next_intent_are_one_commit(journal: Journal) -> None:
    admit(journal, 1, 2)
    journal.ledger.step(SHOP, [], 1)
    journal.ledger.step(SHOP, [Settled(1, SendState.SENT, WaMessageId("A"))], 2)
    assert states(journal) == {"1": "sent", "2": "intent"}
    read_only(journal, True)
    with pytest.raises(JournalError):
        journal.ledger.step(SHOP, [Settled(2, SendState.SENT, WaMessageId("B"))], None)
    read_only(journal, False)
    assert states(journal) == {"1": "sent", "2": "intent"}


def test_an_intent_taken_back_was_no_try(journal: Journal) -> None:
    admit(journal, 1)
    journal.ledger.step(SHOP, [], 1)
    journal.ledger.step(SHOP, [], 1, undo=True)
    assert admit(journal, 1) == Admission((1,), {1: 0}, 0, 0)


def test_behind_one_that_an_earlier_session_still_sends_its_chat_waits(journal: Journal) -> None:
    admit(journal, 1, 2)
    journal.ledger.step(SHOP, [], 1)
    assert admit(journal, 1, 2).due == ()
    send(journal, 1, SendState.SENT, wa_id=WaMessageId("A"))
    assert admit(journal, 1, 2).due == (2,)


def test_a_message_that_kills_the_process_is_held_in_the_end(path: Path) -> None:
    deaths = 0
    while True:
        with open_journal(path) as journal:
            journal.ledger.recover(resend=True, tries=3)
            if not admit(journal, 1).due:
                break
            journal.ledger.step(SHOP, [], 1)
            deaths += 1
    assert deaths == 3
    with open_journal(path) as journal:
        assert states(journal) == {"1": "uncertain"}


@attrs.frozen
class Recovery:
    resend: bool
    state: str
    due: tuple[int, ...]
    held: int


@pytest.mark.parametrize(
    "case", [Recovery(True, "waiting", (1, 2), 0), Recovery(False, "uncertain", (2,), 1)], ids=["resend", "hold"]
)
def test_after_a_crash_an_intent_is_in_doubt(path: Path, case: Recovery) -> None:
    with open_journal(path) as journal:
        admit(journal, 1, 2, 3)
        journal.ledger.step(SHOP, [], 1)
        send(journal, 3, SendState.SENT, wa_id=WaMessageId("C"))
    with open_journal(path) as journal:
        assert journal.ledger.recover(resend=case.resend, tries=8) == 1
        assert journal.ledger.recover(resend=case.resend, tries=8) == 0
        assert states(journal) == {"1": case.state, "2": "waiting", "3": "sent"}
        admission = admit(journal, 1, 2, 3)
        assert (admission.due, admission.held) == (case.due, case.held)
        with journal.database.reading() as sql:
            assert sql.execute("SELECT doubts, error FROM ledger WHERE message_id = '1'").fetchone() == (
                1,
                "the worker stopped while it was being sent",
            )


def test_purging_the_ledger_keeps_what_is_not_settled(journal: Journal) -> None:
    ids = ("waiting", "intent", "sent", "marked", "failed", "reported", "uncertain")
    admit(journal, *ids)
    journal.ledger.step(SHOP, [], "intent")
    for name in ("sent", "marked"):
        send(journal, name, SendState.SENT, wa_id=WaMessageId(name))
    for name in ("failed", "reported"):
        send(journal, name, SendState.FAILED, error="no")
    send(journal, "uncertain", SendState.UNCERTAIN, error="?", doubt=True)
    journal.ledger.reported(t for t in journal.ledger.unreported(0, 10) if t.message_id in ("marked", "reported"))
    assert journal.ledger.purge(YEAR) == 0
    assert (journal.ledger.purge(-1, limit=1), journal.ledger.purge(-1), journal.ledger.purge(-1)) == (1, 2, 0)
    gone = ("waiting", "marked", "reported")  # one that still waits after so long is one the proxy no longer lists
    assert set(states(journal)) == {f'"{name}"' for name in ids if name not in gone}


def test_a_row_that_moved_on_is_not_reported_by_what_was_looked_up_before(journal: Journal) -> None:
    """A person retries a failed message while /mark-failed takes its time, and it is sent."""
    admit(journal, 1)
    send(journal, 1, SendState.FAILED, error="no")
    (failure,) = journal.ledger.unreported(0, 9)
    send(journal, 1, SendState.SENT, wa_id=WaMessageId("A"))
    journal.ledger.reported([failure])
    assert states(journal) == {"1": "sent"}
    assert [row.wa_id for row in journal.ledger.unreported(0, 9)] == ["A"]


def test_marks_are_paged(journal: Journal) -> None:
    admit(journal, *range(5))
    for n in range(5):
        send(journal, n, SendState.SENT, wa_id=WaMessageId(str(n)))
    seqs = [t.seq for t in journal.ledger.unreported(0, 2)]
    assert seqs == [1, 2]
    assert [t.message_id for t in journal.ledger.unreported(2, 10)] == [2, 3, 4]


def set_back(journal: Journal, seconds: float) -> None:
    """What is in the ledger looks as if it had been written that much later."""
    with journal.database.transaction() as sql:
        sql.execute("UPDATE ledger SET changed_at = changed_at + ?, not_before = not_before + ?", (seconds, seconds))


def test_a_pause_is_not_prolonged_by_a_clock_that_is_set_back(journal: Journal) -> None:
    admit(journal, 1)
    send(journal, 1, SendState.WAITING, error="later", pause=10.0)
    assert admit(journal, 1).due == ()
    set_back(journal, YEAR)
    assert admit(journal, 1).due == (1,)


def test_a_lost_mark_is_noticed_though_the_clock_was_set_back(journal: Journal) -> None:
    admit(journal, 1)
    send(journal, 1, SendState.SENT, wa_id=WaMessageId("A"))
    journal.ledger.reported(journal.ledger.unreported(0, 10))
    set_back(journal, YEAR)
    assert admit(journal, 1) == Admission((), {}, 1, 0)
    journal.ledger.reported(journal.ledger.unreported(0, 10))
    assert admit(journal, 1, at=time.time() - 1) == Admission((), {}, 0, 0), "but once"


def test_what_an_instance_wrote_is_its_own(journal: Journal) -> None:
    send(journal, 1, SendState.SENT, wa_id=WaMessageId("A"))
    assert journal.ledger.wrote(SHOP, "A")
    assert not journal.ledger.wrote(OTHER, "A")
    assert not journal.ledger.wrote(SHOP, "B")
