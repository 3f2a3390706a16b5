"""What the console makes of a conversation's rows: what is about a message, and whose word counts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import attrs
import pytest

from wa_worker.dev.console.conversation import Conversations
from wa_worker.dev.console.display_text import clock
from wa_worker.dev.console.page import Message, Quote, Reaction
from wa_worker.dev.proxy import Store

ANA, BIA = "5511988880002@s.whatsapp.net", "5511988880003@s.whatsapp.net"
GROUP = "120363000000000001@g.us"


@attrs.define
class Talk:
    """A chat of the instance `shop`."""

    store: Store
    chat: str = ANA
    count: int = 0

    def inbound(self, body: str = "", wa_id: str = "", *, by: str = ANA, **payload: Any) -> str:
        self.count += 1
        wa_id = wa_id or f"IN{self.count}"
        said = {"chat_id": self.chat, "sender_id": by, "push_name": "Ana" if by == ANA else "Bia", **payload}
        if self.chat == GROUP:
            said["chat_type"] = "group"
        self.store.add_inbound(
            instance_id="shop",
            chat=self.chat,
            from_=self.chat,
            to="x",
            body=body,
            wa_message_id=wa_id,
            payload=json.dumps(said),
        )
        return wa_id

    def outbound(self, body: str = "", wa_id: str = "", **row: Any) -> str:
        """`wa_id` "": it stays queued."""
        message = self.store.queue_row("shop", self.chat, **({"body": body} if body else {}), **row)
        if wa_id:
            self.store.mark_sent(message, wa_id)
        return wa_id

    def receipt(self, wa_id: str, status: str, by: str = ANA, **more: Any) -> None:
        about = {"instanceId": "shop", "chat_id": self.chat, "wa_message_id": wa_id, "recipient_id": by}
        self.store.add_receipt({**about, "status": status, "timestamp": 1_790_000_000, **more}, None)

    def messages(self) -> list[Message]:
        return Conversations(self.store).of("shop")[0][self.chat]

    def only(self) -> Message:
        (message,) = self.messages()
        return message


@pytest.fixture
def talk() -> Iterator[Talk]:
    store = Store()
    store.add_instance("shop")
    yield Talk(store)
    store.close()


def words(message: Message) -> str:
    return "".join(part.text for part in message.body.start)


def test_reactions_are_on_the_message_that_they_are_about(talk: Talk) -> None:
    about = {"message_id": talk.outbound("Oi", "OUT")}
    talk.inbound(message_type="reaction", reaction={**about, "emoji": "👍"})
    talk.inbound(message_type="reaction", reaction={**about, "emoji": "❤️"})  # instead of the first one
    talk.inbound(by=BIA, message_type="reaction", reaction={**about, "emoji": "👍"})
    talk.outbound(wa_id="R", type="reaction", reaction={**about, "emoji": "😂"})
    assert talk.only().reactions == (Reaction("❤️", "Ana"), Reaction("👍", "Bia"), Reaction("😂", "you"))
    talk.inbound(by=BIA, message_type="reaction", reaction={**about, "emoji": ""})
    assert [each.who for each in talk.only().reactions] == ["Ana", "you"]


def test_a_reaction_stands_by_itself_until_it_was_sent_or_if_its_message_is_not_here(talk: Talk) -> None:
    about = {"message_id": talk.inbound("Oi")}
    message = talk.store.queue_row("shop", ANA, type="reaction", reaction={**about, "emoji": "😂"})
    assert [(each.state, each.kind, words(each)) for each in talk.messages()] == [
        ("in", "", "Oi"),
        ("queued", "reaction", "😂"),
    ]
    talk.store.mark_failed(message, "no")
    assert [each.words for each in talk.messages()] == ["", "failed: no"]
    talk.inbound(message_type="reaction", reaction={"message_id": "of last year", "emoji": "👍"})
    assert [each.kind for each in talk.messages()] == ["", "reaction", "reaction"]


def test_only_its_author_edits_a_message(talk: Talk) -> None:
    about = {"message_id": talk.inbound("Oi")}
    talk.inbound("pwned", by=BIA, message_type="edit", edit=about)
    assert [(words(each), each.marks) for each in talk.messages()] == [("Oi", ()), ("pwned", ())]
    talk.inbound("Olá", message_type="edit", edit=about)
    talk.inbound("Olá!", message_type="edit", edit=about)
    first, _ = talk.messages()
    assert (words(first), first.before, first.marks, first.last) == ("Olá!", "Oi", ("edited",), "Olá!")


def test_only_its_author_deletes_a_message_or_in_a_group_an_admin(talk: Talk) -> None:
    about = {"message_id": talk.inbound("Oi")}
    talk.inbound(by=BIA, message_type="revoke", revoke=about)
    assert [each.deleted for each in talk.messages()] == [False, False]
    talk.inbound(message_type="revoke", revoke=about)
    first, _ = talk.messages()
    assert (first.deleted, words(first), first.last, first.answer) == (True, "Oi", "[deleted]", False)

    talk.chat = GROUP
    about = {"message_id": talk.inbound("Oi")}
    talk.inbound(by=BIA, message_type="revoke", revoke={**about, "by": BIA})
    assert talk.only().deleted


def test_our_own_edits_and_deletions(talk: Talk) -> None:
    about = {"message_id": talk.outbound("Oi", "OUT")}
    talk.outbound("Olá", "E", type="edit", edit=about)
    talk.inbound(message_type="revoke", revoke=about)  # not Ana's to delete
    assert [(words(each), each.marks) for each in talk.messages()] == [("Olá", ("edited",)), ("", ())]
    talk.outbound(wa_id="D", type="revoke", revoke=about)
    assert talk.messages()[0].deleted


def test_what_was_sent_on_the_phone_is_ours(talk: Talk) -> None:
    talk.inbound("Oi")
    own = talk.inbound("Olá", by="5511999990001@s.whatsapp.net", from_me=True, push_name="Loja")
    messages, (chat,) = Conversations(talk.store).of("shop")
    assert [each.state for each in messages[ANA]] == ["in", "phone"]
    assert chat.name == "Ana"
    talk.outbound("Olá!", "E", type="edit", edit={"message_id": own})
    assert talk.messages()[1].marks == ("edited",)


def test_a_quote_names_who_wrote_what(talk: Talk) -> None:
    theirs, ours = talk.inbound("Oi"), talk.outbound("Olá", "OUT")
    for context in (
        {"message_id": theirs},
        {"message_id": ours, "body": "Olá, como citado"},
        {"message_id": "gone", "from": BIA, "body": "antes"},
        {"message_id": "gone"},
        {},
    ):
        talk.inbound("sim", context=context)
    first, second, *answers = talk.messages()
    assert [each.quote for each in answers] == [
        Quote("Ana", "Oi", first.key),
        Quote("you", "Olá, como citado", second.key),
        Quote("+5511988880003", "antes"),
        Quote("", "a message that is not here"),
        None,
    ]


def test_votes_are_on_their_poll(talk: Talk) -> None:
    about = {"message_id": talk.outbound(wa_id="P", type="poll", poll={"name": "Quando?", "options": ["Sex", "Sáb"]})}
    talk.inbound(message_type="poll_vote", poll_vote=about)
    talk.inbound(by=BIA, message_type="poll_vote", poll_vote={**about, "selected": ["Sex"]})
    talk.inbound(by=BIA, message_type="poll_vote", poll_vote={**about, "selected": ["Sex", "Sáb"]})
    (box,) = talk.only().boxes
    assert (box.title, box.lines) == ("Quando?", ("○ Sex", "○ Sáb", "Ana: has voted", "Bia: Sex, Sáb"))


AT = clock(1_790_000_000)


@pytest.mark.parametrize(
    ("receipts", "rank", "said"),
    [
        ([], "", ""),
        ([("delivered", ANA)], "delivered", f"delivered {AT}"),
        ([("read", ANA), ("delivered", ANA)], "read", f"read {AT}"),
        ([("played", ANA), ("read", ANA)], "played", f"played {AT}"),
        ([("failed", ANA)], "failed", f"failed {AT}: why"),
        ([("read", ANA), ("delivered", BIA)], "delivered", "read by 1, delivered by 1"),
        ([("read", ANA), ("read", BIA)], "read", "read by 2"),
    ],
)
def test_ticks(talk: Talk, receipts: list[tuple[str, str]], rank: str, said: str) -> None:
    talk.outbound("Oi", "OUT")
    for status, by in receipts:
        talk.receipt("OUT", status, by, error="why" if status == "failed" else None)
    talk.receipt("another", "read")
    message = talk.only()
    assert (message.ticks, message.ticks_words) == (rank, said)


def test_a_group_has_its_subject_and_says_what_happened_in_it(talk: Talk) -> None:
    talk.chat = GROUP
    talk.inbound("Oi", group={"id": GROUP, "subject": "Família"}, mentions=[BIA])
    event = {"instanceId": "shop", "event_type": "group", "chat_id": GROUP, "timestamp": 1, "by": ANA}
    talk.store.add_event({**event, "action": "add", "participants": [BIA]})
    talk.store.add_event({**event, "action": "subject", "group": {"id": GROUP, "subject": "Casa"}})
    talk.store.add_event({**event, "action": "of_tomorrow", "participants": [BIA]})
    messages, (chat,) = Conversations(talk.store).of("shop")
    assert chat.name == "Casa"
    first, *notes = messages[GROUP]
    assert (first.sender, first.mentions) == ("Ana", ("+5511988880003",))
    assert [(each.state, each.last) for each in notes] == [
        ("note", "+5511988880002 added +5511988880003"),
        ("note", "+5511988880002 named the group Casa"),
        ("note", "+5511988880002 group: of_tomorrow +5511988880003"),
    ]


def test_how_often_it_was_forwarded(talk: Talk) -> None:
    talk.inbound("a", context={"forwarded": True})
    talk.inbound("b", context={"forwarded": True, "frequently_forwarded": True})
    assert [each.marks for each in talk.messages()] == [("forwarded",), ("forwarded many times",)]
