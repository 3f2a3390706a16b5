"""Keeps what an instance must know after a restart: that it has to keep away from WhatsApp, until when, and why."""

from __future__ import annotations

import time

import attrs

from wa_worker.journal.database import Database
from wa_worker.journal.states import SKIP_LOCKED
from wa_worker.models import InstanceId

FORGOTTEN = 86_400.0
"""Seconds after the end of a hold in which the next one for the same reason counts as the next in a row."""


@attrs.frozen
class Hold:
    """Says that an instance keeps away until `until` (unix seconds), for `reason`, the `count`-th time in a row."""

    reason: str
    until: float
    count: int
    written_at: float | None
    """Unix seconds. None: a version before format 2 wrote it."""

    def remaining(self, now: float) -> float:
        """Returns the seconds that are left of it at `now`, not above 0 if it is over. A clock that was ahead when it
        was written does not prolong it."""
        left = self.until - now
        return left if self.written_at is None else min(left, self.until - self.written_at)

    def times(self, reason: str, now: float) -> int:
        """Counts how often in a row it was held for this reason at `now`: 0 if the last time ended more than a day ago,
        or was for another one."""
        return 0 if self.reason != reason or now - self.until > FORGOTTEN else self.count


class Holds:
    """The table of holds. Any thread may call; every method raises JournalError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, instance: InstanceId) -> Hold | None:
        """Returns the last hold of the instance, be it over or not."""
        with self._database.reading() as sql:
            row = sql.execute(
                "SELECT reason, until, count, written_at FROM holds WHERE instance = ?", (instance,)
            ).fetchone()
        return Hold(*row) if row else None

    def times(self, instance: InstanceId, reason: str) -> int:
        """Counts how often in a row it was held for this reason."""
        hold = self.get(instance)
        return 0 if hold is None else hold.times(reason, time.time())

    def put(self, instance: InstanceId, reason: str, delay: float, anew: bool = False) -> None:
        """Writes a hold of `delay` seconds from now. It counts on from the last one, unless it starts `anew`."""
        count = 1 if anew else self.times(instance, reason) + 1
        now = time.time()
        with self._database.transaction() as sql:
            sql.execute(
                _PUT,
                (instance, reason, now + delay, count, now),
            )

    def purge(self, older_than: float, limit: int = 5000) -> int:
        """Forgets up to `limit` holds that ended and were written more than `older_than` seconds ago. Returns how many.

        They would not count any more, and some are of instances that are no more.
        """
        before = time.time() - max(older_than, FORGOTTEN)
        with self._database.transaction() as sql:
            return sql.execute(_PURGE, (before, before, limit)).rowcount


_PUT = """
INSERT INTO holds (instance, reason, until, count, written_at) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (instance) DO UPDATE SET reason = excluded.reason, until = excluded.until, count = excluded.count,
  written_at = excluded.written_at"""

_PURGE = f"""
DELETE FROM holds WHERE instance IN (
  SELECT instance FROM holds WHERE until < ? AND coalesce(written_at, until) < ? LIMIT ? {SKIP_LOCKED})"""
