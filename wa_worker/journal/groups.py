"""Keeps what groups are called: a message says so, and WhatsApp does not tell with each."""

from __future__ import annotations

from wa_worker.journal.database import Database
from wa_worker.models import InstanceId, Jid


class Groups:
    """The table of groups. Any thread may call; every method raises JournalError.

    A group has one row for each instance that was in it, for good: a name is short, and an account is in some hundreds.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def subject(self, instance: InstanceId, group: Jid) -> str | None:
        """Returns what a group is called, None if that is not known."""
        with self._database.reading() as sql:
            row = sql.execute("SELECT subject FROM groups WHERE instance = ? AND jid = ?", (instance, group)).fetchone()
        return None if row is None else str(row[0])

    def put(self, instance: InstanceId, group: Jid, subject: str, set_at: int) -> None:
        """Commits what a group is called since `set_at` (unix seconds), unless something newer is known."""
        with self._database.transaction() as sql:
            sql.execute(_PUT, (instance, group, subject, set_at))


_PUT = """
INSERT INTO groups (instance, jid, subject, set_at) VALUES (?, ?, ?, ?)
ON CONFLICT (instance, jid) DO UPDATE SET subject = excluded.subject, set_at = excluded.set_at
WHERE excluded.set_at >= groups.set_at"""
