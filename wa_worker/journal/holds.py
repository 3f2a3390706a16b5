"""What an instance must remember over a restart: that WhatsApp told it to keep away, until when, how often."""

from __future__ import annotations

import time

import attrs

from wa_worker.journal.database import Database
from wa_worker.models import InstanceId

FORGOTTEN = 86_400.0
"""Seconds after the end of a hold for which it still counts as a row with the next one."""


@attrs.frozen
class Hold:
    """Keep away until `until` (unix seconds), for `reason`, the `count`-th time in a row."""

    reason: str
    until: float
    count: int
    written_at: float | None
    """Unix seconds; None if a version wrote it that did not note it."""


class Holds:
    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, instance: InstanceId) -> Hold | None:
        with self._database.reading() as sql:
            row = sql.execute(
                "SELECT reason, until, count, written_at FROM holds WHERE instance = ?", (instance,)
            ).fetchone()
        return Hold(*row) if row else None

    def times(self, instance: InstanceId, reason: str) -> int:
        """How often in a row it was held for this reason; 0 when the last time is more than a day past."""
        hold = self.get(instance)
        if hold is None or hold.reason != reason or time.time() - hold.until > FORGOTTEN:
            return 0
        return hold.count

    def put(self, instance: InstanceId, reason: str, delay: float, anew: bool = False) -> None:
        """Holds for `delay` seconds from now; counts on from the last time unless it starts `anew`."""
        count = 1 if anew else self.times(instance, reason) + 1
        now = time.time()
        with self._database.transaction() as sql:
            sql.execute(
                "INSERT OR REPLACE INTO holds (instance, reason, until, count, written_at) VALUES (?, ?, ?, ?, ?)",
                (instance, reason, now + delay, count, now),
            )
