"""All the state of the reference proxy, in SQLite: a file or ":memory:".

Owns what each call does to the rows of rows.py, and what "idempotent" means for it. Knows nothing of HTTP. Every
method is synchronous and takes microseconds, so it is called straight from the event loop; one task, one thread, no
lock. The journal mode is WAL and nothing is synced to the disk: fast, and safe against the death of the process but
not of the machine. `close()` closes the file.
"""

from __future__ import annotations

import json
import sqlite3
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, cast

from .rows import (
    SCHEMA,
    STATUSES,
    InboundRow,
    InstanceRow,
    InstanceStatus,
    MessageId,
    MessageRow,
    MessageStatus,
    StatusChange,
)


class Store:
    """Holds the rows, and the knobs that make it play another proxy.

    requests: requests per endpoint name, counted on arrival, refused and faulted ones included.
    page_size: how many messages GET /queued-messages lists at most; None lists all.
    has_mark_failed: False answers POST /mark-failed with 404, as a proxy without that endpoint does.
    """

    def __init__(
        self,
        database: Path | str = ":memory:",
        *,
        text_ids: bool = False,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self.requests: Counter[str] = Counter()
        self.page_size: int | None = None
        self.has_mark_failed = True
        self._text_ids = text_ids
        self._changed = on_change
        self._called_back: set[str] = set()
        self._db = sqlite3.connect(database, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.executescript(SCHEMA)
        if "sent_to" not in {row[1] for row in self._db.execute("PRAGMA table_info(messages)")}:
            self._db.execute("ALTER TABLE messages ADD COLUMN sent_to TEXT")  # a file of an older version
        (last,) = self._db.execute("SELECT coalesce(max(seq), 0) FROM messages").fetchone()
        self._last_message = cast(int, last)

    def close(self) -> None:
        self._db.close()

    @property
    def version(self) -> int:
        """Grows with each row that is written."""
        return self._db.total_changes

    # Instances.

    def add_instance(self, instance_id: str, status: InstanceStatus = "DISCONNECTED") -> bool:
        """Returns True if it is new. One that exists keeps its status; one that was parked is so no more."""
        _check_status(status)
        self._called_back.discard(instance_id)
        self._db.execute("DELETE FROM parked WHERE id = ?", (instance_id,))
        added = self._db.execute(
            "INSERT INTO instances VALUES (?, ?, NULL, ?) ON CONFLICT DO NOTHING",
            (instance_id, status, time.time()),
        ).rowcount
        self._changed()
        return bool(added)

    def remove_instance(self, instance_id: str, *, call_back: bool = False) -> bool:
        """Returns False if there was none. What was sent and received for it stays readable here.

        call_back: have the worker let go of a connected one now, and not when its status changes next. It is listed
        as if it were disconnected until the worker, which knows better, says so and is refused.
        """
        row = self.instance(instance_id)
        with self._transaction():
            self._db.execute("DELETE FROM instances WHERE id = ?", (instance_id,))
            self._db.execute("DELETE FROM parked WHERE id = ?", (instance_id,))
        if call_back and row is not None and row.status == "CONNECTED":
            self._called_back.add(instance_id)
        self._changed()
        return row is not None

    def park_instance(self, instance_id: str) -> bool:
        """Remove it for the worker, which is called back, and remember that there was one. False if there was none."""
        removed = self.remove_instance(instance_id, call_back=True)
        if removed:
            self._db.execute("INSERT INTO parked VALUES (?) ON CONFLICT DO NOTHING", (instance_id,))
            self._changed()
        return removed

    def forget_parked(self, instance_id: str) -> bool:
        """Returns False if it was not parked."""
        forgotten = self._db.execute("DELETE FROM parked WHERE id = ?", (instance_id,)).rowcount
        self._changed()
        return bool(forgotten)

    def parked(self) -> list[str]:
        return [id_ for (id_,) in self._db.execute("SELECT id FROM parked ORDER BY id")]

    def set_status(self, instance_id: str, status: InstanceStatus) -> None:
        """Change the status behind the worker's back, as an operator would; not part of `statuses()`.

        Raises LookupError for an unknown instance.
        """
        _check_status(status)
        if not self._set_status(instance_id, status, None, time.time()):
            raise LookupError(f"no instance {instance_id!r}")
        self._changed()

    def instance(self, instance_id: str) -> InstanceRow | None:
        row = self._db.execute(
            "SELECT id, status, qr_code, updated_at FROM instances WHERE id = ?", (instance_id,)
        ).fetchone()
        return InstanceRow(*row) if row else None

    def instances(self) -> list[InstanceRow]:
        rows = self._db.execute("SELECT id, status, qr_code, updated_at FROM instances ORDER BY id")
        return [InstanceRow(*row) for row in rows]

    def unconnected(self) -> list[str]:
        """Ids of the instances a worker has to bring up: DISCONNECTED or CONNECTING. And those called back."""
        rows = self._db.execute("SELECT id FROM instances WHERE status <> 'CONNECTED' ORDER BY id")
        return [*(id_ for (id_,) in rows), *sorted(self._called_back)]

    def statuses(self, instance_id: str) -> list[StatusChange]:
        """Everything the worker posted about this instance, oldest first."""
        rows = self._db.execute(
            "SELECT status, qr_code, at FROM statuses WHERE instance_id = ? ORDER BY seq", (instance_id,)
        )
        return [StatusChange(*row) for row in rows]

    def update_status(self, instance_id: str, status: InstanceStatus, qr_code: str | None) -> bool:
        """POST /update-status. False for an unknown instance."""
        now = time.time()
        with self._transaction():
            known = self._set_status(instance_id, status, qr_code, now)
            if known:
                self._db.execute(
                    "INSERT INTO statuses (instance_id, status, qr_code, at) VALUES (?, ?, ?, ?)",
                    (instance_id, status, qr_code, now),
                )
        if not known:
            self._called_back.discard(instance_id)
        self._changed()
        return known

    def _set_status(self, id_: str, status: InstanceStatus, qr_code: str | None, now: float) -> bool:
        # A code that nobody can scan any more must not stay on a page.
        shown = qr_code if status == "CONNECTING" else None
        return bool(
            self._db.execute(
                "UPDATE instances SET status = ?, qr_code = ?, updated_at = ? WHERE id = ?",
                (status, shown, now, id_),
            ).rowcount
        )

    # Outbound messages.

    def queue(self, instance_id: str, to: str, body: str) -> MessageId:
        """Queue one message and return its id. Raises LookupError for an unknown instance."""
        return self.queue_many(instance_id, [(to, body)])[0]

    def queue_many(self, instance_id: str, rows: Iterable[tuple[str, str]]) -> list[MessageId]:
        """Queue (to, body) rows in this order, all or none. Raises LookupError for an unknown instance."""
        if self.instance(instance_id) is None:
            raise LookupError(f"no instance {instance_id!r}")
        now = time.time()
        ids: list[MessageId] = []
        values = []
        for seq, (to, body) in enumerate(rows, self._last_message + 1):
            ids.append(str(uuid.uuid4()) if self._text_ids else seq)
            values.append((seq, ids[-1], instance_id, to, body, now))
        with self._transaction():
            self._db.executemany(
                'INSERT INTO messages (seq, id, instance_id, "to", body, queued_at) VALUES (?, ?, ?, ?, ?, ?)',
                values,
            )
        self._last_message += len(values)
        self._changed()
        return ids

    def messages(self, instance_id: str | None = None, *, last: int | None = None) -> list[MessageRow]:
        """In the order in which they were queued; only the last so many if wished."""
        rows = self._db.execute(
            'SELECT id, instance_id, "to", body, status, wa_message_id, error, marks, queued_at, sent_at, sent_to '
            "FROM messages WHERE :instance IS NULL OR instance_id = :instance ORDER BY seq DESC LIMIT :last",
            {"instance": instance_id, "last": -1 if last is None else last},
        )
        return [MessageRow(*row) for row in rows][::-1]

    def queued(self, instance_id: str) -> list[dict[str, Any]]:
        """GET /queued-messages: oldest first, at most `page_size`; none for an unknown instance."""
        rows = self._db.execute(
            "SELECT id, \"to\", body FROM messages WHERE instance_id = :instance AND status = 'queued' "
            "AND EXISTS (SELECT 1 FROM instances WHERE id = :instance) ORDER BY seq LIMIT :most",
            {"instance": instance_id, "most": -1 if self.page_size is None else self.page_size},
        )
        return [{"id": id_, "to": to, "body": body} for id_, to, body in rows]

    def mark_sent(self, message_id: MessageId | float, wa_message_id: str, sent_to: str | None = None) -> bool:
        """POST /mark-sent. False for an unknown message. The first mark stays; failed becomes sent."""
        marked = self._update_message(
            "UPDATE messages SET status = 'sent', marks = marks + 1, error = NULL, "
            "wa_message_id = coalesce(wa_message_id, ?), sent_at = coalesce(sent_at, ?), "
            "sent_to = coalesce(sent_to, ?) WHERE id = ?",
            (wa_message_id, time.time(), sent_to, message_id),
        )
        self._changed()
        return marked

    def mark_failed(self, message_id: MessageId | float, error: str) -> bool:
        """POST /mark-failed. False for an unknown message. A message that was sent stays sent."""
        known = self._update_message(
            "UPDATE messages SET status = iif(status = 'sent', 'sent', 'failed'), "
            "error = iif(status = 'sent', error, ?) WHERE id = ?",
            (error, message_id),
        )
        self._changed()
        return known

    def _update_message(self, sql: str, values: tuple[str | float | None, ...]) -> bool:
        try:
            return bool(self._db.execute(sql, values).rowcount)
        except OverflowError:
            return False  # a number that SQLite cannot hold is nobody's id

    # Inbound messages.

    def add_inbound(
        self, *, instance_id: str, chat: str, from_: str, to: str, body: str, wa_message_id: str, payload: str
    ) -> Literal["new", "repeat", "unknown"]:
        """POST /inbound. `payload` is the JSON text as it came; "unknown" is for an unknown instance."""
        if self.instance(instance_id) is None:
            return "unknown"
        ((times_posted,),) = self._db.execute(
            "INSERT INTO inbound "
            '(instance_id, chat, wa_message_id, "from", "to", body, payload, received_at) '
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET times_posted = times_posted + 1 RETURNING times_posted",
            (instance_id, chat, wa_message_id, from_, to, body, payload, time.time()),
        ).fetchall()
        self._changed()
        return "new" if times_posted == 1 else "repeat"

    def inbound(self, instance_id: str | None = None, *, last: int | None = None) -> list[InboundRow]:
        """In the order in which they first arrived; only the last so many if wished."""
        rows = self._db.execute(
            'SELECT seq, instance_id, "from", "to", body, wa_message_id, payload, times_posted, received_at '
            "FROM inbound WHERE :instance IS NULL OR instance_id = :instance ORDER BY seq DESC LIMIT :last",
            {"instance": instance_id, "last": -1 if last is None else last},
        )
        return [InboundRow(*(*row[:6], json.loads(row[6]), *row[7:])) for row in rows][::-1]

    # Counts, for those who wait for thousands of rows and ask after every change.

    def count_messages(self, status: MessageStatus | None = None, *, instance_id: str | None = None) -> int:
        return self._count(
            "messages WHERE (:status IS NULL OR status = :status) AND (:instance IS NULL OR instance_id = :instance)",
            {"status": status, "instance": instance_id},
        )

    def count_inbound(self, instance_id: str | None = None) -> int:
        return self._count("inbound WHERE :instance IS NULL OR instance_id = :instance", {"instance": instance_id})

    def _count(self, what: str, values: dict[str, str | None]) -> int:
        (rows,) = self._db.execute(f"SELECT count(*) FROM {what}", values).fetchone()
        return cast(int, rows)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")


def _check_status(status: str) -> None:
    if status not in STATUSES:
        raise ValueError(f"status must be one of {', '.join(STATUSES)}, not {status!r}")
