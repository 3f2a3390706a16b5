"""The numbered SQL steps that make the journal's tables, and that bring an older file to today's format.

`NNNN*.sql` is step NNNN. `PRAGMA user_version` says how many of them a file has had. A new journal is made by running
all of them, so there is one truth about its tables. There is no way back, and a step that was released is never edited:
to change a table, add a step. A step may not begin or end a transaction.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from importlib import resources
from pathlib import Path

import structlog

from wa_worker.errors import JournalError
from wa_worker.journal.backup import back_up
from wa_worker.journal.connection import connect_read_only, errors

log = structlog.get_logger(__name__)


def _steps() -> Iterator[tuple[str, ...]]:
    files = sorted((file.name, file) for file in resources.files(__package__).iterdir() if file.name.endswith(".sql"))
    for number, (name, file) in enumerate(files, start=1):
        if int(name[:4]) != number:
            raise RuntimeError(f"{name} is not step {number}: steps count from 1, without a gap")
        yield tuple(_statements(file.read_text("utf-8")))


def _statements(script: str) -> Iterator[str]:
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if statement.strip():
        raise RuntimeError(f"a step ends in the middle of a statement: {statement}")


STEPS = tuple(_steps())
"""The statements of each step."""

FORMAT = len(STEPS)
"""The format that this version reads and writes."""


def format_of(path: Path) -> int:
    """Reads the format of a journal, and changes nothing of it. 0: it has no tables yet. Raises JournalError."""
    with errors(path), closing(connect_read_only(path)) as sql:
        return _format(sql)


def refuse_newer(path: Path, found: int) -> None:
    """Raises JournalError if a newer version wrote the file: nobody knows what its columns mean."""
    if found > FORMAT:
        raise JournalError(
            f"{path} was written by a newer wa-worker (format {found}, this one knows {FORMAT}): run that version"
        )


def upgrade(sql: sqlite3.Connection, path: Path) -> None:
    """Runs the steps that the file lacks, within the caller's write transaction: all of them, or none.

    Copies a file that has tables first (backup.py). Raises sqlite3.Error, or JournalError if it cannot be copied or is
    newer.
    """
    found = _format(sql)
    refuse_newer(path, found)
    if found == FORMAT:
        return
    if found:
        backup = back_up(path, found)
        log.info("upgrading the journal", format=found, to=FORMAT, backup=str(backup))
    for step in STEPS[found:]:
        for statement in step:
            sql.execute(statement)
    sql.execute(f"PRAGMA user_version={FORMAT}")


def _format(sql: sqlite3.Connection) -> int:
    return int(sql.execute("PRAGMA user_version").fetchone()[0])
