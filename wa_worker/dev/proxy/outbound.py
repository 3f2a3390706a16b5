"""The queue of outbound messages in the reference proxy's database: what is queued, listed, sent and failed."""

from __future__ import annotations

import json
import time
import uuid
from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from .database import Database
from .rows import MessageId, MessageRow, MessageStatus


class Outbound(Database):
    """Holds the messages that instances have to send.

    page_size: how many messages GET /queued-messages lists at most; None lists all. POST /poll: see polling.py.
    """

    def __init__(self, database: Path | str, on_change: Callable[[], None], *, text_ids: bool) -> None:
        super().__init__(database, on_change)
        self.page_size: int | None = None
        self._text_ids = text_ids
        (last,) = self._db.execute("SELECT coalesce(max(seq), 0) FROM messages").fetchone()
        self._last_message = cast(int, last)
        held = self._db.execute("SELECT DISTINCT instance_id FROM messages WHERE held_until IS NOT NULL")
        self._holding = {instance_id for (instance_id,) in held}
        """Instances of which something was held back: only for these it is looked at which messages are."""

    def queue(self, instance_id: str, to: str, body: str) -> MessageId:
        """Queue one message and return its id. Raises LookupError for an unknown instance."""
        return self.queue_many(instance_id, [(to, body)])[0]

    def queue_many(self, instance_id: str, rows: Iterable[tuple[str, str]]) -> list[MessageId]:
        """Queue (to, body) rows in this order, all or none. Raises LookupError for an unknown instance."""
        return self.queue_rows(instance_id, [{"to": to, "body": body} for to, body in rows])

    def queue_row(self, instance_id: str, to: str, **fields: Any) -> MessageId:
        """Queues one message of any kind: `type="image", media={"link": ...}`. Raises LookupError as `queue()` does."""
        return self.queue_rows(instance_id, [{"to": to, **fields}])[0]

    def queue_rows(self, instance_id: str, rows: Iterable[Mapping[str, Any]]) -> list[MessageId]:
        """Queues rows in this order, all or none, each with the fields that it is to be listed with, `to` among them.

        It looks at nothing in them: what a back end gets wrong is one of the things to try on a worker.
        Raises LookupError for an unknown instance.
        """
        if not self._has_instance(instance_id):
            raise LookupError(f"no instance {instance_id!r}")
        now = time.time()
        ids: list[MessageId] = []
        values = []
        for seq, row in enumerate(rows, self._last_message + 1):
            ids.append(str(uuid.uuid4()) if self._text_ids else seq)
            content = {key: row[key] for key in row if key != "to"}
            plain = list(content) == ["body"] and isinstance(content["body"], str)
            body = content.get("body")
            words = body if isinstance(body, str) else ""
            kept = None if plain else json.dumps(content)
            values.append((seq, ids[-1], instance_id, row["to"], words, now, kept))
        with self.transaction():
            self._db.executemany(
                'INSERT INTO messages (seq, id, instance_id, "to", body, queued_at, content) '
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                values,
            )
        self._last_message += len(values)
        self._changed()
        return ids

    def messages(self, instance_id: str | None = None, *, last: int | None = None) -> list[MessageRow]:
        """In the order in which they were queued; only the last so many if wished."""
        rows = self._db.execute(
            'SELECT id, instance_id, "to", body, status, wa_message_id, error, marks, queued_at, sent_at, sent_to, '
            "accepted_at, content, held_reason, held_until "
            "FROM messages WHERE :instance IS NULL OR instance_id = :instance ORDER BY seq DESC LIMIT :last",
            {"instance": instance_id, "last": -1 if last is None else last},
        )
        return [MessageRow(*(*row[:12], row[12] and json.loads(row[12]), *row[13:])) for row in rows][::-1]

    def queued(self, instance_id: str) -> list[dict[str, Any]]:
        """GET /queued-messages: oldest first, at most `page_size`; none for an unknown instance."""
        rows = self._db.execute(
            "SELECT id, \"to\", body, content FROM messages WHERE instance_id = :instance AND status = 'queued' "
            "AND EXISTS (SELECT 1 FROM instances WHERE id = :instance) ORDER BY seq LIMIT :most",
            {"instance": instance_id, "most": -1 if self.page_size is None else self.page_size},
        )
        return [_listed(*row) for row in rows]

    def queued_fairly(self, wanted: Container[str]) -> Iterator[dict[str, Any]]:
        """POST /poll: those of the wanted instances in turn, the first of each and then the second of each.

        Whose first is the oldest begins. Reads as it goes: nothing is to be written until you have had enough.
        """
        turns = deque((instance_id, 0) for instance_id in self._instances_with_messages() if instance_id in wanted)
        while turns:
            instance_id, after = turns.popleft()
            row = self._db.execute(
                'SELECT seq, id, "to", body, content FROM messages AS m '
                f"WHERE instance_id = ? AND status = 'queued' AND seq > ?{self._not_held(instance_id)} "
                "ORDER BY seq LIMIT 1",
                (instance_id, after),
            ).fetchone()
            if row is not None:
                seq, *said = row
                yield {"instanceId": instance_id, **_listed(*said)}
                turns.append((instance_id, seq))

    def hold(self, instance_id: str, message_id: MessageId | float, reason: str, until: int) -> bool:
        """Notes that a worker holds a message back. False for an unknown message."""
        known = self._update_message(
            "UPDATE messages SET held_reason = ?, held_until = ? WHERE id = ? AND instance_id = ?",
            (reason, until, message_id, instance_id),
        )
        self._holding.add(instance_id)
        return known

    def _not_held(self, instance_id: str) -> str:
        """Returns the condition that leaves out, for POST /poll, what is held back until later, and what is behind it
        to the same receiver."""
        if instance_id not in self._holding:
            return ""
        return (
            " AND NOT EXISTS (SELECT 1 FROM messages AS held WHERE held.instance_id = m.instance_id "
            'AND held.status = \'queued\' AND held."to" = m."to" AND held.seq <= m.seq '
            f"AND held.held_until > {time.time()})"
        )

    def _instances_with_messages(self) -> list[str]:
        """Those with something queued, the one that waits longest first. Costs nothing where nothing is queued: it
        goes from instance to instance in the index, not from message to message."""
        rows = self._db.execute(
            "WITH RECURSIVE waiting (id) AS ("
            " SELECT min(instance_id) FROM messages WHERE status = 'queued'"
            " UNION ALL"
            " SELECT (SELECT min(instance_id) FROM messages WHERE status = 'queued' AND instance_id > waiting.id)"
            " FROM waiting WHERE waiting.id IS NOT NULL"
            ") SELECT id FROM waiting JOIN instances USING (id)"
            " ORDER BY (SELECT min(seq) FROM messages WHERE instance_id = waiting.id AND status = 'queued')"
        )
        return [id_ for (id_,) in rows]

    def mark_sent(
        self,
        message_id: MessageId | float,
        wa_message_id: str,
        sent_to: str | None = None,
        accepted_at: int | None = None,
        *,
        instance_id: str | None = None,
    ) -> bool:
        """POST /mark-sent. False for an unknown message. The first mark stays; failed becomes sent.

        accepted_at: unix seconds. instance_id: whose it has to be, if the caller says so.
        """
        return self._update_message(
            "UPDATE messages SET status = 'sent', marks = marks + 1, error = NULL, "
            "wa_message_id = coalesce(wa_message_id, ?), sent_at = coalesce(sent_at, ?), "
            "sent_to = coalesce(sent_to, ?), accepted_at = coalesce(accepted_at, ?) "
            "WHERE id = ? AND instance_id = coalesce(?, instance_id)",
            (wa_message_id, time.time(), sent_to, accepted_at, message_id, instance_id),
        )

    def mark_failed(self, message_id: MessageId | float, error: str, *, instance_id: str | None = None) -> bool:
        """POST /mark-failed. False for an unknown message. A message that was sent stays sent."""
        return self._update_message(
            "UPDATE messages SET status = iif(status = 'sent', 'sent', 'failed'), "
            "error = iif(status = 'sent', error, ?) WHERE id = ? AND instance_id = coalesce(?, instance_id)",
            (error, message_id, instance_id),
        )

    def _update_message(self, sql: str, values: tuple[str | float | None, ...]) -> bool:
        try:
            known = bool(self._db.execute(sql, values).rowcount)
        except OverflowError:
            known = False  # a number that SQLite cannot hold is nobody's id
        self._changed()
        return known

    def _has_message(self, instance_id: str, message_id: MessageId | float) -> bool:
        try:
            found = self._db.execute(
                "SELECT 1 FROM messages WHERE id = ? AND instance_id = ?", (message_id, instance_id)
            ).fetchone()
        except OverflowError:
            return False
        return found is not None

    def count_messages(self, status: MessageStatus | None = None, *, instance_id: str | None = None) -> int:
        return self._count(
            "messages WHERE (:status IS NULL OR status = :status) AND (:instance IS NULL OR instance_id = :instance)",
            {"status": status, "instance": instance_id},
        )


def _listed(id_: MessageId, to: str, body: str, content: str | None) -> dict[str, Any]:
    """Returns a message as it is listed: with the fields that were set, and no others."""
    return {"id": id_, "to": to, **({"body": body} if content is None else json.loads(content))}
