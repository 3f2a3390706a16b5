"""What the ledger keeps of sends that may or may not have left, and what settles them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.journal.rows import ANA, OTHER, SHOP, admit, read_only, send, states
from wa_worker.errors import JournalError
from wa_worker.journal import Journal, MaybeSent, SendState, Settled, Trace, open_journal
from wa_worker.journal.review import open_review
from wa_worker.models import WaMessageId

A, B = WaMessageId("3EB0A"), WaMessageId("3EB0B")
TRACE = Trace(b"s" * 32, "mark")


def column(journal: Journal, name: str) -> list[object]:
    with journal.database.reading() as sql:
        return [row[0] for row in sql.execute(f"SELECT {name} FROM ledger ORDER BY seq")]


def doubtful(journal: Journal, message_id: int, wa_id: WaMessageId | None, *, held: bool = False) -> None:
    state = SendState.UNCERTAIN if held else SendState.WAITING
    send(journal, message_id, state, error="disconnected", doubt=True, maybe_id=wa_id)


def test_an_intent_has_its_trace_until_it_has_an_outcome(journal: Journal) -> None:
    admit(journal, 1, 2)
    journal.ledger.step(SHOP, [], 1, trace=TRACE)
    (intent,) = journal.doubts.cut_off()
    assert (intent.instance, intent.secret, intent.store) == (SHOP, TRACE.secret, "mark")
    journal.ledger.step(SHOP, [Settled(1, SendState.SENT, A)], 2)
    (intent,) = journal.doubts.cut_off()
    assert (intent.secret, intent.store) == (None, None), "begun by a version that knew no traces"
    assert column(journal, "secret") == [None, None]


def test_one_that_waits_for_a_receipt_is_not_due_nor_are_those_behind_it(journal: Journal) -> None:
    admit(journal, 1, 2)
    doubtful(journal, 1, A)
    assert admit(journal, 1, 2).due == ()
    journal.doubts.release(SHOP, [1])
    assert admit(journal, 1, 2).due == (1, 2)


def test_one_whose_id_is_not_known_is_sent_again_at_once_as_ever(journal: Journal) -> None:
    admit(journal, 1)
    doubtful(journal, 1, None)
    assert admit(journal, 1).due == (1,)
    assert journal.doubts.maybe_sent() == []


@pytest.mark.parametrize("held", [True, False])
def test_a_receipt_proves_that_it_was_sent(journal: Journal, held: bool) -> None:
    admit(journal, 1, 2)
    doubtful(journal, 1, A, held=held)
    assert journal.doubts.maybe_sent() == [MaybeSent(SHOP, 1, (A,), not held)]
    assert journal.doubts.prove(SHOP, {1: A}) == []
    assert states(journal) == {"1": "sent", "2": "waiting"}
    assert [(mark.message_id, mark.wa_id) for mark in journal.ledger.unreported(0, 9)] == [(1, A)]
    assert admit(journal, 1, 2).due == (2,)
    assert column(journal, "doubts") == [1, 0], "it was in doubt all the same"
    assert journal.doubts.maybe_sent() == []


def test_a_late_receipt_still_counts_before_the_next_try(journal: Journal) -> None:
    admit(journal, 1)
    doubtful(journal, 1, A)
    journal.doubts.release(SHOP, [1])
    assert journal.doubts.maybe_sent() == [MaybeSent(SHOP, 1, (A,), False)]
    assert journal.doubts.prove(SHOP, {1: A}) == []
    assert admit(journal, 1).due == ()


def test_while_it_is_being_sent_again_a_receipt_waits_for_the_outcome(journal: Journal) -> None:
    admit(journal, 1)
    doubtful(journal, 1, A)
    journal.doubts.release(SHOP, [1])
    journal.ledger.step(SHOP, [], 1)
    assert journal.doubts.prove(SHOP, {1: A}) == [1]
    assert states(journal) == {"1": "intent"}
    journal.ledger.step(SHOP, [Settled(1, SendState.WAITING, error="again", doubt=True, maybe_id=B)], None)
    assert journal.doubts.maybe_sent() == [MaybeSent(SHOP, 1, (A, B), True)]
    assert journal.doubts.prove(SHOP, {1: A}) == []
    assert states(journal) == {"1": "sent"}


def test_a_receipt_changes_nothing_that_is_sent(journal: Journal) -> None:
    admit(journal, 1)
    doubtful(journal, 1, A, held=True)
    send(journal, 1, SendState.SENT, wa_id=B)
    assert journal.doubts.prove(SHOP, {1: A, 2: A}) == []
    assert states(journal) == {"1": "sent"}
    assert column(journal, "wa_id") == [B]


def test_one_that_a_later_try_took_for_failed_is_sent_all_the_same(journal: Journal) -> None:
    admit(journal, 1)
    doubtful(journal, 1, A)
    send(journal, 1, SendState.FAILED, error="given up")
    journal.ledger.reported(journal.ledger.unreported(0, 9))
    assert journal.doubts.maybe_sent() == [MaybeSent(SHOP, 1, (A,), False)]
    assert journal.doubts.prove(SHOP, {1: A}) == []
    assert [mark.wa_id for mark in journal.ledger.unreported(0, 9)] == [A]


def test_another_instances_message_of_the_same_id_is_left_alone(journal: Journal) -> None:
    admit(journal, 1)
    doubtful(journal, 1, A)
    journal.doubts.release(OTHER, [1])
    assert journal.doubts.prove(OTHER, {1: A}) == []
    assert admit(journal, 1).due == ()


@pytest.mark.parametrize("decision", ["retry", "discard"])
def test_what_a_person_decides_and_then_a_receipt_comes(path: Path, decision: str) -> None:
    with open_journal(path) as journal:
        admit(journal, 1)
        doubtful(journal, 1, A, held=True)
        with open_review(path, write=True) as review:
            ids = list(review.ids([SendState.UNCERTAIN], None))
            list(review.retry(ids) if decision == "retry" else review.discard(ids))
        if decision == "retry":
            assert admit(journal, 1).due == (1,), "he need not wait"
        journal.doubts.prove(SHOP, {1: A})
        assert states(journal) == {"1": "sent" if decision == "retry" else "failed"}


def test_the_ways_of_a_start(path: Path) -> None:
    """One never left, one has an id, of one nobody knows anything."""
    with open_journal(path) as journal:
        admit(journal, 1, 2, 3)
        for message_id in (1, 2, 3):
            journal.ledger.step(SHOP, [], message_id, trace=TRACE)
    with open_journal(path) as journal:
        first, second, _ = (intent.seq for intent in journal.doubts.cut_off())
        assert journal.doubts.found({first: None, second: A}, resend=True, tries=8) == 1
        assert journal.ledger.recover(resend=True, tries=8) == 2
        assert states(journal) == dict.fromkeys("123", "waiting")
        assert column(journal, "doubts") == [0, 1, 1]
        assert journal.doubts.maybe_sent() == [MaybeSent(SHOP, 2, (A,), True)]
        assert journal.doubts.cut_off() == []
        assert admit(journal, 1).due == (1,)
        assert admit(journal, 3).due == (3,)
        assert admit(journal, 2).due == ()


def test_the_ways_of_a_start_that_holds(path: Path) -> None:
    with open_journal(path) as journal:
        admit(journal, 1, 2, 3)
        doubtful(journal, 3, B)  # by a worker that resent
        for message_id in (1, 2):
            journal.ledger.step(SHOP, [], message_id, trace=TRACE)
        first, second = (intent.seq for intent in journal.doubts.cut_off())
        assert journal.doubts.found({first: None, second: A}, resend=False, tries=8) == 1
        assert journal.ledger.recover(resend=False, tries=8) == 1
        assert states(journal) == {"1": "waiting", "2": "uncertain", "3": "uncertain"}
        assert {row.message_id: row.unproven for row in journal.doubts.maybe_sent()} == {2: False, 3: False}


@pytest.mark.parametrize("left", [True, False])
def test_one_that_was_begun_too_often_is_held_whatever_is_known_of_it(journal: Journal, left: bool) -> None:
    admit(journal, 1)
    for _ in range(2):
        journal.ledger.step(SHOP, [], 1, trace=TRACE)
    (intent,) = journal.doubts.cut_off()
    journal.doubts.found({intent.seq: A if left else None}, resend=True, tries=2)
    journal.ledger.recover(resend=True, tries=2)
    assert states(journal) == {"1": "uncertain"}
    assert journal.doubts.prove(SHOP, {1: A}) == []
    assert states(journal) == {"1": "sent"}


def test_a_store_that_is_no_witness_any_more_is_taken_out_of_what_is_under_way(journal: Journal) -> None:
    admit(journal, 1)
    journal.ledger.step(SHOP, [], 1, trace=TRACE)
    journal.ledger.admit(OTHER, {1: ANA}, listed_at=0)
    journal.ledger.step(OTHER, [], 1, trace=TRACE)
    journal.doubts.distrust(SHOP)
    assert [(intent.instance, intent.store) for intent in journal.doubts.cut_off()] == [(SHOP, None), (OTHER, "mark")]


def test_nothing_of_it_happens_when_the_journal_cannot_commit(journal: Journal) -> None:
    admit(journal, 1)
    doubtful(journal, 1, A)
    read_only(journal, True)
    with pytest.raises(JournalError):
        journal.doubts.prove(SHOP, {1: A})
    with pytest.raises(JournalError):
        journal.doubts.release(SHOP, [1])
    read_only(journal, False)
    assert journal.doubts.maybe_sent() == [MaybeSent(SHOP, 1, (A,), True)]
