"""What the reference proxy keeps: its tables, and their rows as values. What the calls do to them is in store.py."""

from __future__ import annotations

from typing import Any, Literal

import attrs

MessageId = int | str
InstanceStatus = Literal["CONNECTING", "CONNECTED", "DISCONNECTED"]
MessageStatus = Literal["queued", "sent", "failed"]

MESSAGE_STATUSES: tuple[MessageStatus, ...] = ("queued", "sent", "failed")
STATUSES: tuple[InstanceStatus, ...] = ("CONNECTING", "CONNECTED", "DISCONNECTED")

RECEIPTS = ("failed", "delivered", "read", "played")
"""What may become of a message that was sent, by rank: the last of these that was told is what counts. That one was
delivered proves that it did not fail."""

DETAILS = {
    "reason": "TEXT",
    "until": "INTEGER",
    "action": "TEXT",
    "jid": "TEXT",
    "push_name": "TEXT",
    "since": "INTEGER",
    "pairing_code": "TEXT",
    "pairing_expires_at": "INTEGER",
}
"""The columns for what a status says besides the status: of an instance, and of each change."""

_HELD = {"held_reason": "TEXT", "held_until": "INTEGER"}
_DETAILS = ", ".join(f"{name} {kind}" for name, kind in DETAILS.items())
_RANKS = ", ".join(f"{status}_at INTEGER" for status in RECEIPTS)

# `messages.id` has no declared type on purpose: SQLite then keeps a number a number and a text a text, so
# an id that comes back as the other type is an unknown id.
SCHEMA = f"""
CREATE TABLE IF NOT EXISTS instances (
    id TEXT PRIMARY KEY, status TEXT NOT NULL, qr_code TEXT, updated_at REAL NOT NULL, {_DETAILS}, pair_phone TEXT,
    proxy TEXT, has_proxy INTEGER NOT NULL DEFAULT 0
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
    queued_at REAL NOT NULL, sent_at REAL, sent_to TEXT, accepted_at INTEGER, content TEXT,
    held_reason TEXT, held_until INTEGER
);
CREATE INDEX IF NOT EXISTS messages_of ON messages (instance_id, seq);
CREATE INDEX IF NOT EXISTS messages_queued ON messages (instance_id, seq) WHERE status = 'queued';
CREATE TABLE IF NOT EXISTS inbound (
    seq INTEGER PRIMARY KEY, instance_id TEXT NOT NULL, chat TEXT NOT NULL, wa_message_id TEXT NOT NULL,
    "from" TEXT NOT NULL, "to" TEXT NOT NULL, body TEXT NOT NULL, payload TEXT NOT NULL,
    times_posted INTEGER NOT NULL DEFAULT 1, received_at REAL NOT NULL, content TEXT NOT NULL DEFAULT '{{}}',
    UNIQUE (instance_id, chat, wa_message_id)
);
CREATE TABLE IF NOT EXISTS receipts (
    instance_id TEXT NOT NULL, chat TEXT NOT NULL, wa_message_id TEXT NOT NULL, recipient_id TEXT NOT NULL,
    message_id, {_RANKS}, error TEXT, times_posted INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (instance_id, wa_message_id, chat, recipient_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS group_events (
    seq INTEGER PRIMARY KEY, instance_id TEXT NOT NULL, chat TEXT NOT NULL, payload TEXT NOT NULL,
    times_posted INTEGER NOT NULL DEFAULT 1, received_at REAL NOT NULL,
    UNIQUE (instance_id, payload)
);
CREATE TABLE IF NOT EXISTS files (
    name TEXT PRIMARY KEY, instance_id TEXT NOT NULL, chat TEXT NOT NULL, wa_message_id TEXT NOT NULL,
    message_type TEXT NOT NULL, mime_type TEXT NOT NULL, size INTEGER NOT NULL, sha256 TEXT NOT NULL, filename TEXT,
    asked_at REAL NOT NULL, uploaded_at REAL
) WITHOUT ROWID;
"""

