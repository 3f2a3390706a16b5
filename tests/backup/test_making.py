"""What is in a backup of a volume, and that the volume is left as it was."""

from __future__ import annotations

import io
import os
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from tests.backup.volume import CAFE, KEY, SHOP, add_session, backed_up, fill, nothing
from tests.journal.rows import inbound_message, posted_bodies
from wa_worker.backup import making
from wa_worker.backup.making import Sink, make_backup
from wa_worker.backup.restoring import look_into, restore
from wa_worker.errors import BackupError, StartupError
from wa_worker.journal import open_journal
from wa_worker.models import InstanceId
from wa_worker.ownership.closed import MOVED, closed_for, why_closed
from wa_worker.ownership.volume import hold_volume, try_volume


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    auth_dir = tmp_path / "auth"
    with open_journal(auth_dir / "@worker" / "journal.db") as journal:
        fill(journal, auth_dir)
    return auth_dir


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_backup_has_the_journal_and_each_paired_session_and_changes_nothing(volume: Path) -> None:
    (volume / "@worker" / "lock").touch()
    before = files_of(volume)
    raw, made = backed_up(volume)
    assert files_of(volume) == before
    found = look_into(io.BytesIO(raw), KEY)
    assert set(found.sessions) == set(made.instances) == {SHOP, CAFE}
    assert made.left_out == ("new",)
    assert found.journal > 0
    assert not found.about.moved


def test_what_is_committed_while_it_runs_is_in_it_and_what_is_not_is_not(volume: Path, tmp_path: Path) -> None:
    """A worker has all open: what is in the logs beside the files counts, an open transaction does not."""
    store = volume / "shop" / "session.db"
    with (
        try_volume(volume),
        open_journal(volume / "@worker" / "journal.db") as journal,
        closing(sqlite3.connect(store, isolation_level=None)) as session,
    ):
        journal.inbox.record(SHOP, inbound_message("later"))
        session.execute("INSERT INTO keys VALUES ('committed')")
        session.execute("BEGIN IMMEDIATE")
        session.execute("INSERT INTO keys VALUES ('open')")
        raw, _ = backed_up(volume)
        session.execute("COMMIT")
    restore(io.BytesIO(raw), KEY, tmp_path / "new", source_is_stopped=True, progress=nothing)
    with closing(sqlite3.connect(tmp_path / "new" / "shop" / "session.db")) as sql:
        assert [row[0] for row in sql.execute("SELECT of FROM keys")] == ["shop", "committed"]
    with open_journal(tmp_path / "new" / "@worker" / "journal.db") as journal:
        assert sum(map(len, posted_bodies(journal).values())) == 3


def test_a_chosen_instance_takes_nothing_of_others_along(volume: Path, tmp_path: Path) -> None:
    with open_journal(volume / "@worker" / "journal.db") as opened:
        opened.inbox.record(CAFE, inbound_message("long", body="of cafe " * 4000))
    raw, made = backed_up(volume, SHOP)
    assert made.instances == (SHOP,)
    restore(io.BytesIO(raw), KEY, tmp_path / "new", source_is_stopped=True, progress=nothing)
    assert not (tmp_path / "new" / "cafe").exists()
    journal = (tmp_path / "new" / "@worker" / "journal.db").read_bytes()
    assert b"to-shop" in journal
    assert b"cafe" not in journal
    with closing(sqlite3.connect(tmp_path / "new" / "@worker" / "journal.db")) as sql:
        assert sql.execute("PRAGMA freelist_count").fetchone() == (0,)


def test_a_chosen_instance_that_is_not_paired_is_an_error(volume: Path) -> None:
    with pytest.raises(BackupError, match="new is not paired"):
        backed_up(volume, SHOP, InstanceId("new"))


