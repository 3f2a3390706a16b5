"""Calls that ring, until it is known what became of them; and what the account sends itself."""

from __future__ import annotations

import time

import attrs
import pytest

from tests.journal.rows import ANA, BIA, ME, OTHER, SHOP, admit, inbound_message, read_only, send
from tests.journal.stores import Store
from wa_worker.errors import JournalError
from wa_worker.journal import EventKind, Journal, SendState, SentByAccount, Settled, Trace
from wa_worker.journal.calls import PATIENCE
from wa_worker.messages import Call, InboundMessage
from wa_worker.models import Jid, WaMessageId

ANA_LID = Jid("11111111111111@lid")


def call(number: str = "C1", *, video: bool | None = True, outcome: str | None = None) -> InboundMessage:
    ringing = inbound_message(number, body="")
    return attrs.evolve(ringing, message_type="call", call=Call(number, video=video, outcome=outcome))


def pending(journal: Journal) -> list[InboundMessage]:
    return [row.message for key in journal.inbox.keys(0, 100) for row in journal.inbox.pending(key, 100)]


def rang(journal: Journal, ago: float) -> None:
    with journal.database.transaction() as sql:
        sql.execute("UPDATE calls SET rang_at = ?", (time.time() - ago,))


def test_a_call_is_a_row_once_its_outcome_is_known_with_what_was_heard_before(journal: Journal) -> None:
    calls = journal.inbox.calls
    calls.ring(SHOP, call())
    calls.ring(SHOP, attrs.evolve(call(video=False), timestamp=5))
    assert pending(journal) == []
    assert calls.end(SHOP, attrs.evolve(call(video=None, outcome="missed"), timestamp=9))
    assert pending(journal) == [call(outcome="missed")]
    assert not calls.end(SHOP, call(outcome="answered")), "it is known"
    assert calls.next_due() is None


def test_the_end_of_one_that_was_never_heard_to_ring_is_a_row(journal: Journal) -> None:
    assert journal.inbox.calls.end(SHOP, call(video=None, outcome="missed"))
    assert pending(journal) == [call(video=None, outcome="missed")]


def test_a_call_of_another_instance_is_another_call(journal: Journal) -> None:
    journal.inbox.calls.ring(OTHER, call())
    assert journal.inbox.calls.end(SHOP, call(video=None, outcome="missed"))
    assert pending(journal) == [call(video=None, outcome="missed")]


def test_one_whose_outcome_never_comes_is_told_of_after_a_while_over_a_restart_too(store: Store) -> None:
    with store.open() as journal:
        journal.inbox.calls.ring(SHOP, call())
        due = journal.inbox.calls.next_due()
        assert due is not None
        assert abs(due - time.time() - PATIENCE) < 5
        assert journal.inbox.calls.give_up() == 0
    with store.open() as journal:
        rang(journal, PATIENCE + 1)
        assert journal.inbox.calls.give_up() == 1
        assert pending(journal) == [call()]
        assert not journal.inbox.calls.end(SHOP, call(outcome="missed"))
        assert (journal.inbox.calls.give_up(), journal.inbox.calls.next_due()) == (0, None)


def test_one_from_the_future_does_not_wait_for_it(journal: Journal) -> None:
    """The clock was set back."""
    journal.inbox.calls.ring(SHOP, call())
    rang(journal, -86_400)
    assert journal.inbox.calls.give_up() == 1


@pytest.mark.parametrize("spoiled", ["{", '{"wa_id": 1}', "[]"])
def test_a_spoiled_row_is_dropped_and_keeps_no_other(journal: Journal, spoiled: str) -> None:
    calls = journal.inbox.calls
    for number in ("C1", "C2", "C3"):
        calls.ring(SHOP, call(number))
    rang(journal, 2 * PATIENCE)
    with journal.database.transaction() as sql:
        sql.execute("UPDATE calls SET message = ? WHERE call_id <> 'C3'", (spoiled,))
    assert calls.end(SHOP, call("C2", video=None, outcome="missed")), "what is heard last is enough"
    calls.give_up()
    assert pending(journal) == [call("C2", video=None, outcome="missed"), call("C3")]
    assert calls.next_due() is None


def test_what_the_disk_does_not_take_is_the_callers_to_wait_for(journal: Journal) -> None:
    read_only(journal, True)
    with pytest.raises(JournalError):
        journal.inbox.calls.ring(SHOP, call())
    with pytest.raises(JournalError):
        journal.inbox.calls.end(SHOP, call(outcome="missed"))
    read_only(journal, False)
    assert pending(journal) == []


@pytest.mark.parametrize("kind", ["reaction", "edit", "revoke", "view_once", "call"])
def test_the_type_of_a_message_says_its_kind(journal: Journal, kind: str) -> None:
    message = inbound_message("A")
    assert journal.inbox.record(SHOP, message)
    assert journal.inbox.record(SHOP, attrs.evolve(message, message_type=kind)), "ids are told apart within a kind"
    assert not journal.inbox.record(SHOP, message, kind=EventKind(kind))


def own(wa_id: str, chat: Jid = ANA) -> InboundMessage:
    message = inbound_message(wa_id, chat)
    return attrs.evolve(message, from_me=True, to=chat, sender=ME, sender_lid=Jid("2@lid"))


def sent(journal: Journal, message: InboundMessage, secret: bytes = b"", lid: Jid | None = None) -> bool:
    return journal.inbox.record(SHOP, message, own=SentByAccount(secret, lid))


def test_what_a_worker_sent_is_not_taken_for_what_somebody_typed(journal: Journal) -> None:
    admit(journal, 1, 2, 3, 4)
    send(journal, 1, SendState.SENT, wa_id=WaMessageId("SENT"))
    send(journal, 2, SendState.WAITING, maybe_id=WaMessageId("MAYBE"))
    journal.ledger.step(SHOP, [], 3, trace=Trace(b"under way", None))
    assert not sent(journal, own("SENT"))
    assert not sent(journal, own("MAYBE"))
    assert not sent(journal, own("NEW"), b"under way")
    assert not journal.inbox.record(OTHER, own("SENT"), own=SentByAccount(b"", None)), "another device of the account"
    journal.ledger.step(SHOP, [Settled(3, SendState.SENT, wa_id=WaMessageId("NEW"))], None)
    assert not sent(journal, own("NEW"), b"under way")
    assert pending(journal) == []
    assert sent(journal, own("TYPED"), b"another")
    assert sent(journal, own("TYPED 2"))
    assert [message.wa_id for message in pending(journal)] == ["TYPED", "TYPED 2"]


def test_what_the_account_sends_stays_behind_what_came_before_the_number_was_known(journal: Journal) -> None:
    by_lid = attrs.evolve(inbound_message("A", ANA_LID), sender_lid=ANA_LID)
    assert journal.inbox.record(SHOP, by_lid)
    assert sent(journal, own("B"), lid=ANA_LID)
    (key,) = journal.inbox.keys(0, 10)
    assert [row.message.wa_id for row in journal.inbox.pending(key, 10)] == ["A", "B"]


def test_the_lid_of_the_account_is_no_chat_of_the_person(journal: Journal) -> None:
    to_itself = attrs.evolve(own("A", ME), sender_lid=Jid("2@lid"), chat=Jid("2@lid"))
    assert sent(journal, to_itself)
    assert sent(journal, own("B", BIA))
    assert len(journal.inbox.keys(0, 10)) == 2
