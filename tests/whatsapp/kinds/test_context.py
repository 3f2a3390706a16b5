"""What goes along with content of any kind: quotes, forwards, mentions, advertisements."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import Message

from tests.whatsapp.message_events import KNOWN, LID, ME, PHONE, STRANGER, made
from wa_worker.messages import Context, Referral
from wa_worker.models import Jid
from wa_worker.whatsapp.identity import MOST_LOOKUPS, People
from wa_worker.whatsapp.kinds.context import MANY_TIMES, MOST_MENTIONS, Details, details
from wa_worker.whatsapp.kinds.limits import LONG


@attrs.define
class Store:
    """Knows one person, and counts how often it is asked."""

    asked: int = 0

    def phone_of(self, address: Jid) -> Jid | None:
        self.asked += 1
        return Jid(KNOWN[address]) if address in KNOWN else None


def found(message: Message, store: Store | None = None) -> Details:
    store = store or Store()
    return details(message, People(ME, store.phone_of, store.phone_of).named)


def text(**info: Any) -> Message:
    return made(extendedTextMessage={"text": "Oi", "contextInfo": info})


def quote(participant: str = LID, **quoted: Any) -> dict[str, Any]:
    return {"stanzaID": "3EB0", "participant": participant, "quotedMessage": quoted}


QUOTED = Context("3EB0", Jid(PHONE), "Oi")


@pytest.mark.parametrize(
    "message",
    [
        text(**quote(conversation="Oi")),
        made(imageMessage={"contextInfo": quote(conversation="Oi")}),
        made(ephemeralMessage={"message": {"stickerMessage": {"contextInfo": quote(conversation="Oi")}}}),
        made(listResponseMessage={"title": "Azul", "contextInfo": quote(conversation="Oi")}),
        made(invoiceMessage={}, productMessage={"contextInfo": quote(conversation="Oi")}),
        made(
            protocolMessage={"type": 14, "editedMessage": {"videoMessage": {"contextInfo": quote(conversation="Oi")}}}
        ),
    ],
    ids=["text", "picture", "ephemeral", "choice", "product", "edit"],
)
def test_a_quote_goes_along_with_content_of_any_kind(message: Message) -> None:
    assert found(message) == Details(QUOTED)


QUOTES: list[tuple[dict[str, Any], Context | None]] = [
    (quote(), Context("3EB0", Jid(PHONE))),
    (quote(locationMessage={"name": "Loja"}), Context("3EB0", Jid(PHONE), "Loja")),
    (quote(reactionMessage={"key": {"ID": "1"}, "text": "+"}), Context("3EB0", Jid(PHONE))),
    (quote(PHONE, conversation="O" * 9000), Context("3EB0", Jid(PHONE), "O" * LONG)),
    (quote("5511988880005:12@s.whatsapp.net"), Context("3EB0", Jid(PHONE))),
    (quote("5511988880005@c.us"), Context("3EB0", Jid(PHONE))),
    (quote(str(ME.lid)), Context("3EB0", ME.jid)),
    (quote("98765432109876.1:3@lid"), Context("3EB0", Jid(PHONE))),
    (quote(STRANGER), Context("3EB0", Jid(STRANGER))),
    (quote("somebody@example.com"), Context("3EB0")),
    (quote("status@broadcast"), Context("3EB0")),
    (quote("٥٥١١٩٨٨@s.whatsapp.net"), Context("3EB0")),
    ({"participant": PHONE, "quotedMessage": {"conversation": "Oi"}}, None),
    ({"isForwarded": True}, Context(forwarded=True)),
    ({"forwardingScore": 1}, Context(forwarded=True)),
    ({"isForwarded": True, "forwardingScore": MANY_TIMES - 1}, Context(forwarded=True)),
    ({"isForwarded": True, "forwardingScore": MANY_TIMES}, Context(forwarded=True, frequently_forwarded=True)),
    ({"isForwarded": False, "forwardingScore": 0}, None),
    ({"expiration": 86_400}, None),
]


@pytest.mark.parametrize(("info", "context"), QUOTES)
def test_what_a_message_answers_and_whether_it_was_forwarded(info: dict[str, Any], context: Context | None) -> None:
    assert found(text(**info)) == Details(context)


def test_mentions_are_numbers_where_they_are_known_each_once_and_people_only() -> None:
    mentioned = [LID, PHONE, str(ME.lid), STRANGER, "x@lid", "", "120363041234567890@g.us"]
    assert found(text(mentionedJID=mentioned)).mentions == (PHONE, ME.jid, STRANGER)
    assert found(text(mentionedJID=["x"])) == Details()


def test_mentions_of_all_in_a_large_group_are_looked_up_for_some() -> None:
    store = Store()
    everybody = [f"{number:014}@lid" for number in range(MOST_MENTIONS + 10)]
    mentions = found(text(mentionedJID=everybody), store).mentions
    assert (mentions, store.asked) == (tuple(everybody[:MOST_MENTIONS]), MOST_LOOKUPS)
    assert found(text(mentionedJID=[LID, LID]), once := Store()).mentions == (PHONE,)
    assert once.asked == 1


AD = {"title": "Hoje", "sourceType": "ad", "mediaType": "IMAGE", "thumbnailURL": "https://x/t"}
REFERRAL = Referral(headline="Hoje", source_type="ad", media_type="image", image_url="https://x/t")


@pytest.mark.parametrize(
    ("advertisement", "referral"),
    [
        (AD, REFERRAL),
        ({**AD, "mediaURL": "https://x/v"}, REFERRAL),
        ({**AD, "mediaType": "VIDEO", "mediaURL": "https://x/v"}, attrs.evolve(REFERRAL, media_type="video", video_url="https://x/v")),
        ({**AD, "originalImageURL": "https://x/o"}, attrs.evolve(REFERRAL, image_url="https://x/o")),
        ({"ctwaClid": "A"}, Referral(ctwa_clid="A")),
        ({"sourceID": "1"}, Referral(source_id="1")),
        ({"showAdAttribution": True, "body": "b" * 9000}, Referral(body="b" * LONG)),
        ({"title": "A page", "body": "with a text", "mediaURL": "https://x", "sourceURL": "https://x"}, None),
        ({"sourceType": " "}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_the_advertisement_that_brought_a_customer(advertisement: dict[str, Any], referral: Referral | None) -> None:
    assert found(text(externalAdReply=advertisement)) == Details(referral=referral)


def test_nothing_goes_along_with_a_message_that_has_no_context() -> None:
    for message in (made(), made(conversation="Oi"), made(senderKeyDistributionMessage={}), made(imageMessage={})):
        assert found(message) == Details()
