"""The steps that make the journal's tables: which files they are run on, and which are left alone."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import attrs
import pytest

from tests.journal.old_journal import dump, make_v1, rows
from tests.journal.rows import ANA, BIA, OTHER, SHOP, admit, inbound_message
from wa_worker.errors import JournalError
from wa_worker.journal import SendState, open_journal
from wa_worker.journal.migrations import FORMAT, STEPS, format_of
from wa_worker.journal.review import open_review
from wa_worker.models import Jid


def make_newer(path: Path) -> None:
    with open_journal(path) as journal:
        journal.inbox.record(SHOP, inbound_message("1"))
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
        assert journal.inbox.record(SHOP, inbound_message("1"))


# --- a journal of format 1


@pytest.fixture(params=[False, True], ids=["closed", "killed"])
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "old" / "journal.db"
    make_v1(path, killed=request.param)
    return path


def test_the_old_one_has_a_row_in_every_state(old: Path) -> None:
    assert {row["state"] for row in rows(old, "inbox")} == {"pending", "posted", "dead"}
    assert {row["state"] for row in rows(old, "outbox")} == {state.value for state in SendState}


def test_every_row_and_both_sequences_survive(old: Path) -> None:
    tables = ("chats", "inbox", "outbox", "holds", "sqlite_sequence")
    before = {table: rows(old, table) for table in tables}
    with open_journal(old):
        pass
    assert rows(old, "chats") == before["chats"]
    assert rows(old, "inbox") == [{**row, "kind": "message"} for row in before["inbox"]]
    fresh = {"secret": None, "store": None, "maybe_ids": None, "unproven": 0, "sent_to": None, "sent_at": None}
    reported = [{**row, "reported": row["told"], **fresh} for row in before["outbox"]]
    assert [{**row, "told": row["reported"]} for row in rows(old, "ledger")] == reported
    assert rows(old, "holds") == [{**row, "written_at": None} for row in before["holds"]]
    sequences = {row["name"]: row["seq"] for row in before["sqlite_sequence"]}
    after = {row["name"]: row["seq"] for row in rows(old, "sqlite_sequence")}
    assert after == {"inbox": sequences["inbox"], "ledger": sequences["outbox"]}


def test_work_goes_on_where_the_old_version_left_it(old: Path) -> None:
    with open_journal(old) as journal:
        inbox = journal.inbox
        waiting = {key: [row.message.wa_id for row in inbox.pending(key, 9)] for key in inbox.keys(0, 9)}
        assert waiting == {1: ["pending-1", "pending-4"], 2: ["pending-2"], 3: ["pending-3"], 4: ["pending-5"]}
        assert inbox.record(SHOP, inbound_message("new", BIA))
        assert [row.seq for row in inbox.pending(2, 9)] == [4, 12], "not 11: that one was forgotten"
        assert not inbox.record(SHOP, inbound_message("posted-1", ANA)), "what was posted is recognised"
        assert not inbox.record(OTHER, inbound_message("dead-1", ANA))
        ledger = journal.ledger
        assert ledger.recover(resend=True, tries=8) == 1
        assert admit(journal, 7, "7", "intent", "uncertain", "marked", at=0.0).due == (7, "7", "intent")
        assert [row.message_id for row in ledger.unreported(0, 9)] == ["sent", "failed", "discarded"]
        ledger.admit(SHOP, {"new": Jid(ANA)}, listed_at=0)
        assert rows(old, "ledger")[-1]["seq"] == 18, "not 17: that one was forgotten"
        hold = journal.holds.get(SHOP)
        assert hold is not None
        assert (hold.reason, hold.count, hold.written_at) == ("REPLACED", 2, None)


def test_an_upgraded_journal_has_the_tables_of_a_new_one(old: Path, path: Path) -> None:
    tables = []
    for file in (old, path):
        with open_journal(file):
            pass
        tables.append({row["name"]: row["sql"] for row in rows(file, "sqlite_master")})
    assert tables[0] == tables[1]


def test_the_old_one_stays_beside_it(old: Path) -> None:
    before = dump(old)
    with open_journal(old):
        pass
    assert {file.name for file in old.parent.iterdir()} == {"journal.db", "journal.db.v1-backup"}
    assert dump(old.with_name("journal.db.v1-backup")) == before


@pytest.mark.parametrize("write", [False, True])
def test_only_the_worker_upgrades(old: Path, write: bool) -> None:
    before = contents(old.parent)
    says = f"older wa-worker .format 1, this one works with {FORMAT}.: start the worker once"
    with pytest.raises(JournalError, match=says), open_review(old, write=write):
        pass
    assert contents(old.parent) == before


@attrs.frozen
class Attempts:
    """What became of a journal that was opened again and again, and interrupted ever later. The last one went well."""

    folders: list[Path]
    errors: list[str]


def interrupted(how: str, old: Path, folder: Path) -> Attempts:
    folder.mkdir()
    command = [sys.executable, "-m", "tests.journal.interrupted", how, str(old.parent), str(folder)]
    done = subprocess.run(command, capture_output=True, timeout=100, check=True, cwd=Path(__file__).parents[2])
    return Attempts(sorted(folder.iterdir()), done.stderr.decode().splitlines())


def check_all_or_nothing(attempts: Attempts, before: list[str]) -> None:
    """Each is as it was, or upgraded; its backup is whole or missing; and the next start finds nothing amiss."""
    after = dump(attempts.folders[-1] / "journal.db")
    upgraded = []
    for folder in attempts.folders:
        journal, backup = folder / "journal.db", folder / "journal.db.v1-backup"
        now = dump(journal)
        assert now in (before, after), folder
        upgraded.append(now == after)
        assert not backup.exists() or dump(backup) == before, folder
        assert backup.exists() or now == before, folder
        with open_journal(journal):
            pass
        assert dump(journal) == after, folder
        assert {file.name for file in folder.iterdir()} == {"journal.db", "journal.db.v1-backup"}
        assert dump(backup) == before
    assert upgraded == sorted(upgraded), "there is one moment at which it is upgraded"


def test_a_kill_at_any_moment_leaves_the_old_one_or_the_new_one(old: Path, tmp_path: Path) -> None:
    before = dump(old)
    attempts = interrupted("killed", old, tmp_path / "attempts")
    assert len(attempts.folders) > sum(len(step) for step in STEPS[1:]) + 10, "each statement, and what is before"
    assert not attempts.errors
    check_all_or_nothing(attempts, before)


def test_a_disk_that_is_full_at_any_moment_leaves_the_old_one_and_says_what_to_do(old: Path, tmp_path: Path) -> None:
    before = dump(old)
    attempts = interrupted("full", old, tmp_path / "attempts")
    assert len(attempts.errors) == len(attempts.folders) - 1
    assert any("make room on the volume" in error for error in attempts.errors)
    for folder in attempts.folders[:-1]:
        assert dump(folder / "journal.db") == before
        assert not list(folder.glob("*.tmp"))
    check_all_or_nothing(attempts, before)