def test_files_that_the_proxy_lacks_go_along(volume: Path, tmp_path: Path) -> None:
    (volume / "@worker" / "received-files").mkdir()
    (volume / "@worker" / "received-files" / "1").write_bytes(b"a picture")
    with closing(sqlite3.connect(volume / "@worker" / "journal.db")) as sql, sql:
        sql.execute("INSERT INTO media VALUES (1, 'stored', 'image', '/x', x'00', x'00', x'00', 9, NULL, NULL, NULL)")
        sql.execute("INSERT INTO media VALUES (2, 'stored', 'image', '/y', x'00', x'00', x'00', 9, NULL, NULL, NULL)")
    raw, _ = backed_up(volume)
    restore(io.BytesIO(raw), KEY, tmp_path / "new", source_is_stopped=True, progress=nothing)
    assert (tmp_path / "new" / "@worker" / "received-files" / "1").read_bytes() == b"a picture"


def test_a_damaged_session_is_named_and_no_backup_is_whole(volume: Path) -> None:
    file = volume / "shop" / "session.db"
    file.write_bytes(file.read_bytes()[:4096] + os.urandom(len(file.read_bytes()) - 4096))
    out = io.BytesIO()
    with pytest.raises(BackupError, match="shop"):
        make_backup(volume, Sink(out, lambda: None), KEY, frozenset(), move=False, progress=nothing)
    with pytest.raises(BackupError):
        look_into(io.BytesIO(out.getvalue()), KEY)


def test_a_folder_without_a_worker_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="no worker has run"):
        backed_up(tmp_path)
    assert list(tmp_path.iterdir()) == []


async def test_a_move_closes_the_volume_for_every_worker(volume: Path) -> None:
    raw, _ = backed_up(volume, move=True)
    assert look_into(io.BytesIO(raw), KEY).about.moved
    with pytest.raises(StartupError, match="backup --take-back"):
        async with hold_volume(volume):
            pass
    with pytest.raises(BackupError, match="it was moved"):
        backed_up(volume)


def test_a_move_that_fails_at_its_very_end_leaves_the_volume_open(volume: Path) -> None:
    def full() -> None:
        assert closed_for(volume) == MOVED
        raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        make_backup(volume, Sink(io.BytesIO(), full), KEY, frozenset(), move=True, progress=nothing)
    assert why_closed(volume) is None


def test_a_move_waits_for_the_worker_and_does_not_begin_before(volume: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "STOPS_WITHIN", 0.2)
    with try_volume(volume), pytest.raises(BackupError, match="stop it, then move"):
        backed_up(volume, move=True)
    assert why_closed(volume) is None
    backed_up(volume, move=True)


def test_an_unreadable_word_closes_the_volume_all_the_same(volume: Path) -> None:
    (volume / "@worker" / "closed.json").write_bytes(b"\xff{")
    assert "closed.json" in str(why_closed(volume))


def test_a_session_that_others_write_meanwhile_is_whole(tmp_path: Path, volume: Path) -> None:
    """A thread commits as fast as it can: each copy has all rows up to some moment, in pairs."""
    store = add_session(volume, "busy")
    stop = threading.Event()

    def write() -> None:
        with closing(sqlite3.connect(store, isolation_level=None)) as sql:
            while not stop.is_set():
                sql.execute("BEGIN IMMEDIATE")
                sql.executemany("INSERT INTO keys VALUES (?)", [("a" * 500,), ("b" * 500,)])
                sql.execute("COMMIT")

    thread = threading.Thread(target=write)
    thread.start()
    try:
        with try_volume(volume):
            raws = [backed_up(volume)[0] for _ in range(3)]
    finally:
        stop.set()
        thread.join()
    for number, raw in enumerate(raws):
        target = tmp_path / str(number)
        restore(io.BytesIO(raw), KEY, target, source_is_stopped=True, progress=nothing)
        with closing(sqlite3.connect(target / "busy" / "session.db")) as sql:
            counts = dict(sql.execute("SELECT substr(of, 1, 1), count(*) FROM keys WHERE length(of) = 500 GROUP BY 1"))
        assert counts.get("a") == counts.get("b")
