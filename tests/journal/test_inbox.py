"""The durable inbox, method by method."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.journal.rows import ANA, BIA, ME, OTHER, SHOP, inbound_message, posted_bodies
from tests.journal.stores import ON_A_FILE, ON_POSTGRES, Store
from wa_worker.journal import EventKind, InboxResult, InboxState, Journal
from wa_worker.journal.decisions import DISCARD, carry_out
from wa_worker.journal.items import InboundItem, ItemId
from wa_worker.messages import Button, ChatType, FlowReply, InboundMessage, Interactive, OptionReply
from wa_worker.models import Jid, WaMessageId


def test_known_messages_are_known_by_instance_chat_and_id(journal: Journal) -> None:
    assert journal.inbox.record(SHOP, inbound_message("1", ANA))
    assert not journal.inbox.record(SHOP, inbound_message("1", ANA, body="edited"))
    assert journal.inbox.record(SHOP, inbound_message("1", BIA))
    assert journal.inbox.record(OTHER, inbound_message("1", ANA))
    (row,) = journal.inbox.pending(1, 10)
    journal.inbox.settle([InboxResult(row.seq)])
    assert not journal.inbox.record(SHOP, inbound_message("1", ANA)), "posted ones too"


def test_an_event_about_a_message_is_not_taken_for_the_message(journal: Journal) -> None:
    known = attrs.evolve(inbound_message("1", ANA), sender_lid=Jid("98765432109876@lid"))
    assert journal.inbox.record(SHOP, known)
    for kind in EventKind:
        assert journal.inbox.record(SHOP, known, kind=kind) == (kind is not EventKind.MESSAGE)
        assert not journal.inbox.record(SHOP, known, kind=kind), "but it is known itself"
    assert len(journal.inbox.pending(1, 9)) == len(EventKind)


def test_a_person_whose_number_becomes_known_keeps_the_order_and_is_not_heard_twice(journal: Journal) -> None:
    """The first message has come by LID alone; with the second one WhatsApp tells the number, too."""
    lid = Jid("98765432109876@lid")
    known = attrs.evolve(inbound_message("2", ANA, body="two"), sender_lid=lid)
    journal.inbox.record(SHOP, attrs.evolve(inbound_message("0", ANA, body="none"), sender_lid=lid))
    journal.inbox.settle(InboxResult(row.seq) for row in journal.inbox.pending(1, 10))
    assert journal.inbox.record(SHOP, attrs.evolve(inbound_message("1", lid, body="one"), sender_lid=lid))
    assert journal.inbox.record(SHOP, known)
    assert list(posted_bodies(journal).values()) == [["one", "two"]], "one key: posted one after the other"
    (key,) = journal.inbox.keys(0, 9)
    assert [row.message.chat for row in journal.inbox.pending(key, 9)] == [lid, ANA]
    for again in ("0", "1", "2"):
        assert not journal.inbox.record(SHOP, attrs.evolve(known, wa_id=WaMessageId(again)))
    journal.inbox.settle(InboxResult(row.seq) for row in journal.inbox.pending(key, 10))
    for again in ("0", "1", "2"):
        assert not journal.inbox.record(SHOP, attrs.evolve(known, wa_id=WaMessageId(again)))
    assert journal.inbox.record(SHOP, attrs.evolve(known, wa_id=WaMessageId("3")))
    assert journal.inbox.keys(0, 9) == [1], "back in the key of the number"
    assert journal.inbox.record(SHOP, attrs.evolve(inbound_message("4", lid), sender_lid=lid))
    assert journal.inbox.record(SHOP, attrs.evolve(known, wa_id=WaMessageId("5")))
    assert [row.message.wa_id for row in journal.inbox.pending(1, 9)] == ["3", "5"], "behind its own, above all"


def test_keys_are_read_from_where_one_left_off(journal: Journal) -> None:
    for n in range(5):
        chat = Jid(f"551198888000{n}@s.whatsapp.net")
        for m in range(3):
            journal.inbox.record(SHOP, inbound_message(f"{m}", chat))
    keys = journal.inbox.keys
    one, two, three, four, five = keys(0, 100)
    assert one < two < three < four < five
    assert (keys(0, 2), keys(two, 2), keys(four, 2), keys(five, 2)) == ([one, two], [three, four], [five], [])
    journal.inbox.settle([InboxResult(row.seq) for row in journal.inbox.pending(three, 10)])
    assert keys(0, 100) == [one, two, four, five]
    assert journal.inbox.pending(three, 10) == []
    assert [row.message.wa_id for row in journal.inbox.pending(four, 2)] == ["0", "1"]


def test_settling(journal: Journal) -> None:
    for n in range(3):
        journal.inbox.record(SHOP, inbound_message(str(n)))
    first, second, third = (row.seq for row in journal.inbox.pending(1, 10))
    journal.inbox.settle([InboxResult(first), InboxResult(second, "400", dead=True), InboxResult(third, "400")])
    (left,) = journal.inbox.pending(1, 10)
    assert (left.seq, left.rejections, left.instance, left.chat) == (third, 1, SHOP, 1)
    with journal.database.reading() as sql:
        rows = sql.execute("SELECT state, message IS NULL, rejections, error FROM inbox ORDER BY seq").fetchall()
    assert rows == [("posted", 1, 0, None), ("dead", 0, 1, "400"), ("pending", 0, 1, "400")]


def test_what_a_person_has_discarded_meanwhile_stays_discarded(journal: Journal) -> None:
    """While the worker posts a message, a person gives it up: whatever the proxy says then, that is not undone."""
    for n in range(3):
        journal.inbox.record(SHOP, inbound_message(str(n)))
    with journal.database.transaction() as sql:
        for seq in (1, 2, 3):
            carry_out(DISCARD, ItemId("in", seq), sql)
        discarded = sql.execute("SELECT * FROM inbox ORDER BY seq").fetchall()
    journal.inbox.settle([InboxResult(1), InboxResult(2, "400"), InboxResult(3, "400", dead=True)])
    with journal.database.reading() as sql:
        assert sql.execute("SELECT * FROM inbox ORDER BY seq").fetchall() == discarded


def test_purging_the_inbox_forgets_only_what_was_posted_long_ago(journal: Journal) -> None:
    for n in range(4):
        journal.inbox.record(SHOP, inbound_message(str(n)))
    rows = journal.inbox.pending(1, 10)
    journal.inbox.settle([*(InboxResult(row.seq) for row in rows[:2]), InboxResult(rows[2].seq, "400", dead=True)])
    assert journal.inbox.purge(3600) == 0
    assert (journal.inbox.purge(-1, limit=1), journal.inbox.purge(-1), journal.inbox.purge(-1)) == (1, 1, 0)
    assert posted_bodies(journal) == {1: ["Oi"]}
    assert journal.inbox.record(SHOP, inbound_message("0"))
    assert not journal.inbox.record(SHOP, inbound_message("2")), "the dead one is still there, for a person"


@pytest.mark.parametrize("content", ["", "{", "[]", "7", '{"wa_id": "2"}', None, "[" * 100_000])
def test_a_row_that_cannot_be_read_is_set_aside_and_holds_up_nothing(journal: Journal, content: str | None) -> None:
    """A disk's error, or a format of another version: it would end the worker, at each of its starts."""
    for n in range(3):
        journal.inbox.record(SHOP, inbound_message(str(n), body=str(n)))
    with journal.database.transaction() as sql:
        sql.execute("UPDATE inbox SET message = ? WHERE wa_id = '1'", (content,))
    assert posted_bodies(journal) == {1: ["0", "2"]}
    with journal.database.reading() as sql:
        rows = sql.execute("SELECT state, error FROM inbox WHERE state <> 'pending'").fetchall()
    assert [state for state, _ in rows] == ["dead"]
    assert rows[0][1].startswith("it cannot be read")
    with journal.review() as review:
        (item,) = review.items([InboxState.DEAD], None, 9)
    assert isinstance(item, InboundItem)
    assert (item.wa_id, item.message) == ("1", None), "and a person is shown what is left of it"


