"""The kind and the words of each kind of content."""

from __future__ import annotations

import attrs
import pytest
from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import Message

from tests.whatsapp.message_events import DIRECT, event, made, read
from wa_worker.whatsapp.content import content

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
