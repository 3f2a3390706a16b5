"""The journal: that the file is one, of a format that this version knows, and that SQLite finds it whole.

Reads only, beside a worker that runs or not. Blocking, for a thread that may be abandoned: a large journal takes
seconds.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from wa_worker.check.result import Result, fail, ok, quoted
from wa_worker.errors import JournalError
from wa_worker.journal.connection import connect_read_only
from wa_worker.journal.migrations import FORMAT
from wa_worker.models import JOURNAL_FILE, RESERVED_FOLDER

NAME = "journal"

_DAMAGED = (
    "restore a backup, or stop the worker and move it away with its -wal and -shm: sessions stay, what was not yet "
    "delivered is lost"
)

_TABLES = {1: {"chats", "inbox", "outbox", "holds"}, 2: {"chats", "inbox", "ledger", "holds"}}
"""What a journal of each format has at least; a later one has what the last one here has."""


def look_at_journal(auth_dir: Path) -> Result:
    """Never raises for what the file is."""
    path = auth_dir / RESERVED_FOLDER / JOURNAL_FILE
    try:
        if not path.exists():
            return ok(NAME, "nothing is there yet; the worker makes it")
        with closing(connect_read_only(path)) as sql:
            return _look(sql, path)
    except (sqlite3.Error, JournalError, OSError) as error:
        return _unreadable(path, error)


def _look(sql: sqlite3.Connection, path: Path) -> Result:
    (found,) = sql.execute("PRAGMA user_version").fetchone()
    tables = {name for (name,) in sql.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if found > FORMAT:
        text = f"a newer wa-worker wrote it (format {found}, this one knows {FORMAT})"
        return fail(NAME, text, "run that version, or go back as docs/operations.md says under Upgrades")
    if tables and not tables >= _TABLES.get(found, _TABLES[max(_TABLES)]):
        return fail(NAME, f"{path} is a database, but no journal", "move it away; the worker makes a new one")
    if not tables:
        return ok(NAME, "empty; the worker makes its tables")
    (said,) = sql.execute("PRAGMA quick_check(1)").fetchone()
    if said != "ok":
        return fail(NAME, f"{path} is damaged: {quoted(said)}", _DAMAGED)
    if found < FORMAT:
        return ok(NAME, f"whole, of format {found}: the worker upgrades it to {FORMAT} when it starts")
    return ok(NAME, f"whole, {path.stat().st_size / 2**20:,.1f} MiB")


def _unreadable(path: Path, error: Exception) -> Result:
    if isinstance(error, sqlite3.OperationalError | OSError):  # SQLite's word for what the file system says
        return fail(NAME, f"{path} cannot be opened: {quoted(error)}", "look at the lines volume and permissions")
    return fail(NAME, f"{path} is damaged: {quoted(error)}", _DAMAGED)
