"""A message event of the library as the model that goes to `/inbound`. Pure.

WhatsApp's data is untrusted: what does not translate raises ValueError and is the caller's to log.
"""

from __future__ import annotations

from neonize.proto import Neonize_pb2 as pb

from wa_worker import jid
from wa_worker.messages import ChatType, InboundMessage
from wa_worker.models import WaMessageId
from wa_worker.whatsapp.content import content
from wa_worker.whatsapp.identity import Identity, Lookup, bare, phone_number


def inbound(event: pb.Message, me: Identity, phone_of: Lookup, lid_of: Lookup) -> InboundMessage | None:
    """Returns the message to hand on, None for what nobody asked for: our own messages, status broadcasts, newsletters,
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
    sender_raw = bare(source.Sender)
    alternative = bare(source.SenderAlt) if source.SenderAlt.User else None
    sender = phone_number(sender_raw, alternative, phone_of)
    group = source.Chat.Server == jid.GROUP
    return InboundMessage(
        wa_id=WaMessageId(_storable(info.ID)),
        chat=bare(source.Chat) if group else sender,
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


def _storable(text: str | bytes) -> str:
    """Replaces what a sender may put into a text and nobody can store. Bytes that are not UTF-8: protobuf hands such a
    text over as bytes. The character 0: PostgreSQL has none, so a proxy in front of it would answer 500 for ever, and
    the chat would wait behind that message."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    return text.replace("\0", "\ufffd")
