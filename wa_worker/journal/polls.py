"""Keeps the options of polls: votes, which come for as long as people vote, name them by their hashes."""

from __future__ import annotations

import json
import time

import attrs

from wa_worker.journal.database import Database, Sql
from wa_worker.journal.states import SKIP_LOCKED
from wa_worker.models import InstanceId


@attrs.frozen
class PollNote:
    """Describes a poll whose votes are to be understood. `secret`: the one that its message carries."""

    secret: bytes = attrs.field(repr=False)
    options: tuple[str, ...] = attrs.field(repr=False)


class Polls:
    """The table of polls. Any thread may call; every method raises JournalError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def options(self, instance: InstanceId, secret: bytes) -> tuple[str, ...] | None:
        """Returns the options of the poll that carries the secret, None if no such poll is known."""
        with self._database.reading() as sql:
            row = sql.execute(
                "SELECT options FROM polls WHERE instance = ? AND secret = ?", (instance, secret)
            ).fetchone()
        return None if row is None else tuple(json.loads(row[0]))

    def purge(self, older_than: float, limit: int = 5000) -> int:
        """Forgets up to `limit` polls that were asked more than `older_than` seconds ago. Returns how many."""
        with self._database.transaction() as sql:
            return sql.execute(_PURGE, (time.time() - older_than, limit)).rowcount


def write(sql: Sql, instance: InstanceId, note: PollNote) -> None:
    """Writes a poll within the caller's transaction. One that is known stays as it is."""
    options = json.dumps(note.options, ensure_ascii=False)
    sql.execute(
        "INSERT INTO polls VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", (instance, note.secret, options, time.time())
    )


_PURGE = f"""
DELETE FROM polls WHERE (instance, secret) IN (
  SELECT instance, secret FROM polls WHERE asked_at < ? LIMIT ? {SKIP_LOCKED})"""
