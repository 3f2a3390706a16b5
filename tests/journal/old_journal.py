"""Journals that an older version has left, and what is in a journal whatever its format."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

V1 = Path(__file__).with_name("v1.sql")


def make_v1(path: Path, *, killed: bool = False) -> None:
    """As a version of format 1 closed it, or, when it was killed, with most of it in the log still."""
    path.parent.mkdir(parents=True)
    made = path.with_name("made.db")
    with closing(sqlite3.connect(made, isolation_level=None)) as sql:
        sql.execute("PRAGMA journal_mode=WAL").fetchall()
        sql.executescript(V1.read_text("utf-8"))
        if killed:
            for suffix in ("", "-wal"):
                shutil.copy(f"{made}{suffix}", f"{path}{suffix}")
    if killed:
        made.unlink()
    else:
        made.rename(path)


def dump(path: Path) -> list[str]:
    """The whole of it as SQL, and its format."""
    with closing(_open(path)) as sql:
        return [*sql.iterdump(), str(sql.execute("PRAGMA user_version").fetchone())]


def rows(path: Path, table: str) -> list[dict[str, Any]]:
    with closing(_open(path)) as sql:
        sql.row_factory = sqlite3.Row
        return [dict(row) for row in sql.execute(f"SELECT * FROM {table} ORDER BY rowid")]


def _open(path: Path) -> sqlite3.Connection:
    """Leaves no file behind that was not there."""
    mode = "mode=ro" if path.with_name(f"{path.name}-wal").exists() else "mode=ro&immutable=1"
    return sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True)
