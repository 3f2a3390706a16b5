"""What all connections to the journal share."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from wa_worker.errors import JournalError
from wa_worker.journal.connection import connect, connect_read_only, errors, snapshot, transaction


@pytest.fixture
def sql(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(tmp_path / "a #1?.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL").fetchall()
        connection.execute("CREATE TABLE t (n INTEGER PRIMARY KEY)")
        yield connection


def numbers(sql: sqlite3.Connection) -> list[int]:
    return [n for (n,) in sql.execute("SELECT n FROM t ORDER BY n")]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_transaction_is_done_or_not_done_at_all(sql: sqlite3.Connection, error: type[BaseException]) -> None:
    with transaction(sql):
        sql.execute("INSERT INTO t VALUES (1)")

    def breaks_off() -> None:
        with transaction(sql):
            sql.execute("INSERT INTO t VALUES (2)")
            raise error

    with pytest.raises(error):
        breaks_off()
    assert numbers(sql) == [1]
    assert not sql.in_transaction


def test_one_that_sqlite_has_rolled_back_by_itself_raises_its_error(sql: sqlite3.Connection) -> None:
    with pytest.raises(sqlite3.IntegrityError), transaction(sql):
        sql.executemany("INSERT OR ROLLBACK INTO t VALUES (?)", [(1,), (1,)])
    assert numbers(sql) == []


def test_a_snapshot_sees_one_moment(sql: sqlite3.Connection, tmp_path: Path) -> None:
    with closing(connect_read_only(tmp_path / "a #1?.db")) as reader, snapshot(reader):
        assert numbers(reader) == []
        sql.execute("INSERT INTO t VALUES (1)")
        assert numbers(reader) == []
    assert numbers(sql) == [1]


def test_neither_way_to_connect_makes_a_file(tmp_path: Path) -> None:
    missing = tmp_path / "none.db"
    for opens in (connect_read_only, lambda path: connect(path, "mode=rw")):
        with pytest.raises(JournalError, match=r"none\.db"), errors(missing):
            opens(missing)
    assert not missing.exists()
