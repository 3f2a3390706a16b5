"""Describes what has happened at the reference proxy since the last look, in plain lines. No I/O.

Owns the words for statuses, outbound and inbound messages, and what is being waited for. QR codes are
narration.py's, since it has a picture to show.
"""

from __future__ import annotations

from wa_worker.dev.addresses import phone_or_jid
from wa_worker.dev.command.terminal import Line
from wa_worker.dev.proxy import InboundRow, MessageId, MessageRow, Store

_COLOURS = {"CONNECTED": "green", "CONNECTING": "yellow", "DISCONNECTED": "red"}

FROM_WHATSAPP = ("a QR code from WhatsApp", "WhatsApp to let us in")
"""What only WhatsApp can give, of all that is waited for."""


class ChangeFeed:
    """Says what changes at one instance. What the store holds when this is made is not a change."""

    def __init__(self, store: Store, instance: str) -> None:
        self._instance = instance
        self._statuses = len(store.statuses(instance))
        self._status = ""
        self._messages: dict[MessageId, str] = {row.id: row.status for row in store.messages(instance)}
        self._inbound = store.count_inbound(instance)

    def read(self, store: Store) -> list[Line]:
        """Returns what has changed since the last call, in the order in which it happened."""
        lines = [*self._read_statuses(store), *self._read_messages(store), *self._read_inbound(store)]
        return sorted(lines, key=lambda line: line.at)

    def _read_statuses(self, store: Store) -> list[Line]:
        lines = []
        changes = store.statuses(self._instance)[self._statuses :]
        self._statuses += len(changes)
        for change in changes:
            if change.status != self._status:
                self._status = change.status
                lines.append(Line("status", change.status, change.at, _COLOURS[change.status]))
        return lines

    def _read_messages(self, store: Store) -> list[Line]:
        lines = []
        for row in store.messages(self._instance):
            before = self._messages.get(row.id)
            if before == row.status:
                continue
            self._messages[row.id] = row.status
            if before is None:
                lines.append(Line("out", f"#{row.id} queued to {row.to}: {_queued(row)}", row.queued_at))
            if row.status == "sent" and row.sent_at is not None:
                lines.append(Line("out", f"#{row.id} sent, WhatsApp id {row.wa_message_id}", row.sent_at, "green"))
            elif row.status == "failed":
                lines.append(Line("out", f"#{row.id} failed: {row.error}", colour="red"))
        return lines

    def _read_inbound(self, store: Store) -> list[Line]:
        if store.count_inbound(self._instance) == self._inbound:
            return []
        rows = store.inbound(self._instance)[self._inbound :]
        self._inbound += len(rows)
        return [Line("in", f"/inbound from {_sender(row)}: {_content(row)}", row.received_at, "green") for row in rows]


def expected(store: Store, instance: str, *, simulated: bool, since: float) -> str | None:
    """Returns what is being waited for just now, or None.

    `simulated`: a simulated phone scans by itself. `since` is when the worker was started, in unix seconds.
    """
    row = store.instance(instance)
    if row is None:
        return None  # somebody has taken it from the proxy
    statuses = store.statuses(instance)
    if row.status != "CONNECTED":
        if row.qr_code is not None:
            return "the simulated phone" if simulated else None  # a person takes the time it takes
        new = [change for change in statuses if change.at >= since]
        codes = any(change.qr_code for change in new) or any(change.status == "CONNECTED" for change in statuses)
        return FROM_WHATSAPP[1] if codes else FROM_WHATSAPP[0]
    for message in store.messages(instance):
        if message.status == "queued":
            return f"message #{message.id} to be sent"
    return None


def _sender(row: InboundRow) -> str:
    sender = phone_or_jid(row.payload.get("sender_id") or row.from_)
    name = row.payload.get("push_name")
    group = f" in group {row.from_}" if row.payload.get("chat_type") == "group" else ""
    return f"{sender} ({name}){group}" if name else f"{sender}{group}"


def _queued(row: MessageRow) -> str:
    kind = (row.content or {}).get("type")
    return f"[{kind}] {row.body}".rstrip() if isinstance(kind, str) and kind != "text" else row.body


def _content(row: InboundRow) -> str:
    kind = row.payload.get("message_type") or "text"
    return row.body if kind == "text" else f"[{kind}] {row.body}".rstrip()
