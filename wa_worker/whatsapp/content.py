"""What a message is and what its words are, from its protobuf. Pure.

A table for the kinds that are known, a general rule for all others: words.py. What no person wrote is no message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import attrs
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet
from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import ContextInfo, FutureProofMessage, Message, MessageAssociation

from wa_worker.messages import Button, Interactive
from wa_worker.whatsapp import vcard
from wa_worker.whatsapp.choices import ANSWERS
from wa_worker.whatsapp.parsing import parsed
from wa_worker.whatsapp.words import words

DEEPEST_WRAPPER = 8
"""Wrappers in one another that are opened; phones nest two or three."""


@attrs.frozen
class Content:
    """Describes the content of a message. `kind` None: it is not a message to a person. `body` '': it has no words."""

    kind: str | None
    body: str = attrs.field(default="", repr=False)
    interactive: Interactive | None = attrs.field(default=None, repr=False)
    button: Button | None = attrs.field(default=None, repr=False)


def content(message: Message) -> Content:
    """Returns what a message is.

    An unknown kind of content is `other`: better a message without words than a lost one.
    """
    levels = list(_levels(message))
    if any(map(_belongs_to_another, levels)):
        return Content(None)
    message = levels[-1]
    fields = {field.name: value for field, value in message.ListFields()}
    for name, answer in ANSWERS.items():
        if name in fields:
            choice = answer(message)
            return Content("text", choice.words, choice.interactive, choice.button)
    for name, (kind, body) in _KINDS.items():
        if name in fields:
            return Content(kind, body(message))
    shown = [value for name, value in fields.items() if name not in _NOT_SHOWN]
    if not shown and not len(UnknownFieldSet(message)):
        return Content(None)
    return Content("other", "\n".join(filter(None, map(words, shown))))


def unwrapped(message: Message) -> Message:
    """Returns what is in the wrappers of a message, which may be in one another; itself if it has none."""
    return list(_levels(message))[-1]


def _levels(message: Message) -> Iterator[Message]:
    yield message
    for _ in range(DEEPEST_WRAPPER):
        inner = _inner(message)
        if inner is None:
            return
        message = inner
        yield message


def _inner(message: Message) -> Message | None:
    """Returns what is in the wrapper that the message is; None if it is none."""
    fields = message.ListFields()
    inner: Message
    for field, value in fields:
        if field.name in _WRAPPERS:
            inner = value.message
            return inner
    if any(field.name not in _NOT_SHOWN for field, _ in fields):
        return None
    for field in UnknownFieldSet(message):  # a wrapper of tomorrow, perhaps
        if field.wire_type == _LENGTH_DELIMITED:
            try:
                inner = parsed(FutureProofMessage, field.data).message
            except DecodeError:
                continue
            if inner.ListFields():
                return inner
    return None


def _belongs_to_another(message: Message) -> bool:
    """Says whether a phone shows it in the bubble of another message: the better copy of a picture, for one."""
    for field, value in message.ListFields():
        if field.name == "messageContextInfo" and value.messageAssociation.associationType in _PARTS:
            return True
        if field.name in ("imageMessage", "videoMessage") and value.contextInfo.pairedMediaType in _BETTER_COPIES:
            return True
    return False


def _place(message: Message) -> str:
    place = message.locationMessage
    name, address = place.name.strip(), place.address.strip()
    where = address if address.startswith(name) else f"{name}, {address}" if address else name
    return "\n".join(filter(None, (where, place.comment)))


def _contact(message: Message) -> str:
    return vcard.words(message.contactMessage.displayName, message.contactMessage.vcard)


def _contacts(message: Message) -> str:
    contacts = message.contactsArrayMessage
    return "\n".join(vcard.words(each.displayName, each.vcard) for each in contacts.contacts) or contacts.displayName


def _words_of(name: str) -> Callable[[Message], str]:
    return lambda message: words(getattr(message, name))


_KINDS: dict[str, tuple[str, Callable[[Message], str]]] = {
    "conversation": ("text", lambda m: m.conversation),
    "extendedTextMessage": ("text", lambda m: m.extendedTextMessage.text),
    "imageMessage": ("image", lambda m: m.imageMessage.caption),
    "videoMessage": ("video", lambda m: m.videoMessage.caption),
    "ptvMessage": ("video", lambda m: m.ptvMessage.caption),
    "audioMessage": ("audio", lambda _: ""),
    "documentMessage": ("document", lambda m: m.documentMessage.caption),
    "stickerMessage": ("sticker", lambda _: ""),
    "locationMessage": ("location", _place),
    "liveLocationMessage": ("location", lambda m: m.liveLocationMessage.caption),
    "contactMessage": ("contact", _contact),
    "contactsArrayMessage": ("contact", _contacts),
    "questionResponseMessage": ("text", lambda m: m.questionResponseMessage.text),
    **{
        name: ("poll", _words_of(name))
        for name in (
            "pollCreationMessage",
            "pollCreationMessageV2",
            "pollCreationMessageV3",
            "pollCreationMessageV5",
            "pollCreationMessageV6",
        )
    },
    "eventMessage": ("event", _words_of("eventMessage")),
}

_WRAPPERS = frozenset(
    field.name for field in Message.DESCRIPTOR.fields if field.message_type is FutureProofMessage.DESCRIPTOR
)
"""Fields that hold a whole message in them: ephemeral, view once, edited, and whatever the protobuf has next."""

_LENGTH_DELIMITED = 2

_NOT_SHOWN = frozenset(
    {
        "protocolMessage",
        "reactionMessage",
        "encReactionMessage",
        "pollUpdateMessage",
        "pollAddOptionMessage",
        "keepInChatMessage",
        "pinInChatMessage",
        "albumMessage",
        "scheduledCallEditMessage",
        "senderKeyDistributionMessage",
        "fastRatchetKeySenderKeyDistributionMessage",
        "groupRootKeyShare",
        "rootSecretDistributeMessage",
        "messageContextInfo",
        "messageHistoryBundle",
        "messageHistoryNotice",
        "statusNotificationMessage",
        "statusLinkPreviewMetadata",
        "splitPaymentUpdateMessage",
        "encEventResponseMessage",
        "encCommentMessage",
        "secretEncryptedMessage",
        "deviceSentMessage",
        "stickerSyncRmrMessage",
    }
)
"""Content that changes another message, or that clients tell each other: no bubble of its own on a phone."""

_PARTS = frozenset(
    {
        MessageAssociation.EVENT_COVER_IMAGE,
        MessageAssociation.MEDIA_POLL,
        MessageAssociation.HD_VIDEO_DUAL_UPLOAD,
        MessageAssociation.HD_IMAGE_DUAL_UPLOAD,
        MessageAssociation.HEVC_VIDEO_DUAL_UPLOAD,
        MessageAssociation.MOTION_PHOTO,
    }
)
_BETTER_COPIES = frozenset(
    {
        ContextInfo.HD_IMAGE_CHILD,
        ContextInfo.HD_VIDEO_CHILD,
        ContextInfo.HEVC_VIDEO_CHILD,
        ContextInfo.MOTION_PHOTO_CHILD,
    }
)
