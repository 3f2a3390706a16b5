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
class ChatTimer:
    """Describes the timer of a chat with disappearing messages, as it is since `set_at` (unix seconds).

    `expiration`: seconds, 0 if it is off. `changed`: somebody changed the setting then; else a message told of it.
    `initiator` and `trigger` are WhatsApp's numbers (DisappearingMode), as messages of ours have them.
    """

    expiration: int
    set_at: int
    changed: bool = False
    initiator: int = 0
    trigger: int = 0


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
class OptionReply:
    """Describes the button or the row of a list that was tapped; `title` is what the person saw of it."""

    id: str
    title: str = attrs.field(repr=False)
    description: str | None = attrs.field(default=None, repr=False)


@attrs.frozen
class FlowReply:
    """Describes the end of a form, or of whatever else a native flow is. `response_json` None: it is no JSON object."""

    name: str
    body: str = attrs.field(repr=False)
    response_json: str | None = attrs.field(default=None, repr=False)


@attrs.frozen
class Interactive:
    """Describes an answer to a choice, as Meta's Cloud API does: `type` names the one field that is set."""

    type: str
    button_reply: OptionReply | None = None
    list_reply: OptionReply | None = None
    nfm_reply: FlowReply | None = None


@attrs.frozen
class Button:
    """Describes a tap on a button of a template, as Meta's Cloud API does. `payload` is the button's id."""

    payload: str
    text: str = attrs.field(repr=False)


@attrs.frozen
class InboundMessage:
    """Describes a message that WhatsApp delivered, as `/inbound` wants to hear of it.

    `chat` is the chat's JID (`from` in contract v1); `to` is the participant's JID in a group, else our own.
    `timestamp` is in unix seconds. `body` is empty where the type has no text. `interactive` and `button` are for
    answers to a choice whose option has an id.
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
    interactive: Interactive | None = attrs.field(default=None, repr=False)
    button: Button | None = attrs.field(default=None, repr=False)


@attrs.frozen
class Accepted:
    """WhatsApp accepted a message: its id there, and when (unix seconds, the server's clock)."""

    wa_id: WaMessageId
    timestamp: int
    to: Jid | None = attrs.field(default=None, repr=False)
    """The JID that it went to, where WhatsApp has named another than it was addressed to."""
