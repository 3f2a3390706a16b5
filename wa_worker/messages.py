"""Messages on their way through the worker: to be sent, accepted, and received. Frozen values.

JSON becomes these in edge/wire.py, protobuf in whatsapp/, rows in journal/; nothing else leaves those packages.
"""

from __future__ import annotations

import enum

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
    """Describes a message on its way to WhatsApp."""

    to: Jid = attrs.field(repr=False)
    content: Content


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
    to: Jid | None = attrs.field(default=None, repr=False)
    """The JID that it went to, where WhatsApp has named another than it was addressed to."""
