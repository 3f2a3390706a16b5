"""A message event of the library, as `parsing.parsed()` gives it, as the model that goes to `/inbound`. Pure.

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
    what = content(event.Message)
    if what.kind is None:
        return None
    if not info.ID:
        raise ValueError("a message without an id")
    sender_raw = bare(source.Sender)
    alternative = bare(source.SenderAlt) if source.SenderAlt.User else None
    sender = phone_number(sender_raw, alternative, phone_of)
    group = source.Chat.Server == jid.GROUP
    return InboundMessage(
        wa_id=WaMessageId(info.ID),
        chat=bare(source.Chat) if group else sender,
        chat_type=ChatType.GROUP if group else ChatType.DIRECT,
        to=sender if group else me.jid,
        sender=sender,
        sender_lid=next((j for j in (sender_raw, alternative) if j and jid.is_lid(j)), None) or lid_of(sender),
        push_name=info.Pushname or None,
        body=what.body,
        message_type=what.kind,
        timestamp=seconds(info.Timestamp),
        interactive=what.interactive,
        button=what.button,
    )


_NOT_CHATS = frozenset({"newsletter", "hosted.newsletter"})


def seconds(timestamp: int) -> int:
    """Returns unix seconds. 0.5.2 has milliseconds in messages; seconds would be below this until the year 5138."""
    return timestamp // 1000 if timestamp > 100_000_000_000 else timestamp
