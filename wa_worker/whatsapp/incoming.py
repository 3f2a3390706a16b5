"""Events of the library, as `parsing.parsed()` gives them, as the model that goes to `/inbound`. Pure.

WhatsApp's data is untrusted: what does not translate raises ValueError and is the caller's to log. What the account's
own phone sends is a message if it goes to a person or a group; whether this worker sent it, the journal knows.
"""

from __future__ import annotations

from typing import Any

import attrs
from neonize.proto import Neonize_pb2 as pb

from wa_worker import jid
from wa_worker.messages import Call, ChatType, Group, InboundMessage, Revoke
from wa_worker.models import Jid, WaMessageId
from wa_worker.whatsapp.identity import Identity, Lookup, People, bare
from wa_worker.whatsapp.kinds.calls import group_of
from wa_worker.whatsapp.kinds.content import Content
from wa_worker.whatsapp.kinds.context import details
from wa_worker.whatsapp.kinds.reading import content

VIEW_ONCE = "view_once"


def inbound(event: pb.Message, me: Identity, phone_of: Lookup, lid_of: Lookup) -> InboundMessage | None:
    """Returns the message to hand on, None for what nobody asked for: status broadcasts, newsletters, and what no
    person wrote.

    `phone_of` and `lid_of` look a mapping up in the session store. Phone number JIDs are preferred wherever a
    mapping is known; digits are never made up.
    """
    if not _is_chat(event.Info.MessageSource):
        return None
    what = content(event.Message)
    if what.kind is None:
        return None
    header = _header(event.Info, people := People(me, phone_of, lid_of))
    along = details(event.Message, people.named)
    fields = {name: getattr(what, name) for name in _FIELDS}
    if what.revoke is not None:
        fields["revoke"] = Revoke(what.revoke.message_id, header["sender"])
    if what.call is not None:
        fields["call"] = attrs.evolve(what.call, id=header["wa_id"])
    return InboundMessage(
        **header,
        body=what.body,
        message_type=what.kind,
        context=along.context,
        referral=along.referral,
        mentions=along.mentions,
        **fields,
    )


def view_once(info: pb.MessageInfo, me: Identity, phone_of: Lookup, lid_of: Lookup) -> InboundMessage | None:
    """Returns the note that something can be seen once, on the phone; None where that is in no chat."""
    if not _is_chat(info.MessageSource):
        return None
    return InboundMessage(**_header(info, People(me, phone_of, lid_of)), body="", message_type=VIEW_ONCE)


def call(
    meta: pb.BasicCallMeta, stanza: pb.Node, what: Call, me: Identity, phone_of: Lookup, lid_of: Lookup
) -> InboundMessage | None:
    """Returns the note of a call, None for one that the account makes itself. `stanza` may name a group."""
    caller, other = (meta.callCreator, meta.callCreatorAlt) if meta.callCreator.User else (getattr(meta, "from"), None)
    sender, lid = People(me, phone_of, lid_of).person(caller, other or pb.JID())
    if sender == me.jid:
        return None
    if not what.id:
        raise ValueError("a call without an id")
    group = group_of(stanza)
    in_group = jid.is_group(group)
    return InboundMessage(
        wa_id=WaMessageId(what.id),
        chat=Jid(group) if in_group else sender,
        chat_type=ChatType.GROUP if in_group else ChatType.DIRECT,
        to=sender if in_group else me.jid,
        sender=sender,
        sender_lid=lid,
        push_name=None,
        body="",
        message_type="call",
        timestamp=seconds(meta.timestamp),
        group=Group(Jid(group)) if in_group else None,
        call=attrs.evolve(what, group=bool(what.group) or in_group),
    )


_NOT_CHATS = frozenset({"newsletter", "hosted.newsletter"})

_FIELDS = tuple(field.name for field in attrs.fields(Content) if field.name not in ("kind", "body"))
"""What is the same in the content and in the message."""


def _is_chat(source: pb.MessageSource) -> bool:
    chat = source.Chat
    if chat.Server in _NOT_CHATS or chat.User == "status":
        return False
    return not source.IsFromMe or chat.Server in (jid.GROUP, jid.USER, jid.LID)


def _header(info: pb.MessageInfo, people: People) -> dict[str, Any]:
    """Returns the fields that say who wrote when, in which chat, to whom. Raises ValueError for what has no id or
    address."""
    if not info.ID:
        raise ValueError("a message without an id")
    source, me = info.MessageSource, people.me
    in_group = source.Chat.Server == jid.GROUP
    if source.IsFromMe:
        sender, lid = me.jid, me.lid
        chat = bare(source.Chat) if in_group else people.person(source.Chat, source.RecipientAlt)[0]
        to = sender if in_group else chat
    else:
        sender, lid = people.person(source.Sender, source.SenderAlt)
        chat = bare(source.Chat) if in_group else sender
        to = sender if in_group else me.jid
    return {
        "wa_id": WaMessageId(info.ID),
        "chat": chat,
        "chat_type": ChatType.GROUP if in_group else ChatType.DIRECT,
        "to": to,
        "sender": sender,
        "sender_lid": lid,
        "push_name": info.Pushname or None,
        "timestamp": seconds(info.Timestamp),
        "from_me": True if source.IsFromMe else None,
        "group": Group(chat) if in_group else None,
    }


def seconds(timestamp: int) -> int:
    """Returns unix seconds. 0.5.2 has milliseconds in messages; seconds would be below this until the year 5138."""
    return timestamp // 1000 if timestamp > 100_000_000_000 else timestamp
