"""Keeps the journal in a file: owns the worker's one SQLite connection, which all its threads share by a lock.

Trio tasks come here on a thread hop, neonize's callbacks on their own threads. `synchronous=FULL` in WAL mode is one
fsync for each commit (measured in docs/performance.md).
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from pathlib import Path

from wa_worker.errors import JournalError
from wa_worker.journal.connection import BUSY_TIMEOUT, PATIENCE, connect, errors, snapshot, transaction
from wa_worker.journal.migrations import FORMAT, format_of, refuse_newer, upgrade


class SqliteDatabase:
    """Is the Database in a file: see there.

    Making one makes the file, or upgrades an older one. Raises JournalError. A file that is newer is not touched.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._trouble: str | None = None
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            refuse_newer(path, format_of(path))  # before anything of it is touched
            self._connection = sqlite3.connect(
                path, isolation_level=None, check_same_thread=False, timeout=BUSY_TIMEOUT
            )
        except (OSError, sqlite3.Error) as error:
            raise JournalError(f"cannot open the journal {path}: {error}") from error
        try:
            self._prepare()
        except BaseException:
            self._connection.close()
            raise

    def _prepare(self) -> None:
        with errors(self.path):
            for pragma in (
                "journal_mode=WAL",
                "synchronous=FULL",
                "foreign_keys=ON",
                "temp_store=MEMORY",
                "cache_size=-2000",
                "journal_size_limit=8388608",
            ):
                self._connection.execute(f"PRAGMA {pragma}").fetchall()
        with self.transaction() as sql:
            upgrade(sql, self.path)

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """Holds the lock for one transaction, which it commits, or rolls back on any exception.

        Not `durable`: the commit does not wait for the disk. It survives the process, and the next that is durable
        takes it to the disk; until then the machine's power must not fail. Raises JournalError for what SQLite raises.
        """
        with self._lock, errors(self.path), nullcontext() if durable else self._at_ease():
            try:
                with transaction(self._connection):
                    yield self._connection
                self._trouble = None
            except sqlite3.Error as error:
                self._trouble = str(error)
                raise

    @contextmanager
    def _at_ease(self) -> Iterator[None]:
        self._connection.execute("PRAGMA synchronous=NORMAL")
        try:
            yield
        finally:
            self._connection.execute("PRAGMA synchronous=FULL")

    def trouble(self) -> str | None:
        """Says why the journal cannot commit, None if it can.

        After a failure it tries again, with a commit that changes nothing.
        """
        if self._trouble is not None:
            with suppress(JournalError), self.transaction() as sql:
                sql.execute(f"PRAGMA user_version={FORMAT}")
        return self._trouble

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Holds the lock for one query, without a write transaction. Raises JournalError."""
        with self._lock, errors(self.path):
            yield self._connection

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """Lets queries see one moment, on a connection that is open only for them. Raises JournalError."""
        with errors(self.path), closing(connect(self.path, "mode=ro", PATIENCE)) as sql, snapshot(sql):
            yield sql

    def close(self) -> None:
        """Closes the file, after the transaction that another thread may have open."""
        with self._lock:
            self._connection.close()
