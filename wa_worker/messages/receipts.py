"""How far a message of ours has come, as its receivers' phones say. Frozen values."""

from __future__ import annotations

import enum

import attrs

from wa_worker.models import InstanceId, Jid, MessageId, WaMessageId


class Progress(enum.IntEnum):
    """Says how far a message has come with a receiver. A later one includes those before it, and may come first."""

    DELIVERED = 1
    READ = 2
    PLAYED = 3

    @property
    def word(self) -> str:
        """Returns what the proxy calls it (`status` of a `message_status`)."""
        return self.name.lower()


@attrs.frozen
class Receipt:
    """Describes a receipt of somebody's device, for one message or several.

    recipient: the participant in a group, None in a direct chat. timestamp: unix seconds.
    """

    wa_ids: tuple[WaMessageId, ...]
    progress: Progress
    timestamp: int
    recipient: Jid | None = attrs.field(default=None, repr=False)


@attrs.frozen
class MessageStatus:
    """Says how far a message of the proxy's has come, for the proxy. `chat`: where it went; `recipient`: whose phone
    says so."""

    instance: InstanceId
    message_id: MessageId
    wa_id: WaMessageId
    chat: Jid = attrs.field(repr=False)
    recipient: Jid = attrs.field(repr=False)
    progress: Progress
    timestamp: int
