"""What `wa-worker check` makes of the journal's file."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.journal.old_journal import make_v1
from tests.journal.rows import SHOP, inbound_message
from wa_worker.check.journal import look_at_journal
from wa_worker.check.result import Grade
from wa_worker.journal import open_journal
from wa_worker.journal.migrations import FORMAT


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A journal of some pages, closed."""
    path = tmp_path / "@worker" / "journal.db"
    with open_journal(path) as journal:
        for number in range(300):
            journal.inbox.record(SHOP, inbound_message(str(number)))
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_a_whole_one_is_left_as_it_is(path: Path) -> None:
    before = contents(path.parents[1])
    found = look_at_journal(path.parents[1])
    assert found.grade is Grade.OK
    assert found.found.startswith("whole")
    assert contents(path.parents[1]) == before


def test_none_is_made(tmp_path: Path) -> None:
    assert look_at_journal(tmp_path).grade is Grade.OK
    assert list(tmp_path.iterdir()) == []


def test_beside_a_worker(path: Path) -> None:
    with open_journal(path) as journal:
        journal.inbox.record(SHOP, inbound_message("one more"))
        assert look_at_journal(path.parents[1]).grade is Grade.OK


def no_database(path: Path) -> None:
    path.write_bytes(b"this is a text, and a long one at that. " * 1000)


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def a_page_of_zeros(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(8 * 4096)
        file.write(bytes(4096))


def newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as sql:
        sql.execute(f"PRAGMA user_version={FORMAT + 1}")


def another_database(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as sql:
        sql.execute("CREATE TABLE shopping (item TEXT)")


def lost_a_table(path: Path) -> None:
    with closing(sqlite3.connect(path)) as sql:
        sql.execute("DROP TABLE ledger")


@pytest.mark.parametrize(
    ("spoil", "says", "remedy"),
    [
        (no_database, "file is not a database", "move it away"),
        (half, "damaged", "move it away"),
        (a_page_of_zeros, "damaged", "move it away"),
        (newer, f"a newer wa-worker wrote it (format {FORMAT + 1}", "run that version"),
        (another_database, "no journal", "move it away"),
        (lost_a_table, "no journal", "move it away"),
    ],
)
def test_what_is_wrong_with_it_is_named(path: Path, spoil: Callable[[Path], None], says: str, remedy: str) -> None:
    spoil(path)
    before = contents(path.parents[1])
    found = look_at_journal(path.parents[1])
    assert found.grade is Grade.FAIL
    assert says in found.found
    assert remedy in (found.remedy or "")
    assert contents(path.parents[1]) == before


@pytest.mark.parametrize("killed", [False, True])
def test_an_older_one_is_well(tmp_path: Path, killed: bool) -> None:
    make_v1(tmp_path / "@worker" / "journal.db", killed=killed)
    assert "the worker upgrades it" in look_at_journal(tmp_path).found


def test_an_empty_one_is_well(tmp_path: Path) -> None:
    (tmp_path / "@worker").mkdir()
    (tmp_path / "@worker" / "journal.db").touch()
    assert look_at_journal(tmp_path).found == "empty; the worker makes its tables"


def test_one_that_is_a_folder_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "@worker" / "journal.db").mkdir(parents=True)
    found = look_at_journal(tmp_path)
    assert (found.grade, "cannot be opened" in found.found) == (Grade.FAIL, True)
