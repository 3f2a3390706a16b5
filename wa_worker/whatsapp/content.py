"""What a message is and what its words are, from its protobuf. Pure."""

from __future__ import annotations

from collections.abc import Callable

from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import Message

_TYPES: dict[str, tuple[str, Callable[[Message], str]]] = {
    "conversation": ("text", lambda m: m.conversation),
    "extendedTextMessage": ("text", lambda m: m.extendedTextMessage.text),
    "buttonsResponseMessage": ("text", lambda m: m.buttonsResponseMessage.selectedDisplayText),
    "listResponseMessage": ("text", lambda m: m.listResponseMessage.title),
    "templateButtonReplyMessage": ("text", lambda m: m.templateButtonReplyMessage.selectedDisplayText),
    "imageMessage": ("image", lambda m: m.imageMessage.caption),
    "videoMessage": ("video", lambda m: m.videoMessage.caption),
    "ptvMessage": ("video", lambda m: m.ptvMessage.caption),
    "audioMessage": ("audio", lambda _: ""),
    "documentMessage": ("document", lambda m: m.documentMessage.caption),
    "stickerMessage": ("sticker", lambda _: ""),
    "lottieStickerMessage": ("sticker", lambda _: ""),
    "locationMessage": ("location", lambda m: m.locationMessage.comment),
    "liveLocationMessage": ("location", lambda m: m.liveLocationMessage.caption),
    "contactMessage": ("contact", lambda _: ""),
    "contactsArrayMessage": ("contact", lambda _: ""),
    "pollCreationMessage": ("poll", lambda m: m.pollCreationMessage.name),
    "pollCreationMessageV2": ("poll", lambda m: m.pollCreationMessageV2.name),
    "pollCreationMessageV3": ("poll", lambda m: m.pollCreationMessageV3.name),
    "pollCreationMessageV5": ("poll", lambda m: m.pollCreationMessageV5.name),
    "eventMessage": ("event", lambda m: m.eventMessage.name),
}
_WRAPPERS = (
    "ephemeralMessage",
    "viewOnceMessage",
    "viewOnceMessageV2",
    "viewOnceMessageV2Extension",
    "documentWithCaptionMessage",
    "groupMentionedMessage",
    "associatedChildMessage",
    "editedMessage",
)
_NOT_POSTED = frozenset(
    {
        "protocolMessage",
        "reactionMessage",
        "encReactionMessage",
        "pollUpdateMessage",
        "keepInChatMessage",
        "pinInChatMessage",
        "senderKeyDistributionMessage",
        "fastRatchetKeySenderKeyDistributionMessage",
        "messageContextInfo",
        "encEventResponseMessage",
        "encCommentMessage",
        "secretEncryptedMessage",
        "deviceSentMessage",
        "stickerSyncRmrMessage",
    }
)


def content(message: Message) -> tuple[str | None, str]:
    """Returns the message type and its text ('' where it has none). Type None: not a message to a person.

    An unknown kind of content is `other`: better an empty message than a lost one.
    """
    for _ in range(4):  # wrappers may be nested; more than a few levels is nonsense
        inner = next((name for name in _WRAPPERS if message.HasField(name)), None)
        if inner is None:
            break
        message = getattr(message, inner).message
    for name, (kind, text) in _TYPES.items():
        if message.HasField(name):
            return kind, text(message)
    fields = {field.name for field, _value in message.ListFields()}
    return ("other", "") if fields - _NOT_POSTED else (None, "")
