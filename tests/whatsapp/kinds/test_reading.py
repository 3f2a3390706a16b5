"""The kind and the words of each kind of content."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import FutureProofMessage, Message

from tests.whatsapp.message_events import DIRECT, event, made, read
from wa_worker.messages import Interactive, OptionReply
from wa_worker.whatsapp.kinds.reading import content
from wa_worker.whatsapp.kinds.wrappers import DEEPEST_WRAPPER

KINDS_OF_CONTENT = ("media", "location", "contacts", "order", "product", "poll", "event", "call")

TEXT = {"conversation": "Oi"}
PLACE = {"degreesLatitude": -23.5, "name": "Loja Centro", "address": "Rua Exemplo, 100", "URL": "https://x"}
POLL = {"name": "Quando?", "options": [{"optionName": "Sexta", "optionHash": "c2V4dGE="}, {"optionName": "Sábado"}]}
PART_OF_ALBUM = {"messageAssociation": {"associationType": "MEDIA_ALBUM"}}
BETTER_VIDEO = {"messageAssociation": {"associationType": "HD_VIDEO_DUAL_UPLOAD"}}
PICTURE_OF_EVENT = {"messageAssociation": {"associationType": "EVENT_COVER_IMAGE"}}
CARD = (
    "BEGIN:VCARD\r\nVERSION:3.0\r\nN:;Beatriz;;;\r\nFN:Beatriz\r\n"
    "item1.TEL;waid=5511988880005:+55 11\r\n  98888-0005\r\nitem1.X-ABLabel:Celular\r\nEND:VCARD"
)


@attrs.frozen
class Case:
    name: str
    message: Message
    kind: str | None
    text: str = ""


CONTENTS = [
    Case("text", made(conversation="Oi"), "text", "Oi"),
    Case("empty text", made(conversation=""), "text"),
    Case("text with a preview", made(extendedTextMessage={"text": "Oi https://x"}), "text", "Oi https://x"),
    Case("text and keys for the group", made(conversation="Oi", senderKeyDistributionMessage={}), "text", "Oi"),
    Case("button", made(buttonsResponseMessage={"selectedDisplayText": "Sim"}), "text", "Sim"),
    Case("list choice", made(listResponseMessage={"title": "Azul"}), "text", "Azul"),
    Case("template button", made(templateButtonReplyMessage={"selectedDisplayText": "Sim"}), "text", "Sim"),
    Case("image", made(imageMessage={}), "image"),
    Case("image, caption", made(imageMessage={"caption": "Oi"}), "image", "Oi"),
    Case("video, caption", made(videoMessage={"caption": "Oi"}), "video", "Oi"),
    Case("round video", made(ptvMessage={}), "video"),
    Case("audio", made(audioMessage={"PTT": True}), "audio"),
    Case("document, caption", made(documentMessage={"fileName": "a.pdf", "caption": "Oi"}), "document", "Oi"),
    Case(
        "document, caption, wrapped",
        made(documentWithCaptionMessage={"message": {"documentMessage": {"caption": "Oi"}}}),
        "document",
        "Oi",
    ),
    Case("sticker", made(stickerMessage={}), "sticker"),
    Case("moving sticker", made(lottieStickerMessage={"message": {"stickerMessage": {}}}), "sticker"),
    Case("location", made(locationMessage={"degreesLatitude": 1, "comment": "Aqui"}), "location", "Aqui"),
    Case("live location", made(liveLocationMessage={"caption": "Aqui"}), "location", "Aqui"),
    Case("place", made(locationMessage=PLACE), "location", "Loja Centro, Rua Exemplo, 100"),
    Case("place, name only", made(locationMessage={"name": "Loja Centro"}), "location", "Loja Centro"),
    Case("place, address only", made(locationMessage={"address": "Rua Exemplo, 100"}), "location", "Rua Exemplo, 100"),
    Case(
        "place, address with the name in it, comment",
        made(locationMessage={"name": "Loja", "address": "Loja, Rua Exemplo", "comment": "Aqui"}),
        "location",
        "Loja, Rua Exemplo\nAqui",
    ),
    Case("contact", made(contactMessage={"displayName": "Bia"}), "contact", "Bia"),
    Case(
        "contact, card", made(contactMessage={"displayName": "Bia", "vcard": CARD}), "contact", "Bia, +55 11 98888-0005"
    ),
    Case("contacts", made(contactsArrayMessage={}), "contact"),
    Case("contacts, a name for all", made(contactsArrayMessage={"displayName": "2 contatos"}), "contact", "2 contatos"),
    Case(
        "contacts, two",
        made(contactsArrayMessage={"displayName": "2 contatos", "contacts": [{"displayName": "Bia"}, {"vcard": CARD}]}),
        "contact",
        "Bia\nBeatriz, +55 11 98888-0005",
    ),
    Case("poll", made(pollCreationMessageV3={"name": "Quando?"}), "poll", "Quando?"),
    Case("poll, options", made(pollCreationMessageV6=POLL), "poll", "Quando?\nSexta\nSábado"),
    Case(
        "poll, wrapped",
        made(pollCreationMessageV4={"message": {"pollCreationMessage": POLL}}),
        "poll",
        "Quando?\nSexta\nSábado",
    ),
    Case("event", made(eventMessage={"name": "Festa"}), "event", "Festa"),
    Case(
        "event, place",
        made(eventMessage={"name": "Festa", "description": "Traga gelo", "location": PLACE, "joinLink": "https://x"}),
        "event",
        "Festa\nTraga gelo\nLoja Centro\nRua Exemplo, 100",
    ),
    Case("ephemeral", made(ephemeralMessage={"message": TEXT}), "text", "Oi"),
    Case("view once", made(viewOnceMessage={"message": {"imageMessage": {"caption": "Oi"}}}), "image", "Oi"),
    Case("view once 2", made(viewOnceMessageV2={"message": {"videoMessage": {}}}), "video"),
    Case("view once 2, audio", made(viewOnceMessageV2Extension={"message": {"audioMessage": {}}}), "audio"),
    Case(
        "view once in an ephemeral chat",
        made(ephemeralMessage={"message": {"viewOnceMessageV2": {"message": {"imageMessage": {}}}}}),
        "image",
    ),
    Case("unknown to us", made(invoiceMessage={}), "other"),
    Case("a call that was asked for", made(call={}), "other"),
    Case("unknown to us, wrapped", made(ephemeralMessage={"message": {"invoiceMessage": {}}}), "other"),
    Case("order", made(orderMessage={"message": "Quero", "orderTitle": "Loja"}), "order", "Quero\nLoja"),
    Case("product, wrapped", made(ephemeralMessage={"message": {"productMessage": {}}}), "product"),
    Case("note of a call", made(callLogMesssage={"isVideo": True}), "call"),
    Case("hidden from linked devices", made(placeholderMessage={"type": 0}), "view_once"),
    Case(
        "a place without words",
        made(locationMessage={"degreesLatitude": -23.5505, "degreesLongitude": -46.633308}),
        "location",
        "-23.5505, -46.633308",
    ),
    Case("nothing", made(), None),
    Case("nothing, wrapped", made(ephemeralMessage={"message": {}}), None),
    Case("only context", made(messageContextInfo={}), None),
    Case("header of an album", made(albumMessage={"expectedImageCount": 2}, messageContextInfo={}), None),
    Case(
        "picture of an album",
        made(associatedChildMessage={"message": {"imageMessage": {"caption": "Oi"}}}, messageContextInfo=PART_OF_ALBUM),
        "image",
        "Oi",
    ),
    Case("better copy of a picture", made(imageMessage={"caption": "Oi", "contextInfo": {"pairedMediaType": 4}}), None),
    Case(
        "better copy of a video, wrapped",
        made(associatedChildMessage={"message": {"videoMessage": {}, "messageContextInfo": BETTER_VIDEO}}),
        None,
    ),
    Case(
        "picture of an event",
        made(eventCoverImage={"message": {"imageMessage": {}}}, messageContextInfo=PICTURE_OF_EVENT),
        None,
    ),
    Case("keys and context", made(senderKeyDistributionMessage={}, messageContextInfo={}), None),
    Case("keys of the group's root", made(groupRootKeyShare={}), None),
    Case("history for one who was added", made(messageHistoryBundle={}), None),
    Case("mention in a status", made(statusMentionMessage={"message": {"protocolMessage": {"type": 25}}}), None),
    Case("limits of sharing", made(limitSharingMessage={"message": {"protocolMessage": {"type": 27}}}), None),
    Case("timer", made(protocolMessage={"type": 3, "ephemeralExpiration": 86400}), None),
    Case("edit, sealed", made(secretEncryptedMessage={"encPayload": b"x"}), None),
    Case("reaction", made(reactionMessage={"text": "+"}), None),
    Case("sealed reaction", made(encReactionMessage={}), None),
    Case("protocol", made(protocolMessage={"type": 0}, messageContextInfo={}), None),
    Case("deletion, wrapped", made(ephemeralMessage={"message": {"protocolMessage": {"type": 0}}}), None),
    Case("edit", made(editedMessage={"message": {"protocolMessage": {"type": 14, "editedMessage": TEXT}}}), None),
    Case("poll vote", made(pollUpdateMessage={}), None),
    Case("pin", made(pinInChatMessage={}), None),
    Case("keys for the group", made(senderKeyDistributionMessage={}), None),
]


@pytest.mark.parametrize("case", CONTENTS, ids=lambda case: case.name)
def test_content(case: Case) -> None:
    found = content(case.message)
    assert (found.kind, found.body) == (case.kind, case.text)
    message = read(event(message=case.message))
    if case.kind is None:
        assert message is None
    else:
        assert message is not None
        assert (message.message_type, message.body) == (case.kind, case.text)
        without: dict[str, Any] = dict.fromkeys(KINDS_OF_CONTENT)
        assert attrs.evolve(message, **without, body="Oi", message_type="text") == DIRECT


def test_the_option_of_an_answer_goes_along() -> None:
    answer = made(listResponseMessage={"title": "Azul", "singleSelectReply": {"selectedRowID": "blue"}})
    option = Interactive("list_reply", list_reply=OptionReply("blue", "Azul"))
    assert read(event(message=answer)) == attrs.evolve(DIRECT, body="Azul", interactive=option)


def wrapped(message: Message, times: int) -> Message:
    for _ in range(times):
        message = made(ephemeralMessage={"message": message})
    return message


def test_wrappers_without_end_are_not_followed() -> None:
    assert content(wrapped(made(conversation="Oi"), DEEPEST_WRAPPER)).body == "Oi"
    found = content(wrapped(made(conversation="Oi"), 45))
    assert (found.kind, found.body) == ("other", "")


def tomorrow(number: int, content: bytes) -> Message:
    """A message with a field that no protobuf has yet."""
    tag = number << 3 | 2
    message: Message = Message.FromString(bytes((tag & 127 | 128, tag >> 7, len(content))) + content)
    assert not message.ListFields()
    return message


def test_a_wrapper_that_nobody_knows_yet_is_opened() -> None:
    inner = made(ephemeralMessage={"message": {"templateMessage": {"hydratedTemplate": {"hydratedContentText": "Oi"}}}})
    found = content(tomorrow(900, FutureProofMessage(message=inner).SerializeToString()))
    assert (found.kind, found.body) == ("other", "Oi")


@pytest.mark.parametrize("inside", [b"", b"\x0a\x02Oi", b"\xff\xff\xff", b"\x12\x01x"])
def test_content_that_nobody_knows_yet_is_a_message_all_the_same(inside: bytes) -> None:
    found = content(tomorrow(901, inside))
    assert (found.kind, found.body) == ("other", "")
