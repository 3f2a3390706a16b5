"""Messages to send, and what WhatsApp says of one that it accepted. Frozen values."""

from __future__ import annotations

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


@attrs.frozen
class Accepted:
    """WhatsApp accepted a message: its id there, and when (unix seconds, the server's clock)."""

    wa_id: WaMessageId
    timestamp: int
    to: Jid | None = attrs.field(default=None, repr=False)
    """The JID that it went to, where WhatsApp has named another than it was addressed to."""
