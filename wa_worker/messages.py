"""Messages on their way through the worker: to be sent, accepted, and received. Frozen values.

JSON becomes these in edge/wire.py, protobuf in whatsapp/, rows in journal/; nothing else leaves those packages.
"""

from __future__ import annotations

import enum
from functools import partial
from secrets import token_bytes

import attrs

from wa_worker.models import Jid, MessageId, WaMessageId


@attrs.frozen
class Text:
    """Describes a plain text."""

    body: str = attrs.field(repr=False)


Content = Text
"""What a message to send consists of. A union: each kind of content is a class of its own."""


@attrs.frozen
class QueuedMessage:
    """A message the proxy wants sent. `to` is as the proxy wrote it; `jid.destination()` makes it an address."""

    id: MessageId
    to: str = attrs.field(repr=False)
    content: Content


@attrs.frozen
class OutgoingMessage:
    """Describes a message on its way to WhatsApp. The random `secret` of 32 bytes (`messageSecret` in its
    messageContextInfo) tells this try to send it from any other: official clients send one, too."""

    to: Jid = attrs.field(repr=False)
    content: Content
    secret: bytes = attrs.field(factory=partial(token_bytes, 32), repr=False)


class ChatType(enum.Enum):
    DIRECT = "direct"
    GROUP = "group"


@attrs.frozen
class InboundMessage:
    """Describes a message that WhatsApp delivered, as `/inbound` wants to hear of it.

    `chat` is the chat's JID (`from` in contract v1); `to` is the participant's JID in a group, else our own.
    `timestamp` is in unix seconds. `body` is empty where the type has no text.
    """

    wa_id: WaMessageId
    chat: Jid = attrs.field(repr=False)
    chat_type: ChatType
    to: Jid = attrs.field(repr=False)
    sender: Jid = attrs.field(repr=False)
    sender_lid: Jid | None = attrs.field(repr=False)
    push_name: str | None = attrs.field(repr=False)
    body: str = attrs.field(repr=False)
    message_type: str
    timestamp: int


@attrs.frozen
class Accepted:
    """WhatsApp accepted a message: its id there, and when (unix seconds, the server's clock)."""

    wa_id: WaMessageId
    timestamp: int
