"""Message events of the library as tests make them: who writes to whom, from where."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from neonize.proto import Neonize_pb2 as pb
from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import Message

from wa_worker.messages import ChatType, InboundMessage
from wa_worker.models import Jid, WaMessageId
from wa_worker.whatsapp.identity import Identity
from wa_worker.whatsapp.incoming import inbound
from wa_worker.whatsapp.parsing import parsed

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
    recipient: str = "",
) -> pb.Message:
    source = pb.MessageSource(
        Chat=jid(chat),
        Sender=jid(sender, device),
        SenderAlt=jid(alternative),
        RecipientAlt=jid(recipient),
        IsFromMe=own,
        IsGroup=chat.endswith("@g.us"),
    )
    info = pb.MessageInfo(MessageSource=source, ID=wa_id, Pushname=push_name, Timestamp=timestamp)
    whole = pb.Message(Info=info, Message=message or Message(conversation="Oi"))
    made: pb.Message = parsed(pb.Message, whole.SerializePartialToString())  # as the library hands it over
    return made


def read(event: pb.Message, lookup: Callable[[Jid], Jid | None] = known) -> InboundMessage | None:
    return inbound(event, ME, lookup, lookup)


def made(**fields: Any) -> Message:
    """A message of nested dicts: `made(imageMessage={"caption": "Oi"})`."""
    return Message(**fields)


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
