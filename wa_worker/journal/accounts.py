"""Keeps under which JID WhatsApp knows the account of a number that was written otherwise: each is asked for once."""

from __future__ import annotations

import time

from wa_worker.journal.database import Database
from wa_worker.journal.states import SKIP_LOCKED
from wa_worker.models import Jid


class Accounts:
    """The table of accounts. Any thread may call; every method raises JournalError.

    Retention forgets what was learned a week ago: numbers change hands, and a week of messages costs one question.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, asked: Jid) -> Jid | None:
        """Returns the JID of the account, None if WhatsApp was never asked for it."""
        with self._database.reading() as sql:
            row = sql.execute("SELECT jid FROM accounts WHERE asked = ?", (asked,)).fetchone()
        return Jid(row[0]) if row else None

    def put(self, asked: Jid, jid: Jid) -> None:
        """Writes what WhatsApp has answered."""
        with self._database.transaction() as sql:
            sql.execute(_PUT, (asked, jid, time.time()))

    def purge(self, older_than: float, limit: int = 5000) -> int:
        """Forgets up to `limit` answers of more than `older_than` seconds ago. Returns how many."""
        with self._database.transaction() as sql:
            return sql.execute(_PURGE, (time.time() - older_than, limit)).rowcount


_PUT = """
INSERT INTO accounts (asked, jid, learned_at) VALUES (?, ?, ?)
ON CONFLICT (asked) DO UPDATE SET jid = excluded.jid, learned_at = excluded.learned_at"""

_PURGE = f"DELETE FROM accounts WHERE asked IN (SELECT asked FROM accounts WHERE learned_at < ? LIMIT ? {SKIP_LOCKED})"