LETTERS = st.builds(
    InboundMessage,
    wa_id=st.text(st.characters(codec="utf-8"), min_size=1).map(WaMessageId),
    chat=st.just(ANA),
    chat_type=st.sampled_from(ChatType),
    to=st.just(ME),
    sender=st.just(ANA),
    sender_lid=st.none() | st.just(Jid("98765432109876@lid")),
    push_name=st.none() | st.text(st.characters(codec="utf-8")),
    body=st.text(st.characters(codec="utf-8")),
    message_type=st.sampled_from(["text", "other"]),
    timestamp=st.integers(0, 10**12),
    interactive=st.none()
    | st.sampled_from(
        [
            Interactive("list_reply", list_reply=OptionReply("1", "Azul", "Hoje")),
            Interactive("nfm_reply", nfm_reply=FlowReply("flow", "", "{}")),
        ]
    ),
    button=st.none() | st.just(Button("stop", "Parar")),
)


MESSAGES = st.lists(LETTERS, max_size=10, unique_by=lambda message: message.wa_id)


@ON_A_FILE
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(messages=MESSAGES)
def test_messages_come_out_as_they_went_in(store: Store, messages: list[InboundMessage]) -> None:
    come_out_as_they_went_in(store, messages)


@ON_POSTGRES
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(messages=MESSAGES)
def test_messages_come_out_of_postgres_as_they_went_in(store: Store, messages: list[InboundMessage]) -> None:
    come_out_as_they_went_in(store, messages)


def come_out_as_they_went_in(store: Store, messages: list[InboundMessage]) -> None:
    store.empty()
    with store.open() as journal:
        assert all(journal.inbox.record(SHOP, message) for message in messages)
        assert [row.message for row in journal.inbox.pending(1, 10)] == messages
