"""What workers told the reference proxy of conversations: inbound messages, receipts, events, and files that came.

Owns what each call does to those rows, and what "idempotent" means for it. The bytes of the files are in storage.py.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import attrs

from .content import content_of, merged
from .outbound import Outbound
from .rows import RECEIPTS, EventRow, FileRow, InboundRow, MessageId, ReceiptRow

_RANKS = ", ".join(f"{status}_at" for status in RECEIPTS)
_FILE = ", ".join(field.name for field in attrs.fields(FileRow))


class Received(Outbound):
    """Holds what came in, and what became of what went out."""

    def add_inbound(
        self, *, instance_id: str, chat: str, from_: str, to: str, body: str, wa_message_id: str, payload: str
    ) -> Literal["new", "repeat", "unknown"]:
        """POST /inbound. `payload` is the JSON text as it came; "unknown" is for an unknown instance.

        A message that is there stays as it is, save that a file that it lacks is taken from a later post.
        """
        if not self._has_instance(instance_id):
            return "unknown"
        key = (instance_id, chat, wa_message_id)
        said = json.loads(payload)
        with self.transaction():
            row = self._db.execute(
                "SELECT content FROM inbound WHERE (instance_id, chat, wa_message_id) = (?, ?, ?)", key
            ).fetchone()
            if row is None:
                self._db.execute(
                    "INSERT INTO inbound "
                    '(instance_id, chat, wa_message_id, "from", "to", body, payload, received_at, content) '
                    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (*key, from_, to, body, payload, time.time(), json.dumps(content_of(said))),
                )
            else:
                self._db.execute(
                    "UPDATE inbound SET times_posted = times_posted + 1, content = ? "
                    "WHERE (instance_id, chat, wa_message_id) = (?, ?, ?)",
                    (json.dumps(merged(json.loads(row[0]), said)), *key),
                )
        self._changed()
        return "new" if row is None else "repeat"

    def inbound(self, instance_id: str | None = None, *, last: int | None = None) -> list[InboundRow]:
        """In the order in which they first arrived; only the last so many if wished."""
        rows = self._db.execute(
            'SELECT seq, instance_id, "from", "to", body, wa_message_id, payload, times_posted, received_at, content '
            "FROM inbound WHERE :instance IS NULL OR instance_id = :instance ORDER BY seq DESC LIMIT :last",
            {"instance": instance_id, "last": -1 if last is None else last},
        )
        return [InboundRow(*(*row[:6], json.loads(row[6]), *row[7:9], json.loads(row[9]))) for row in rows][::-1]

    def count_inbound(self, instance_id: str | None = None) -> int:
        return self._count("inbound WHERE :instance IS NULL OR instance_id = :instance", {"instance": instance_id})

    # What became of what was sent.

    def add_receipt(
        self, body: Mapping[str, Any], message_id: MessageId | float | None
    ) -> Literal["stored", "unknown", "unknown message"]:
        """POST /message-status. Each status is kept with the first time that was told of it, in whatever order.

        "unknown": there is no such instance. "unknown message": it has no such message, if one is named; its mark may
        be on its way still, so that nothing but that can be said of it.
        """
        instance_id = body["instanceId"]
        if not self._has_instance(instance_id):
            return "unknown"
        if message_id is not None and not self._has_message(instance_id, message_id):
            return "unknown message"
        column = f"{body['status']}_at"
        key = (instance_id, body["chat_id"], body["wa_message_id"], body["recipient_id"])
        self._db.execute(
            f"INSERT INTO receipts (instance_id, chat, wa_message_id, recipient_id, message_id, {column}, error) "
            "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET times_posted = times_posted + 1, "
            f"{column} = min(coalesce({column}, excluded.{column}), excluded.{column}), "
            "message_id = coalesce(message_id, excluded.message_id), error = coalesce(error, excluded.error)",
            (*key, message_id, body["timestamp"], body.get("error")),
        )
        self._changed()
        return "stored"

    def receipts(self, instance_id: str | None = None, wa_message_id: str | None = None) -> list[ReceiptRow]:
        """By message and recipient."""
        rows = self._db.execute(
            f"SELECT instance_id, chat, wa_message_id, recipient_id, message_id, {_RANKS}, error, times_posted "
            "FROM receipts WHERE (:instance IS NULL OR instance_id = :instance) "
            "AND (:message IS NULL OR wa_message_id = :message) ORDER BY instance_id, wa_message_id, recipient_id",
            {"instance": instance_id, "message": wa_message_id},
        )
        return [ReceiptRow(*row) for row in rows]

    def receipts_of(self, instance_id: str, wa_message_ids: Iterable[str]) -> list[ReceiptRow]:
        """Returns those of these messages, in no order."""
        rows = self._db.execute(
            f"SELECT instance_id, chat, wa_message_id, recipient_id, message_id, {_RANKS}, error, times_posted "
            "FROM receipts WHERE instance_id = ? AND wa_message_id IN (SELECT value FROM json_each(?))",
            (instance_id, json.dumps(list(wa_message_ids))),
        )
        return [ReceiptRow(*row) for row in rows]

    # What else happened in a chat.

    def add_event(self, body: Mapping[str, Any]) -> Literal["stored", "unknown"]:
        """POST /event. Told again in the same words it is there once."""
        if not self._has_instance(body["instanceId"]):
            return "unknown"
        self._db.execute(
            "INSERT INTO group_events (instance_id, chat, payload, received_at) VALUES (?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET times_posted = times_posted + 1",
            (body["instanceId"], body["chat_id"], json.dumps(body, sort_keys=True), time.time()),
        )
        self._changed()
        return "stored"

    def group_events(self, instance_id: str | None = None, *, last: int | None = None) -> list[EventRow]:
        """In the order in which they first arrived; only the last so many if wished."""
        rows = self._db.execute(
            "SELECT seq, instance_id, chat, payload, times_posted, received_at "
            "FROM group_events WHERE :instance IS NULL OR instance_id = :instance ORDER BY seq DESC LIMIT :last",
            {"instance": instance_id, "last": -1 if last is None else last},
        )
        return [EventRow(*(*row[:3], json.loads(row[3]), *row[4:])) for row in rows][::-1]

    # Files.

    def add_file(self, row: FileRow) -> FileRow:
        """Announces a file; of one that was announced before it returns what is known of it."""
        self._db.execute(
            f"INSERT INTO files ({_FILE}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET asked_at = excluded.asked_at,"
            " size = iif(uploaded_at IS NULL, excluded.size, size)",
            attrs.astuple(row),
        )
        self._changed()
        kept = self.file(row.name)
        assert kept is not None
        return kept

    def file(self, name: str) -> FileRow | None:
        row = self._db.execute(f"SELECT {_FILE} FROM files WHERE name = ?", (name,)).fetchone()
        return FileRow(*row) if row else None

    def files(self, instance_id: str | None = None) -> list[FileRow]:
        """In the order in which they were announced last."""
        rows = self._db.execute(
            f"SELECT {_FILE} FROM files WHERE :instance IS NULL OR instance_id = :instance ORDER BY asked_at, name",
            {"instance": instance_id},
        )
        return [FileRow(*row) for row in rows]

    def file_came(self, name: str) -> None:
        self._db.execute("UPDATE files SET uploaded_at = ? WHERE name = ?", (time.time(), name))
        self._changed()

    def forget_file(self, name: str) -> None:
        self._db.execute("DELETE FROM files WHERE name = ?", (name,))
        self._changed()
