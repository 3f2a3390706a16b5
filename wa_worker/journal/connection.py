"""Gives all connections to the journal's file the same transactions, the same errors and a way to only read.

The worker's own connection is in sqlite_database.py. Those of monitoring and of `wa-worker journal` are opened for a
moment.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wa_worker.errors import JournalError

BUSY_TIMEOUT = 5.0
"""Seconds to wait for another process' lock: `wa-worker journal` reads and writes while the worker runs."""

PATIENCE = 2.0
"""The same for a look beside the worker. Readers of a WAL file meet a lock only while it is opened or closed."""


@contextmanager
def errors(path: Path) -> Iterator[None]:
    """Raises JournalError for what SQLite and the file system raise."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        remedy = ""
        if any(sign in str(error) for sign in _DAMAGED):
            remedy = ". The file is damaged: move it away. Sessions stay, what was not yet delivered is lost"
        raise JournalError(f"journal {path}: {error}{remedy}") from error


_DAMAGED = ("file is not a database", "database disk image is malformed")


@contextmanager
def transaction(sql: sqlite3.Connection) -> Iterator[None]:
    """Takes the write lock, then commits; rolls back on any exception. Raises sqlite3.Error."""
    sql.execute("BEGIN IMMEDIATE")
    try:
        yield
        sql.execute("COMMIT")
    except BaseException:
        if sql.in_transaction:  # SQLite may have rolled back by itself, on a full disk for one
            sql.execute("ROLLBACK")
        raise


@contextmanager
def snapshot(sql: sqlite3.Connection) -> Iterator[None]:
    """Lets several queries see one moment of the journal. Raises sqlite3.Error."""
    sql.execute("BEGIN")
    try:
        yield
    finally:
        sql.execute("ROLLBACK")


def connect_read_only(path: Path, timeout: float = BUSY_TIMEOUT) -> sqlite3.Connection:
    """Opens a journal that exists, and changes neither it nor its log. Raises sqlite3.Error."""
    # when nobody has it open, reading it in WAL mode would leave a log and its index behind
    mode = "mode=ro" if wal_of(path).exists() else "mode=ro&immutable=1"
    return connect(path, mode, timeout)


def connect(path: Path, mode: str, timeout: float = BUSY_TIMEOUT) -> sqlite3.Connection:
    """Opens the file with SQLite's own parameters of a URI: `mode=rw` makes no file. Raises sqlite3.Error."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True, isolation_level=None, timeout=timeout)


def wal_of(path: Path) -> Path:
    """Returns the write-ahead log of a journal: it is there while a worker runs, and after one was killed."""
    return path.with_name(f"{path.name}-wal")