ADDED = {
    "instances": {**DETAILS, "pair_phone": "TEXT", "proxy": "TEXT", "has_proxy": "INTEGER NOT NULL DEFAULT 0"},
    "statuses": DETAILS,
    "messages": {"sent_to": "TEXT", "accepted_at": "INTEGER", "content": "TEXT", **_HELD},
    "inbound": {"content": "TEXT NOT NULL DEFAULT '{}'"},
}
"""Columns that a file of an older version gets."""


@attrs.frozen(kw_only=True)
class StatusDetails:
    """Says why a status is what it is, until when, and whose session it is; all None from a worker that says nothing.

    pairing_code: what to type on the phone instead of a scan, until `pairing_expires_at`. Times are unix seconds.
    """

    reason: str | None = None
    until: int | None = None
    action: str | None = None
    jid: str | None = None
    push_name: str | None = None
    since: int | None = None
    pairing_code: str | None = None
    pairing_expires_at: int | None = None


@attrs.frozen
class InstanceRow:
    """Describes an instance as the back end sees it now. Times are unix seconds; `reason` and on: see StatusDetails.

    pair_phone: the number that shall be paired by a code, beside the QR code; None: by that alone.
    """

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
    pairing_code: str | None = None
    pairing_expires_at: int | None = None
    pair_phone: str | None = None


@attrs.frozen
class StatusChange:
    """Describes one accepted POST /update-status, as posted; `reason` and on: see StatusDetails."""

    status: InstanceStatus
    qr_code: str | None
    at: float
    reason: str | None = None
    until: int | None = None
    action: str | None = None
    jid: str | None = None
    push_name: str | None = None
    since: int | None = None
    pairing_code: str | None = None
    pairing_expires_at: int | None = None


@attrs.frozen
class MessageRow:
    """Describes an outbound message. `marks` counts the accepted mark-sent calls for it: more than 1 is a repeat.

    content: all that the row says besides its id and `to`, if it is more than a `body`.
    """

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
    accepted_at: int | None = None
    """Unix seconds, by WhatsApp's clock, if the worker said."""
    content: dict[str, Any] | None = None
    held_reason: str | None = None
    """Why the worker holds it back, as it said last, and until when (unix seconds)."""
    held_until: int | None = None


@attrs.frozen
class InboundRow:
    """Describes an inbound message as first posted. `times_posted` counts every accepted POST of it.

    content: the objects that it has besides its words; what a later post told of its file is merged into `media`.
    """

    seq: int
    instance_id: str
    from_: str
    to: str
    body: str
    wa_message_id: str
    payload: dict[str, Any]
    times_posted: int
    received_at: float
    content: dict[str, Any] = attrs.field(factory=dict)


@attrs.frozen
class ReceiptRow:
    """Says what has become of a message at one of those it went to: `status` is the last by rank.

    The times are unix seconds, the first that was told of each; None: nobody has told that. `times_posted` counts
    every accepted POST.
    """

    instance_id: str
    chat: str
    wa_message_id: str
    recipient_id: str
    message_id: MessageId | None
    failed_at: int | None
    delivered_at: int | None
    read_at: int | None
    played_at: int | None
    error: str | None
    times_posted: int

    @property
    def status(self) -> str:
        return next(status for status in reversed(RECEIPTS) if getattr(self, f"{status}_at") is not None)


@attrs.frozen
class EventRow:
    """Describes what happened in a chat besides messages, as first posted. `times_posted`: as in InboundRow."""

    seq: int
    instance_id: str
    chat: str
    payload: dict[str, Any]
    times_posted: int
    received_at: float


@attrs.frozen
class FileRow:
    """Describes a file that was announced. `uploaded_at` None: its bytes are not here. Times are unix seconds.

    name: where it is kept: its instance's folder, a slash, and a name of its own.
    """

    name: str
    instance_id: str
    chat: str
    wa_message_id: str
    message_type: str
    mime_type: str
    size: int
    sha256: str
    filename: str | None
    asked_at: float
    uploaded_at: float | None
