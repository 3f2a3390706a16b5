"""A message to send as WhatsApp's protobuf. Pure; a kind of content is a function here."""

from __future__ import annotations

from neonize.proto import Neonize_pb2 as pb
from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import Message

from wa_worker.messages import Content
from wa_worker.models import Jid


def address(jid: Jid) -> pb.JID:
    """Returns the address as the library takes it."""
    user, _, server = jid.partition("@")
    return pb.JID(User=user, Server=server, RawAgent=0, Device=0, Integrator=0, IsEmpty=False)


def protobuf(content: Content) -> Message:
    """Returns the content as the library takes it: never a bare string, out of which it would parse mentions."""
    return Message(conversation=content.body)
