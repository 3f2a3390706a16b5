"""A message to send as WhatsApp's protobuf."""

from __future__ import annotations

from typing import Any

import pytest
from neonize.proto.waCommon.WACommon_pb2 import MessageKey
from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import DisappearingMode

from wa_worker.messages import (
    ChatTimer,
    ContactCard,
    ContactName,
    ContactPhone,
    Contacts,
    MediaKind,
    NewText,
    OutgoingMessage,
    Target,
    Text,
)
from wa_worker.models import Jid
from wa_worker.whatsapp.outgoing import address, protobuf


def sent(body: str, timer: ChatTimer | None = None) -> Any:
    return protobuf(OutgoingMessage(Jid("5511988880005@s.whatsapp.net"), Text(body), secret=b"s" * 32), timer)


@pytest.mark.parametrize(
    ("jid", "user", "server"),
    [
        ("5511988880005@s.whatsapp.net", "5511988880005", "s.whatsapp.net"),
        ("98765432109876@lid", "98765432109876", "lid"),
        ("120363041234567890@g.us", "120363041234567890", "g.us"),
    ],
)
def test_an_address_has_no_device_and_all_its_fields(jid: str, user: str, server: str) -> None:
    made = address(Jid(jid))
    assert (made.User, made.Server, made.Device, made.RawAgent, made.Integrator) == (user, server, 0, 0, 0)
    assert not made.IsEmpty
    assert made.IsInitialized(), "the library refuses one with a field that is missing"


@pytest.mark.parametrize("body", ["Oi", "@5511988880005 is no mention", "áé👍🏽", "a\nb", " ", "x" * 65_536])
def test_a_text_goes_out_as_it_is(body: str) -> None:
    made = sent(body)
    assert made.conversation == body
    assert [field.name for field, _ in made.ListFields()] == ["conversation", "messageContextInfo"]


def test_in_a_chat_with_a_timer_a_text_carries_it() -> None:
    made = sent("Oi", ChatTimer(604_800, 1_700_000_000, initiator=DisappearingMode.INITIATED_BY_ME, trigger=2))
    assert [field.name for field, _ in made.ListFields()] == ["extendedTextMessage", "messageContextInfo"]
    assert made.extendedTextMessage.text == "Oi"
    context = made.extendedTextMessage.contextInfo
    assert (context.expiration, context.ephemeralSettingTimestamp) == (604_800, 1_700_000_000)
    assert context.disappearingMode.initiator == DisappearingMode.INITIATED_BY_ME
    assert context.disappearingMode.trigger == DisappearingMode.ACCOUNT_SETTING
    assert context.disappearingMode.initiatedByMe


@pytest.mark.parametrize("timer", [None, ChatTimer(0, 1_700_000_000, changed=True)])
def test_without_one_it_says_nothing_of_timers(timer: ChatTimer | None) -> None:
    assert sent("Oi", timer) == sent("Oi")


@pytest.mark.parametrize(
    ("kind", "place"),
    [
        (None, ("conversation",)),
        (MediaKind.IMAGE, ("imageMessage", "caption")),
        (MediaKind.VIDEO, ("videoMessage", "caption")),
        (MediaKind.DOCUMENT, ("documentWithCaptionMessage", "message", "documentMessage", "caption")),
    ],
)
def test_new_words_stand_where_the_old_ones_stood(kind: MediaKind | None, place: tuple[str, ...]) -> None:
    """A text in the place of a photo takes its caption away."""
    content = NewText(Target("3EB0"), "11 reais", kind)
    made = protobuf(OutgoingMessage(Jid("1@s.whatsapp.net"), content), key=MessageKey(ID="3EB0", fromMe=True))
    found: Any = made.editedMessage.message.protocolMessage.editedMessage
    for name in place:
        assert [field.name for field, _ in found.ListFields()] == [name]
        found = getattr(found, name)
    assert found == "11 reais"


def test_a_name_begins_no_line_of_a_card() -> None:
    name = "Ana; Bia,\\\nEND:VCARD\r\nTEL:1"
    card = ContactCard(ContactName(name), (ContactPhone("+55 11 9;8"), ContactPhone("911")))
    made = protobuf(OutgoingMessage(Jid("1@s.whatsapp.net"), Contacts((card,)))).contactMessage
    assert made.displayName == name
    assert made.vcard.splitlines() == [
        "BEGIN:VCARD",
        "VERSION:3.0",
        "N:;Ana\\; Bia\\,\\\\\\nEND:VCARD\\nTEL:1;;;",
        "FN:Ana\\; Bia\\,\\\\\\nEND:VCARD\\nTEL:1",
        "TEL;type=CELL;type=VOICE;waid=551198:+55 11 9\\;8",
        "TEL;type=CELL;type=VOICE:911",
        "END:VCARD",
    ]
