"""neonize's protobufs to our models, and whatsmeow's error texts to our errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest
from neonize.proto import Neonize_pb2 as pb
from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import Message

from wa_worker.errors import SendDelayed, SendError, SendRefused, SendUncertain, SessionNotOpen
from wa_worker.models import ChatType, InboundMessage, Jid, WaMessageId
from wa_worker.whatsapp.translate import Identity, content, identity, inbound, send_error

ME = Identity(Jid("5511999990001@s.whatsapp.net"), Jid("11111111111111@lid"))
PHONE, LID = "5511988880005@s.whatsapp.net", "98765432109876@lid"
STRANGER = "22222222222222@lid"
GROUP = "120363041234567890@g.us"
KNOWN = {PHONE: LID, LID: PHONE}


def known(address: Jid) -> Jid | None:
    """The session store: one person, both ways."""
    return Jid(KNOWN[address]) if address in KNOWN else None


def unknown(_address: Jid) -> Jid | None:
    return None


def jid(text: str, device: int = 0) -> pb.JID:
    user, _, server = text.partition("@")
    return pb.JID(User=user, Server=server, Device=device, RawAgent=0, Integrator=0, IsEmpty=not text)


def event(
    chat: str = PHONE,
    sender: str = PHONE,
    *,
    alternative: str = "",
    own: bool = False,
    message: Message | None = None,
    wa_id: str = "3EB0",
    timestamp: int = 1_700_000_000_123,
    push_name: str = "Ana",
    device: int = 0,
) -> pb.Message:
    source = pb.MessageSource(
        Chat=jid(chat),
        Sender=jid(sender, device),
        SenderAlt=jid(alternative),
        IsFromMe=own,
        IsGroup=chat.endswith("@g.us"),
    )
    info = pb.MessageInfo(MessageSource=source, ID=wa_id, Pushname=push_name, Timestamp=timestamp)
    whole = pb.Message(Info=info, Message=message or Message(conversation="Oi"))
    made: pb.Message = pb.Message.FromString(whole.SerializePartialToString())  # as the library hands it over
    return made


def read(event: pb.Message, lookup: Callable[[Jid], Jid | None] = known) -> InboundMessage | None:
    return inbound(event, ME, lookup, lookup)


DIRECT = InboundMessage(
    wa_id=WaMessageId("3EB0"),
    chat=Jid(PHONE),
    chat_type=ChatType.DIRECT,
    to=ME.jid,
    sender=Jid(PHONE),
    sender_lid=Jid(LID),
    push_name="Ana",
    body="Oi",
    message_type="text",
    timestamp=1_700_000_000,
)
IN_GROUP = attrs.evolve(DIRECT, chat=Jid(GROUP), chat_type=ChatType.GROUP, to=Jid(PHONE))


@attrs.frozen
class From:
    name: str
    event: pb.Message
    message: InboundMessage | None
    lookup: Callable[[Jid], Jid | None] = known


FROM = [
    From("a phone number", event(), DIRECT),
    From("a phone number, no LID known", event(), attrs.evolve(DIRECT, sender_lid=None), unknown),
    From("a phone number, LID in the event", event(alternative=LID), DIRECT, unknown),
    From("a linked device", event(device=12), DIRECT),
    From("a LID, number in the event", event(LID, LID, alternative=PHONE), DIRECT, unknown),
    From("a LID, number in the store", event(LID, LID), DIRECT),
    From(
        "a LID, number unknown",
        event(LID, LID),
        attrs.evolve(DIRECT, chat=Jid(LID), sender=Jid(LID)),
        unknown,
    ),
    From("a LID, with a LID beside it", event(LID, LID, alternative=STRANGER), DIRECT),
    From("a group", event(GROUP), IN_GROUP),
    From("a group, by LID", event(GROUP, LID, alternative=PHONE), IN_GROUP, unknown),
    From("a group, by LID in the store", event(GROUP, LID), IN_GROUP),
    From(
        "a group, by an unknown LID",
        event(GROUP, STRANGER),
        attrs.evolve(IN_GROUP, to=Jid(STRANGER), sender=Jid(STRANGER), sender_lid=Jid(STRANGER)),
    ),
    From("a broadcast list is a direct message", event("1600000000@broadcast"), DIRECT),
    From("no name", event(push_name=""), attrs.evolve(DIRECT, push_name=None)),
    From(
        "the character 0, which PostgreSQL cannot store",
        event(message=Message(conversation="O\0i"), push_name="A\0", wa_id="3EB0\0"),
        attrs.evolve(DIRECT, body="O\ufffdi", push_name="A\ufffd", wa_id=WaMessageId("3EB0\ufffd")),
    ),
    From("time in seconds", event(timestamp=1_700_000_000), DIRECT),
    From("no time", event(timestamp=0), attrs.evolve(DIRECT, timestamp=0)),
    From("myself", event(own=True), None),
    From("myself in a group", event(GROUP, ME.jid, own=True), None),
    From("a status", event("status@broadcast"), None),
    From("a newsletter", event("120363041234567890@newsletter", "120363041234567890@newsletter"), None),
]


@pytest.mark.parametrize("case", FROM, ids=lambda case: case.name)
def test_a_message_from(case: From) -> None:
    assert read(case.event, case.lookup) == case.message


@pytest.mark.parametrize(
    "broken",
    [
        event(wa_id=""),
        event(sender=""),
        event(chat="@g.us", sender="@lid"),
        event(GROUP, "@s.whatsapp.net"),
        event("@g.us"),
    ],
    ids=["no id", "no sender", "no user", "no participant", "no group"],
)
def test_what_has_no_address_or_id_is_refused(broken: pb.Message) -> None:
    with pytest.raises(ValueError, match="without"):
        read(broken)


def made(**fields: Any) -> Message:
    """A message of nested dicts: `made(imageMessage={"caption": "Oi"})`."""
    return Message(**fields)


TEXT = {"conversation": "Oi"}


@attrs.frozen
class Content:
    name: str
    message: Message
    kind: str | None
    text: str = ""


CONTENTS = [
    Content("text", made(conversation="Oi"), "text", "Oi"),
    Content("empty text", made(conversation=""), "text"),
    Content("text with a preview", made(extendedTextMessage={"text": "Oi https://x"}), "text", "Oi https://x"),
    Content("text and keys for the group", made(conversation="Oi", senderKeyDistributionMessage={}), "text", "Oi"),
    Content("button", made(buttonsResponseMessage={"selectedDisplayText": "Sim"}), "text", "Sim"),
    Content("list choice", made(listResponseMessage={"title": "Azul"}), "text", "Azul"),
    Content("template button", made(templateButtonReplyMessage={"selectedDisplayText": "Sim"}), "text", "Sim"),
    Content("image", made(imageMessage={}), "image"),
    Content("image, caption", made(imageMessage={"caption": "Oi"}), "image", "Oi"),
    Content("video, caption", made(videoMessage={"caption": "Oi"}), "video", "Oi"),
    Content("round video", made(ptvMessage={}), "video"),
    Content("audio", made(audioMessage={"PTT": True}), "audio"),
    Content("document, caption", made(documentMessage={"fileName": "a.pdf", "caption": "Oi"}), "document", "Oi"),
    Content(
        "document, caption, wrapped",
        made(documentWithCaptionMessage={"message": {"documentMessage": {"caption": "Oi"}}}),
        "document",
        "Oi",
    ),
    Content("sticker", made(stickerMessage={}), "sticker"),
    Content("moving sticker", made(lottieStickerMessage={"message": {"stickerMessage": {}}}), "sticker"),
    Content("location", made(locationMessage={"degreesLatitude": 1, "comment": "Aqui"}), "location", "Aqui"),
    Content("live location", made(liveLocationMessage={"caption": "Aqui"}), "location", "Aqui"),
    Content("contact", made(contactMessage={"displayName": "Bia"}), "contact"),
    Content("contacts", made(contactsArrayMessage={}), "contact"),
    Content("poll", made(pollCreationMessageV3={"name": "Quando?"}), "poll", "Quando?"),
    Content("event", made(eventMessage={"name": "Festa"}), "event", "Festa"),
    Content("ephemeral", made(ephemeralMessage={"message": TEXT}), "text", "Oi"),
    Content("view once", made(viewOnceMessage={"message": {"imageMessage": {"caption": "Oi"}}}), "image", "Oi"),
    Content("view once 2", made(viewOnceMessageV2={"message": {"videoMessage": {}}}), "video"),
    Content("view once 2, audio", made(viewOnceMessageV2Extension={"message": {"audioMessage": {}}}), "audio"),
    Content(
        "view once in an ephemeral chat",
        made(ephemeralMessage={"message": {"viewOnceMessageV2": {"message": {"imageMessage": {}}}}}),
        "image",
    ),
    Content("unknown to us", made(orderMessage={}), "other"),
    Content("a call", made(call={}), "other"),
    Content("unknown to us, wrapped", made(ephemeralMessage={"message": {"productMessage": {}}}), "other"),
    Content("nothing", made(), None),
    Content("nothing, wrapped", made(ephemeralMessage={"message": {}}), None),
    Content("only context", made(messageContextInfo={}), None),
    Content("reaction", made(reactionMessage={"text": "+"}), None),
    Content("sealed reaction", made(encReactionMessage={}), None),
    Content("protocol", made(protocolMessage={"type": 0}, messageContextInfo={}), None),
    Content("deletion, wrapped", made(ephemeralMessage={"message": {"protocolMessage": {"type": 0}}}), None),
    Content("edit", made(editedMessage={"message": {"protocolMessage": {"type": 14, "editedMessage": TEXT}}}), None),
    Content("poll vote", made(pollUpdateMessage={}), None),
    Content("pin", made(pinInChatMessage={}), None),
    Content("keys for the group", made(senderKeyDistributionMessage={}), None),
]


@pytest.mark.parametrize("case", CONTENTS, ids=lambda case: case.name)
def test_content(case: Content) -> None:
    assert content(case.message) == (case.kind, case.text)
    message = read(event(message=case.message))
    if case.kind is None:
        assert message is None
    else:
        assert message == attrs.evolve(DIRECT, message_type=case.kind, body=case.text)


def test_wrappers_without_end_are_not_followed() -> None:
    message = made(conversation="Oi")
    for _ in range(50):
        message = made(ephemeralMessage={"message": message})
    assert content(message) == ("other", "")


def test_who_we_are() -> None:
    device = pb.Device(JID=jid(ME.jid, 12), LID=jid("11111111111111@lid", 12))
    assert identity(device) == ME
    assert identity(pb.Device(JID=jid(ME.jid))) == Identity(ME.jid, None)
    assert identity(pb.Device()) is None


@attrs.frozen
class SendCase:
    text: str
    means: type[SendError]
    pause: float | None = None


# Texts of whatsmeow's errors.go, send.go, request.go, usync and group calls, as the library hands them over.
SENDS = [
    SendCase("no LID found for 5511988880005@s.whatsapp.net from server", SendRefused),
    SendCase("failed to get device list: no LID found for 5511988880005@s.whatsapp.net", SendRefused),
    SendCase("can't send message to unknown server broadcast", SendRefused),
    SendCase("message recipient must be a user JID with no device part", SendRefused),
    SendCase("failed to get group members: that group does not exist", SendRefused),
    SendCase("failed to get group members: you're not participating in that group", SendRefused),
    SendCase("failed to get group members: info query returned status 404: item-not-found", SendRefused),
    SendCase("server returned error 400", SendRefused),
    SendCase("server returned error 404", SendRefused),
    SendCase("server returned error 408", SendDelayed, 10),
    SendCase("server returned error 421", SendDelayed, 10),
    SendCase("server returned error 429", SendDelayed, 60),
    SendCase("server returned error 463", SendDelayed, 900),
    SendCase("server returned error 479", SendDelayed, 60),
    SendCase("server returned error 500", SendDelayed, 10),
    SendCase("server returned error 503", SendDelayed, 10),
    SendCase("client is nil", SessionNotOpen, 2),
    SendCase("the store doesn't contain a device JID", SessionNotOpen, 2),
    SendCase("websocket disconnected before info query returned response", SessionNotOpen, 2),
    SendCase("failed to send message node: websocket not connected", SessionNotOpen, 2),
    SendCase("failed to send message node: failed to write: use of closed network connection", SessionNotOpen, 2),
    SendCase("failed to send usync query: websocket disconnected before info query returned response", SessionNotOpen),
    SendCase("failed to get device list: failed to send usync query: info query timed out", SendDelayed, 10),
    SendCase("info query timed out", SendDelayed, 10),
    SendCase("failed to encrypt message for 1@s.whatsapp.net: no session", SendDelayed, 10),
    SendCase("can't encrypt message for device: no signal session established", SendDelayed, 10),
    SendCase("timed out waiting for message send response", SendUncertain),
    SendCase("message timed out", SendUncertain),
    SendCase("websocket disconnected before message send returned response", SendUncertain),
    SendCase("websocket not connected", SendUncertain),
    SendCase("context deadline exceeded", SendUncertain),
    SendCase("a text of a later version", SendUncertain),
    SendCase("", SendUncertain),
]


@pytest.mark.parametrize("case", SENDS, ids=lambda case: case.text or "nothing")
def test_send_errors(case: SendCase) -> None:
    error = send_error(case.text)
    assert type(error) is case.means
    assert str(error).startswith(case.text)
    if case.pause is not None:
        assert isinstance(error, SendDelayed)
        assert error.pause == case.pause
