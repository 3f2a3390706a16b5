"""What an instance must remember over a restart: that WhatsApp told it to keep away, until when, how often."""

from __future__ import annotations

import time

import attrs

from wa_worker.journal.database import Database
from wa_worker.models import InstanceId


@attrs.frozen
class Hold:
    """Keep away until `until` (unix seconds), for `reason`, the `count`-th time in a row."""

    reason: str
    until: float
    count: int


class Holds:
    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, instance: InstanceId) -> Hold | None:
        with self._database.reading() as sql:
            row = sql.execute("SELECT reason, until, count FROM holds WHERE instance = ?", (instance,)).fetchone()
        return Hold(*row) if row else None

    def put(self, instance: InstanceId, reason: str, delay: float) -> Hold:
        """Holds for `delay` seconds from now; counts on when the reason is the same as before."""
        with self._database.transaction() as sql:
            row = sql.execute(
                "INSERT INTO holds (instance, reason, until) VALUES (?, ?, ?)"
                " ON CONFLICT (instance) DO UPDATE SET until = excluded.until,"
                " count = iif(reason = excluded.reason, count + 1, 1), reason = excluded.reason"
                " RETURNING reason, until, count",
                (instance, reason, time.time() + delay),
            ).fetchone()
        return Hold(*row)

    def clear(self, instance: InstanceId) -> None:
        with self._database.transaction() as sql:
            sql.execute("DELETE FROM holds WHERE instance = ?", (instance,))
