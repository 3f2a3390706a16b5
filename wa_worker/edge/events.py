"""What the worker tells the worker-proxy: one event each, which is a call of version 1 or a part of `/events`."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable
from secrets import token_hex
from typing import Any

import attrs

from wa_worker.edge import wire
from wa_worker.edge.call import encoded
from wa_worker.edge.inbound_body import group_event_body, inbound_body, private_texts
from wa_worker.errors import EdgeError, Failure
from wa_worker.messages import GroupChange, InboundMessage, MessageStatus
from wa_worker.messages.pacing import HeldMessage
from wa_worker.models import InstanceId, Jid, MessageId, Status, WaMessageId

STATUS = "update-status"
INBOUND = "inbound"
SENT = "mark-sent"
FAILED = "mark-failed"
GROUP_EVENT = "event"
MESSAGE_STATUS = "message-status"

_TYPES = {
    STATUS: "status",
    INBOUND: "inbound",
    SENT: "sent",
    FAILED: "failed",
    GROUP_EVENT: "event",
    MESSAGE_STATUS: "message_status",
}
"""The word of `/events` for each call of version 1."""


@attrs.frozen
class Event:
    """Describes one thing to tell. `endpoint` and `body` are those of its version 1 call.

    key: whom it is about, to the evidence. private: what of the body no log may show. id: the same in each try.
    """

    endpoint: str
    instance: InstanceId
    key: Hashable
    body: dict[str, Any] = attrs.field(repr=False)
    id: str
    private: tuple[str | None, ...] = attrs.field(default=(), repr=False)

    async def in_a_batch(self) -> bytes:
        """Returns its JSON as a part of `/events`."""
        own = {"event_id": self.id, "type": _TYPES[self.endpoint], "instanceId": self.instance}
        return await encoded({**own, **self.body})


@attrs.frozen
class Outcome:
    """Says what became of an event. `error` None: the proxy took it.

    answer: the hash of an answer that anything might have given, None if it shows by its form that it is the proxy's.
    """

    error: EdgeError | None = None
    answer: int | None = None


def status_event(instance: InstanceId, status: Status) -> Event:
    """The status of an instance. Each has an id of its own: the same one may have to be told again."""
    return Event(
        STATUS,
        instance,
        instance,
        wire.status_body(instance, status),
        token_hex(16),
        private=(status.qr_code, status.pairing.code if status.pairing else None),
    )


def sent_event(
    instance: InstanceId, message_id: MessageId, wa_id: WaMessageId, to: Jid | None, timestamp: int | None
) -> Event:
    """WhatsApp has accepted a message, which went to that JID."""
    body = wire.sent_body(message_id, wa_id, to, timestamp)
    return Event(SENT, instance, (instance, message_id), body, _stable(SENT, instance, message_id, wa_id))


def failed_event(instance: InstanceId, message_id: MessageId, failure: Failure) -> Event:
    """A message will never be sent. In version 1 the call is optional: NO_SUCH_CALL may be the answer."""
    body = wire.failed_body(message_id, failure)
    return Event(FAILED, instance, (instance, message_id), body, _stable(FAILED, instance, message_id, failure.value))


def message_status_event(status: MessageStatus) -> Event:
    """A message has come further. In version 1 the call is optional: NO_SUCH_CALL may be the answer."""
    key = (status.instance, status.wa_id, status.recipient, status.progress.word)
    return Event(MESSAGE_STATUS, status.instance, key, wire.message_status_body(status), _stable(MESSAGE_STATUS, *key))


def held_event(held: HeldMessage) -> Event:
    """A message is held back. For version 2 only."""
    key = (held.instance, held.message_id, held.reason.value, held.until)
    return Event(MESSAGE_STATUS, held.instance, key, wire.held_body(held), _stable("held", *key))


def inbound_event(instance: InstanceId, message: InboundMessage) -> Event:
    """A received message, or what changed in a group. ALREADY_THERE is an error like any other."""
    if message.group_change is not None:
        return _group_event(instance, message, message.group_change)
    return Event(
        INBOUND,
        instance,
        inbound_key(instance, message),
        inbound_body(instance, message),
        _stable(INBOUND, instance, message.chat, message.wa_id, *(["update"] if message.update else [])),
        private=private_texts(message),
    )


def _group_event(instance: InstanceId, message: InboundMessage, change: GroupChange) -> Event:
    """What changed in a group. In version 1 the call is optional: NO_SUCH_CALL may be the answer."""
    return Event(
        GROUP_EVENT,
        instance,
        inbound_key(instance, message),
        group_event_body(instance, message, change),
        _stable(GROUP_EVENT, instance, message.chat, message.wa_id),
        private=private_texts(message),
    )


def inbound_key(instance: InstanceId, message: InboundMessage) -> Hashable:
    """Names a received message to the evidence."""
    return instance, message.chat, message.wa_id


def _stable(*parts: object) -> str:
    """Returns an id that is the same for the same event, also after a restart."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]
