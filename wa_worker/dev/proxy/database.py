"""The SQLite file of the reference proxy: opening it, transactions, counting. What is in it: rows.py.

The journal mode is WAL and nothing is synced to the disk: fast, and safe against the death of the process but not of
the machine. One task, one thread, no lock. `close()` closes the file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from .rows import ADDED, SCHEMA


class Database:
    """Opens or makes the file (":memory:" is one). `on_change` is for what writes to call when it has."""

    def __init__(self, database: Path | str, on_change: Callable[[], None]) -> None:
        self._changed = on_change
        self._db = sqlite3.connect(database, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.executescript(SCHEMA)
        for table, columns in ADDED.items():
            self._add_columns(table, columns)

    def close(self) -> None:
        self._db.close()

    @property
    def version(self) -> int:
        """Grows with each row that is written."""
        return self._db.total_changes

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Makes what is written within it one whole: all or, if the block raises, nothing. The outermost one counts."""
        if self._db.in_transaction:
            yield
            return
        self._db.execute("BEGIN")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def _add_columns(self, table: str, columns: Mapping[str, str]) -> None:
        """To a file of an older version."""
        there = {row[1] for row in self._db.execute(f"PRAGMA table_info({table})")}
        for name in columns.keys() - there:
            self._db.execute(f"ALTER TABLE {table} ADD COLUMN {name} {columns[name]}")

    def _has_instance(self, instance_id: str) -> bool:
        return self._db.execute("SELECT 1 FROM instances WHERE id = ?", (instance_id,)).fetchone() is not None

    def _count(self, what: str, values: dict[str, str | None]) -> int:
        (rows,) = self._db.execute(f"SELECT count(*) FROM {what}", values).fetchone()
        return cast(int, rows)
