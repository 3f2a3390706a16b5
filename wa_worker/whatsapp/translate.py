"""neonize's protobufs to our models, and its error texts to our errors. Pure.

WhatsApp's data is untrusted: what does not translate raises ValueError and is the caller's to log.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import attrs
from neonize.proto import Neonize_pb2 as pb
from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import Message

from wa_worker import jid
from wa_worker.errors import SendDelayed, SendError, SendRefused, SendUncertain, SessionNotOpen
from wa_worker.models import ChatType, InboundMessage, Jid, WaMessageId

Lookup = Callable[[Jid], Jid | None]


@attrs.frozen
class Identity:
    """Who a session is: its phone number JID, and its LID if WhatsApp gave one."""

    jid: Jid
    lid: Jid | None


def identity(device: pb.Device) -> Identity | None:
    """From the library's own Device; None while unpaired."""
    if not device.JID.User:
        return None
    return Identity(_bare(device.JID), _bare(device.LID) if device.LID.User else None)


def inbound(event: pb.Message, me: Identity, phone_of: Lookup, lid_of: Lookup) -> InboundMessage | None:
    """The message to hand on, or None for what nobody asked for: our own messages, status broadcasts, newsletters,
    reactions and protocol messages.

    `phone_of` and `lid_of` look a mapping up in the session store. Phone number JIDs are preferred wherever a
    mapping is known; digits are never made up.
    """
    info = event.Info
    source = info.MessageSource
    if source.IsFromMe or source.Chat.Server in _NOT_CHATS or source.Chat.User == "status":
        return None
    message_type, body = content(event.Message)
    if message_type is None:
        return None
    if not info.ID:
        raise ValueError("a message without an id")
    sender_raw = _bare(source.Sender)
    alternative = _bare(source.SenderAlt) if source.SenderAlt.User else None
    sender = _phone(sender_raw, alternative, phone_of)
    group = source.Chat.Server == jid.GROUP
    return InboundMessage(
        wa_id=WaMessageId(_storable(info.ID)),
        chat=_bare(source.Chat) if group else sender,
        chat_type=ChatType.GROUP if group else ChatType.DIRECT,
        to=sender if group else me.jid,
        sender=sender,
        sender_lid=next((j for j in (sender_raw, alternative) if j and jid.is_lid(j)), None) or lid_of(sender),
        push_name=_storable(info.Pushname) or None,
        body=_storable(body),
        message_type=message_type,
        # milliseconds in 0.5.2; seconds would be below this until the year 5138
        timestamp=info.Timestamp // 1000 if info.Timestamp > 100_000_000_000 else info.Timestamp,
    )


_NOT_CHATS = frozenset({"newsletter", "hosted.newsletter"})


def _bare(protobuf: pb.JID) -> Jid:
    if not protobuf.User or not protobuf.Server:
        raise ValueError("an address without a user or server")
    return Jid(f"{protobuf.User}@{protobuf.Server}")


def _storable(text: str) -> str:
    """A sender may put the character 0 into a text, and PostgreSQL has none: a proxy in front of it would answer 500
    for ever, and the chat would wait behind that message."""
    return text.replace("\0", "\ufffd")


def _phone(address: Jid, alternative: Jid | None, phone_of: Lookup) -> Jid:
    if not jid.is_lid(address):
        return address
    if alternative is not None and not jid.is_lid(alternative):
        return alternative
    return phone_of(address) or address


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
    """The message type and its text ('' where it has none). Type None: not a message to a person.

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


NOT_CONNECTED_PAUSE = 2.0
TROUBLE_PAUSE = 10.0
RATE_PAUSE = 60.0
RESTRICTED_PAUSE = 15 * 60.0
"""463: WhatsApp limits messages to people who have not written to us; it lifts by itself, not in seconds."""

_CODE = re.compile(r"server returned error (\d+)")
_REFUSED = (
    "no LID found for",  # not on WhatsApp
    "can't send message to unknown server",
    "message recipient must be a user JID",
    "that group does not exist",
    "you're not participating in that group",
    "item-not-found",
)
_NOT_CONNECTED = (
    "client is nil",
    "the store doesn't contain a device JID",
    "websocket disconnected before info query",
)
_BEFORE_THE_FRAME = ("failed to ", "can't encrypt message", "info query timed out", *_NOT_CONNECTED)


def send_error(text: str) -> SendError:
    """What an error of the library's `send_message` means (texts: whatsmeow's errors.go, send.go, request.go).

    What fails before the frame leaves is wrapped in a text of its own ("failed to ..."). The bare texts come from
    waiting for the answer or from whatsmeow's own second try: then the message may have left, as with any text that
    is not known here.
    """
    if code := _CODE.search(text):
        return _server_error(int(code[1]), text)
    if any(sign in text for sign in _REFUSED):
        return SendRefused(text)
    if not text.startswith(_BEFORE_THE_FRAME):
        return SendUncertain(text)
    broken = text.startswith(_NOT_CONNECTED) or "not connected" in text or "disconnected" in text or "closed" in text
    return SessionNotOpen(text, pause=NOT_CONNECTED_PAUSE) if broken else SendDelayed(text, pause=TROUBLE_PAUSE)


def _server_error(code: int, text: str) -> SendError:
    if code == 463:
        return SendDelayed(f"{text} (WhatsApp limits first messages from this account)", pause=RESTRICTED_PAUSE)
    if code in (429, 479):
        return SendDelayed(text, pause=RATE_PAUSE)
    if code >= 500 or code in (408, 421):
        return SendDelayed(text, pause=TROUBLE_PAUSE)
    return SendRefused(text)
