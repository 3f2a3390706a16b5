"""A message to send as WhatsApp's protobuf. Pure; a kind of content is a function here."""

from __future__ import annotations

from neonize.proto import Neonize_pb2 as pb
from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import ContextInfo, DisappearingMode, ExtendedTextMessage, Message

from wa_worker.messages import ChatTimer, Content
from wa_worker.models import Jid


def address(jid: Jid) -> pb.JID:
    """Returns the address as the library takes it."""
    user, _, server = jid.partition("@")
    return pb.JID(User=user, Server=server, RawAgent=0, Device=0, Integrator=0, IsEmpty=False)


def protobuf(content: Content, timer: ChatTimer | None = None) -> Message:
    """Returns the content as the library takes it: never a bare string, out of which it would parse mentions.

    In a chat with a timer it carries that, as phones do: else it would stay when all around it disappears.
    """
    if timer is None or not timer.expiration:
        return Message(conversation=content.body)
    context = ContextInfo(
        expiration=timer.expiration,
        ephemeralSettingTimestamp=timer.set_at,
        disappearingMode=DisappearingMode(
            initiator=timer.initiator,
            trigger=timer.trigger,
            initiatedByMe=timer.initiator == DisappearingMode.INITIATED_BY_ME,
        ),
    )
    return Message(extendedTextMessage=ExtendedTextMessage(text=content.body, contextInfo=context))
