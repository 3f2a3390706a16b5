"""Keeps the last changes of each instance for people to read, and which instances a person has let go of."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

import attrs

from wa_worker.jid import masked
from wa_worker.journal.database import Database
from wa_worker.models import InstanceId

RING = 20
"""Changes of an instance that are kept: a night with a bad network, or some weeks without one."""

LONGEST_DETAIL = 200
"""Characters of a detail: the log has all of it."""

KEPT = 90 * 86_400.0
"""Seconds after its last change for which an instance's ring is kept: it is small, and is asked for long after."""


@attrs.frozen
class Change:
    """Says what an instance became, when (unix seconds), why, and by whom. `detail` is masked when it is written."""

    at: float
    state: str
    reason: str
    until: int | None = None
    detail: str = ""
    by: str = "worker"


class Changes:
    """The ring of each instance. Any thread may call; every method raises JournalError.

    It is for people and nothing is decided by it, so its commits do not wait for the disk.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, changes: Mapping[InstanceId, Iterable[Change]]) -> None:
        """Adds changes, in their order, and forgets of each instance what is older than its last RING."""
        rows = [
            (instance, one.at, one.state, one.reason, one.until, _short(one.detail), one.by)
            for instance, those in changes.items()
            for one in those
        ]
        with self._database.transaction(durable=False) as sql:
            sql.executemany(_ADD, rows)
            sql.executemany(_FORGET, [(instance, instance, RING) for instance in changes])

    def of(self, instance: InstanceId) -> list[Change]:
        """Returns the last changes of an instance, the newest first."""
        with self._database.reading() as sql:
            return [Change(*row) for row in sql.execute(_OF, (instance, RING))]

    def purge(self, older_than: float, limit: int = 5000) -> int:
        """Forgets the rings of up to `limit` instances that last changed KEPT, or `older_than`, seconds ago.

        Returns how many rows that were.
        """
        with self._database.transaction() as sql:
            return sql.execute(_PURGE, (time.time() - max(older_than, KEPT), limit)).rowcount


class LetGo:
    """The list of instances that a person has let go of. Any thread may call; every method raises JournalError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> dict[InstanceId, float]:
        """Returns the instances, each with when it was let go of (unix seconds)."""
        with self._database.reading() as sql:
            return {InstanceId(instance): at for instance, at in sql.execute("SELECT instance, at FROM let_go")}

    def put(self, instance: InstanceId, at: float) -> None:
        """Commits that an instance is let go of; if it was already, nothing changes."""
        with self._database.transaction() as sql:
            sql.execute("INSERT INTO let_go VALUES (?, ?) ON CONFLICT DO NOTHING", (instance, at))

    def remove(self, instance: InstanceId) -> None:
        """Commits that an instance is taken up again."""
        with self._database.transaction() as sql:
            sql.execute("DELETE FROM let_go WHERE instance = ?", (instance,))


def _short(detail: str) -> str:
    """Masks first: of a number that is cut nobody could tell that it is one."""
    return masked(detail[: 5 * LONGEST_DETAIL])[:LONGEST_DETAIL]


_ADD = "INSERT INTO changes (instance, at, state, reason, until, detail, by) VALUES (?, ?, ?, ?, ?, ?, ?)"

_FORGET = """
DELETE FROM changes WHERE instance = ? AND seq <= (
  SELECT seq FROM changes WHERE instance = ? ORDER BY seq DESC LIMIT 1 OFFSET ?)"""

_OF = "SELECT at, state, reason, until, detail, by FROM changes WHERE instance = ? ORDER BY seq DESC LIMIT ?"

_PURGE = """
DELETE FROM changes WHERE instance IN (
  SELECT instance FROM changes GROUP BY instance HAVING max(at) < ? LIMIT ?)"""
