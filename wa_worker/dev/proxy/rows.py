"""What the reference proxy keeps: its tables, and their rows as values. What the calls do to them is in store.py."""

from __future__ import annotations

from typing import Any, Literal

import attrs

MessageId = int | str
InstanceStatus = Literal["CONNECTING", "CONNECTED", "DISCONNECTED"]
MessageStatus = Literal["queued", "sent", "failed"]

MESSAGE_STATUSES: tuple[MessageStatus, ...] = ("queued", "sent", "failed")
STATUSES: tuple[InstanceStatus, ...] = ("CONNECTING", "CONNECTED", "DISCONNECTED")

DETAILS = {
    "reason": "TEXT",
    "until": "INTEGER",
    "action": "TEXT",
    "jid": "TEXT",
    "push_name": "TEXT",
    "since": "INTEGER",
}
"""The columns for what a status says besides the status: of an instance, and of each change."""

_DETAILS = ", ".join(f"{name} {kind}" for name, kind in DETAILS.items())

# `messages.id` has no declared type on purpose: SQLite then keeps a number a number and a text a text, so
# an id that comes back as the other type is an unknown id.
SCHEMA = f"""
CREATE TABLE IF NOT EXISTS instances (
    id TEXT PRIMARY KEY, status TEXT NOT NULL, qr_code TEXT, updated_at REAL NOT NULL, {_DETAILS}
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS parked (id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS statuses (
    seq INTEGER PRIMARY KEY, instance_id TEXT NOT NULL, status TEXT NOT NULL, qr_code TEXT, at REAL NOT NULL,
    {_DETAILS}
);
CREATE INDEX IF NOT EXISTS statuses_of ON statuses (instance_id, seq);
CREATE TABLE IF NOT EXISTS messages (
    seq INTEGER PRIMARY KEY, id NOT NULL UNIQUE, instance_id TEXT NOT NULL,
    "to" TEXT NOT NULL, body TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'queued', wa_message_id TEXT, error TEXT, marks INTEGER NOT NULL DEFAULT 0,
    queued_at REAL NOT NULL, sent_at REAL, sent_to TEXT
);
CREATE INDEX IF NOT EXISTS messages_of ON messages (instance_id, seq);
CREATE INDEX IF NOT EXISTS messages_queued ON messages (instance_id, seq) WHERE status = 'queued';
CREATE TABLE IF NOT EXISTS inbound (
    seq INTEGER PRIMARY KEY, instance_id TEXT NOT NULL, chat TEXT NOT NULL, wa_message_id TEXT NOT NULL,
    "from" TEXT NOT NULL, "to" TEXT NOT NULL, body TEXT NOT NULL, payload TEXT NOT NULL,
    times_posted INTEGER NOT NULL DEFAULT 1, received_at REAL NOT NULL,
    UNIQUE (instance_id, chat, wa_message_id)
);
"""


@attrs.frozen(kw_only=True)
class StatusDetails:
    """Says why a status is what it is, until when, and whose session it is; all None from a worker that says nothing.

    Times are unix seconds.
    """

    reason: str | None = None
    until: int | None = None
    action: str | None = None
    jid: str | None = None
    push_name: str | None = None
    since: int | None = None


@attrs.frozen
class InstanceRow:
    """Describes an instance as the back end sees it now. Times are unix seconds; the last six: see StatusDetails."""

    id: str
    status: InstanceStatus
    qr_code: str | None
    updated_at: float
    reason: str | None = None
    until: int | None = None
    action: str | None = None
    jid: str | None = None
    push_name: str | None = None
    since: int | None = None


@attrs.frozen
class StatusChange:
    """Describes one accepted POST /update-status, as posted; the last six: see StatusDetails."""

    status: InstanceStatus
    qr_code: str | None
    at: float
    reason: str | None = None
    until: int | None = None
    action: str | None = None
    jid: str | None = None
    push_name: str | None = None
    since: int | None = None


@attrs.frozen
class MessageRow:
    """Describes an outbound message. `marks` counts the accepted mark-sent calls for it: more than 1 is a repeat."""

    id: MessageId
    instance_id: str
    to: str
    body: str
    status: MessageStatus
    wa_message_id: str | None
    error: str | None
    marks: int
    queued_at: float
    sent_at: float | None
    sent_to: str | None = None
    """The JID that it went to, if the worker named one."""


@attrs.frozen
class InboundRow:
    """Describes an inbound message as first posted. `times_posted` counts every accepted POST of it."""

    seq: int
    instance_id: str
    from_: str
    to: str
    body: str
    wa_message_id: str
    payload: dict[str, Any]
    times_posted: int
    received_at: float
