"""Messages in messages: what is inside, and what is only part of another bubble. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet
from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import ContextInfo, FutureProofMessage, Message, MessageAssociation

from wa_worker.whatsapp.parsing import parsed

DEEPEST_WRAPPER = 8
"""Wrappers in one another that are opened; phones nest two or three."""


def unwrapped(message: Message) -> Message:
    """Returns what is in the wrappers of a message, which may be in one another; itself if it has none."""
    return list(levels(message))[-1]


def levels(message: Message) -> Iterator[Message]:
    """Yields a message, and what is in its wrappers one after the other."""
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
    if any(field.name not in NOT_SHOWN for field, _ in fields):
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


def belongs_to_another(message: Message) -> bool:
    """Says whether a phone shows it in the bubble of another message: the better copy of a picture, for one."""
    for field, value in message.ListFields():
        if field.name == "messageContextInfo" and value.messageAssociation.associationType in _PARTS:
            return True
        if field.name in ("imageMessage", "videoMessage") and value.contextInfo.pairedMediaType in _BETTER_COPIES:
            return True
    return False


_WRAPPERS = frozenset(
    field.name for field in Message.DESCRIPTOR.fields if field.message_type is FutureProofMessage.DESCRIPTOR
)
"""Fields that hold a whole message in them: ephemeral, view once, edited, and whatever the protobuf has next."""

_LENGTH_DELIMITED = 2

NOT_SHOWN = frozenset(
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
