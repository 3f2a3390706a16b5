"""The steps that make the journal's tables: which files they are run on, and which are left alone."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.journal.rows import SHOP, letter
from wa_worker.errors import JournalError
from wa_worker.journal import open_journal
from wa_worker.journal.migrations import FORMAT, STEPS, format_of
from wa_worker.journal.review import open_review


def make_newer(path: Path) -> None:
    with open_journal(path) as journal:
        journal.inbox.record(SHOP, letter("1"))
        with journal.database.transaction() as sql:
            sql.execute(f"PRAGMA user_version={FORMAT + 1}")


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    """All files but the index of the log, which belongs to the processes that have it open."""
    return {
        file.name: (file.read_bytes(), file.stat().st_mtime_ns)
        for file in folder.iterdir()
        if not file.name.endswith("-shm")
    }


def test_a_new_journal_has_had_all_steps(path: Path) -> None:
    with open_journal(path):
        pass
    assert format_of(path) == FORMAT
    assert [file.name for file in path.parent.iterdir()] == ["journal.db"], "and nothing was there to back up"


def test_no_step_ends_the_transaction_it_runs_in() -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as sql:
        sql.execute("BEGIN")
        for step in STEPS:
            for statement in step:
                sql.execute(statement)
                assert sql.in_transaction, statement
        sql.execute("ROLLBACK")
        assert sql.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)


@pytest.mark.parametrize("write", [False, True])
def test_a_newer_journal_is_refused_and_left_alone(path: Path, write: bool) -> None:
    make_newer(path)
    before = contents(path.parent)
    with pytest.raises(JournalError, match=f"newer wa-worker.*format {FORMAT + 1}"), open_journal(path):
        pass
    with pytest.raises(JournalError, match="newer wa-worker"), open_review(path, write=write):
        pass
    assert contents(path.parent) == before
    assert [file.name for file in path.parent.iterdir()] == ["journal.db"]


@pytest.mark.parametrize("write", [False, True])
def test_a_newer_journal_of_a_killed_worker_is_left_alone_with_its_log(path: Path, write: bool) -> None:
    """All it has written is in the log: the file itself does not know yet that it is newer."""
    living = path.parent.with_name("living") / path.name
    with open_journal(living) as journal, journal.database.transaction() as sql:
        pass
    with closing(sqlite3.connect(living, isolation_level=None)) as sql:
        sql.execute(f"PRAGMA user_version={FORMAT + 1}")
        path.parent.mkdir()
        for name in (path.name, f"{path.name}-wal"):
            shutil.copy(living.with_name(name), path.parent)
    assert path.read_bytes()[60:64] == FORMAT.to_bytes(4, "big"), "where SQLite has the user_version"
    before = contents(path.parent)
    with pytest.raises(JournalError, match="newer wa-worker"), open_journal(path):
        pass
    with pytest.raises(JournalError, match="newer wa-worker"), open_review(path, write=write):
        pass
    assert contents(path.parent) == before


def test_an_empty_file_of_a_start_that_was_killed_is_no_obstacle(path: Path) -> None:
    path.parent.mkdir()
    os.close(os.open(path, os.O_CREAT, 0o600))
    with open_journal(path) as journal:
        assert journal.inbox.record(SHOP, letter("1"))
