"""A message to send as WhatsApp's protobuf: which content, and what it carries."""

from __future__ import annotations

import time

from neonize.proto import Neonize_pb2 as pb
from neonize.proto.waCommon.WACommon_pb2 import MessageKey
from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import ContextInfo, ExtendedTextMessage, Message

from wa_worker.messages import (
    ChatTimer,
    Contacts,
    Deletion,
    Location,
    NewText,
    OutgoingMedia,
    OutgoingMessage,
    Poll,
    ReactionTo,
    Text,
    UploadedMedia,
)
from wa_worker.models import Jid
from wa_worker.whatsapp.outgoing.about import deletion, new_text, reaction
from wa_worker.whatsapp.outgoing.cards import contacts
from wa_worker.whatsapp.outgoing.context import context_info
from wa_worker.whatsapp.outgoing.media import caption, media
from wa_worker.whatsapp.outgoing.places import location
from wa_worker.whatsapp.outgoing.polls import poll


def address(jid: Jid) -> pb.JID:
    """Returns the address as the library takes it."""
    user, _, server = jid.partition("@")
    return pb.JID(User=user, Server=server, RawAgent=0, Device=0, Integrator=0, IsEmpty=False)


def protobuf(message: OutgoingMessage, timer: ChatTimer | None = None, key: MessageKey | None = None) -> Message:
    """Returns the message as the library takes it: never a bare string, out of which it would parse mentions.

    In a chat with a timer it carries that, as phones do: else it would stay when all around it disappears.
    key: of the message that this one is about or answers.
    """
    context = context_info(timer, message.quote, key, message.mentions)
    made = _content(message, context, key)
    made.messageContextInfo.messageSecret = message.secret
    return made


def _content(message: OutgoingMessage, context: ContextInfo | None, key: MessageKey | None) -> Message:
    now = int(time.time() * 1000)
    match message.content:
        case Text(body):
            return _text(body, context)
        case UploadedMedia() as file:
            return media(file, context)
        case Location() as place:
            return location(place, context)
        case Contacts(cards):
            return contacts(cards, context)
        case Poll() as asked:
            return poll(asked, context)
        case ReactionTo(emoji=emoji) if key is not None:
            return reaction(key, emoji, now)
        case NewText(body=body, captioned=kind) if key is not None:
            new = _text(body, context) if kind is None else caption(kind, body, context)
            return new_text(key, new, now)
        case Deletion() if key is not None:
            return deletion(key)
        case OutgoingMedia():
            raise AssertionError("a file is uploaded before it is sent")
        case _:
            raise AssertionError("what is about a message has that message's key")


def _text(body: str, context: ContextInfo | None) -> Message:
    if context is None:
        return Message(conversation=body)
    return Message(extendedTextMessage=ExtendedTextMessage(text=body, contextInfo=context))
