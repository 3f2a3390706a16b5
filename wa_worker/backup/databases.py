"""Copies of SQLite files that other processes write meanwhile, and checks of such copies. Blocking."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from wa_worker.errors import BackupError
from wa_worker.journal.connection import connect, wal_of
from wa_worker.journal.migrations import FORMAT


def copy_database(source: Path, to: Path, *, in_use: bool) -> None:
    """Copies what is committed at one moment, with SQLite's online backup: writers go on meanwhile.

    in_use: a worker may have it open, or take it up meanwhile. Raises BackupError.
    """
    # an immutable one leaves no log behind, but may not be written meanwhile
    mode = "mode=ro" if in_use or wal_of(source).exists() else "mode=ro&immutable=1"
    try:
        os.close(os.open(to, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        with closing(connect(source, mode)) as original, closing(sqlite3.connect(to)) as copy:
            copy.execute("PRAGMA journal_mode=OFF")  # it is thrown away if it does not come to its end
            original.backup(copy)
    except (sqlite3.Error, OSError) as error:
        raise BackupError(f"{source} cannot be copied: {error}") from error
    check_database(to, source)


def check_database(file: Path, called: Path | str) -> None:
    """Looks at each page and index of a copy that nobody writes. Raises BackupError; `called` is its name there."""
    try:
        with closing(connect(file, "mode=ro&immutable=1")) as sql:
            found = [row[0] for row in sql.execute("PRAGMA integrity_check(3)")]
    except sqlite3.Error as error:
        found = [str(error)]
    if found != ["ok"]:
        raise BackupError(f"{called} is damaged ({'; '.join(found)[:200]})")


def check_journal(file: Path) -> None:
    """Raises BackupError for a copy of a journal that this version cannot use. An older one is upgraded by `run`."""
    with closing(connect(file, "mode=ro&immutable=1")) as sql:
        version = int(sql.execute("PRAGMA user_version").fetchone()[0])
    if not 0 < version <= FORMAT:
        raise BackupError(
            f"its journal has format {version}, and this version knows 1 to {FORMAT}: take the version that made it"
        )


def is_paired(copy: Path) -> bool:
    """Says whether a copy of a session store holds a device."""
    try:
        with closing(connect(copy, "mode=ro&immutable=1")) as sql:
            return sql.execute("SELECT 1 FROM whatsmeow_device").fetchone() is not None
    except sqlite3.Error:
        return False


def keep_only(journal: Path, instances: Collection[str]) -> None:
    """Deletes what a copy of a journal has of other instances. Raises BackupError."""
    kept = f"(SELECT value FROM json_each('{json.dumps(sorted(instances))}'))"  # noqa: S608 - ids are safe: models.instance_id()
    with _changing(journal) as sql:
        tables = {name: _columns(sql, name) for (name,) in sql.execute(_TABLES).fetchall()}
        others = f"SELECT id FROM chats WHERE instance NOT IN {kept}"  # noqa: S608
        if "media" in tables:
            rows = f"SELECT seq FROM inbox WHERE chat IN ({others})"  # noqa: S608
            sql.execute(f"DELETE FROM media WHERE message_seq IN ({rows})")  # noqa: S608
        sql.execute(f"DELETE FROM inbox WHERE chat IN ({others})")  # noqa: S608
        for table, columns in tables.items():
            if "instance" in columns:
                sql.execute(f"DELETE FROM {table} WHERE instance NOT IN {kept}")  # noqa: S608
    with closing(sqlite3.connect(journal, isolation_level=None)) as sql:
        sql.execute("VACUUM")  # what was deleted is still in its free pages


_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"


def _columns(sql: sqlite3.Connection, table: str) -> set[str]:
    return {row[1] for row in sql.execute(f"PRAGMA table_info({table})")}


def distrust_stores(journal: Path) -> None:
    """Has no restored session store prove of a send under way that it never left. Raises BackupError."""
    with _changing(journal) as sql:
        if "store" in _columns(sql, "ledger"):
            sql.execute("UPDATE ledger SET store = NULL WHERE store IS NOT NULL")


def stored_files(journal: Path) -> list[int]:
    """Returns the messages whose files are on the volume by a copy of a journal."""
    with closing(connect(journal, "mode=ro&immutable=1")) as sql:
        try:
            return [row[0] for row in sql.execute("SELECT message_seq FROM media WHERE step = 'stored'")]
        except sqlite3.OperationalError:  # of a format before there were files
            return []


@contextmanager
def _changing(file: Path) -> Iterator[sqlite3.Connection]:
    """Changes a copy that nobody else has, in one transaction, without a log beside it. Raises BackupError."""
    try:
        with closing(sqlite3.connect(file, isolation_level=None)) as sql:
            sql.execute("PRAGMA journal_mode=DELETE")
            sql.execute("BEGIN")
            yield sql
            sql.execute("COMMIT")
    except sqlite3.Error as error:
        raise BackupError(f"the copied journal cannot be changed: {error}") from error
