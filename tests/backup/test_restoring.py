"""A backup into an empty folder: all of it, or nothing."""

from __future__ import annotations

import io
import json
import sqlite3
import tarfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.backup.volume import CAFE, KEY, SHOP, backed_up, fill, nothing
from tests.journal.rows import ANA
from wa_worker.backup.contents import ABOUT, JOURNAL, About
from wa_worker.backup.restoring import restore
from wa_worker.backup.sealing import CHUNK, SealedWriter
from wa_worker.errors import BackupError, StartupError
from wa_worker.journal import Trace, open_journal
from wa_worker.journal.restored import read_gaps
from wa_worker.ownership.closed import RESTORING, close_volume
from wa_worker.ownership.volume import hold_volume, try_volume


class _Pipe(io.RawIOBase):
    """What can be read once, in pieces."""

    def __init__(self, raw: bytes) -> None:
        self._raw = io.BytesIO(raw)

    def read(self, size: int = -1) -> bytes:
        return self._raw.read(min(size, 1000))

    def seekable(self) -> bool:
        return False


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    auth_dir = tmp_path / "auth"
    with open_journal(auth_dir / "@worker" / "journal.db") as journal:
        fill(journal, auth_dir)
    return auth_dir


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "house" / "new"


def restored(raw: bytes, target: Path, *, stopped: bool = True, source: Any = io.BytesIO) -> None:
    restore(source(raw), KEY, target, source_is_stopped=stopped, progress=nothing)


def test_an_instance_comes_back_with_its_proxy(volume: Path, target: Path) -> None:
    said = '{"proxy": "socks5://10.0.0.1:1080"}'
    (volume / "shop" / "proxy.json").write_text(said)
    raw, _ = backed_up(volume, move=True)
    restored(raw, target, stopped=False)
    assert (target / "shop" / "proxy.json").read_text() == said
    assert not (target / "cafe" / "proxy.json").exists()


def archive_of(entries: dict[str, bytes], about: About | None = None) -> bytes:
    """A backup that somebody with the key has made by hand."""
    out = io.BytesIO()
    sealed = SealedWriter(out, KEY)
    with tarfile.open(fileobj=sealed, mode="w|") as archive:  # type: ignore[call-overload]
        first = {ABOUT: (about or About(time.time(), "1", moved=True)).dump()}
        for name, data in {**first, **entries}.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    sealed.close()
    return out.getvalue()


@pytest.mark.parametrize("source", [io.BytesIO, _Pipe])
def test_a_restored_volume_is_private_and_can_be_used(volume: Path, target: Path, source: Any) -> None:
    raw, _ = backed_up(volume, move=True)
    restored(raw, target, stopped=False, source=source)
    assert {path.name for path in target.iterdir()} == {"@worker", "shop", "cafe"}
    assert {path.name for path in (target / "@worker").iterdir()} == {"lock", "journal.db"}
    modes = {path.stat().st_mode & 0o077 for path in target.rglob("*")}
    assert modes == {0}
    with open_journal(target / "@worker" / "journal.db") as journal:
        assert len(journal.inbox.keys(0, 100)) == 2


@pytest.mark.parametrize("source", [io.BytesIO, _Pipe])
def test_a_backup_that_is_cut_off_or_altered_leaves_nothing(volume: Path, target: Path, source: Any) -> None:
    raw, _ = backed_up(volume)
    late = len(raw) - CHUNK // 2
    for bad in (raw[:late], raw[:late] + bytes([raw[late] ^ 1]) + raw[late + 1 :]):
        with pytest.raises(BackupError, match="damaged, cut off"):
            restored(bad, target, source=source)
        assert not target.exists()


@pytest.mark.parametrize("source", [io.BytesIO, _Pipe])
def test_a_backup_whose_very_end_is_missing_leaves_nothing(volume: Path, target: Path, source: Any) -> None:
    """Behind the end of the archive, where no entry is: only the seal knows."""
    out = io.BytesIO()
    writer = SealedWriter(out, KEY)
    with tarfile.open(fileobj=writer, mode="w|") as archive:  # type: ignore[call-overload]
        files = {ABOUT: About(1.0, "1", moved=True).dump(), JOURNAL: (volume / "@worker" / "journal.db").read_bytes()}
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    writer.write(bytes(2 * CHUNK))
    writer.close()
    restored(out.getvalue(), target.with_name("whole"), source=source)
    with pytest.raises(BackupError, match="damaged, cut off"):
        restored(out.getvalue()[: -CHUNK // 2], target, source=source)
    assert not target.exists()


def test_an_empty_folder_that_was_there_is_empty_after_a_failure(volume: Path, target: Path) -> None:
    raw, _ = backed_up(volume)
    (target / "lost+found").mkdir(parents=True)
    with pytest.raises(BackupError):
        restored(raw[:-1], target, source=_Pipe)
    assert {str(path.relative_to(target)) for path in target.rglob("*")} <= {"lost+found", "@worker", "@worker/lock"}
    restored(raw, target)
    assert (target / "shop" / "session.db").exists()


def test_a_folder_in_which_something_is_stays_as_it_is(volume: Path, tmp_path: Path) -> None:
    raw, _ = backed_up(volume)
    with pytest.raises(BackupError, match="not empty"):
        restored(raw, volume)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").touch()
    with pytest.raises(BackupError, match="not empty"):
        restored(raw, tmp_path / "other")


def test_a_folder_that_a_worker_has_is_refused(volume: Path, target: Path) -> None:
    raw, _ = backed_up(volume)
    (target / "@worker").mkdir(parents=True)
    with try_volume(target), pytest.raises(BackupError, match="a worker is running"):
        restored(raw, target)


def test_a_copy_whose_source_may_run_needs_a_word(volume: Path, target: Path) -> None:
    raw, _ = backed_up(volume)
    with pytest.raises(BackupError, match="--the-source-is-stopped"):
        restored(raw, target, stopped=False)
    assert not target.exists()


async def test_no_worker_runs_on_a_restore_that_was_cut_off(volume: Path, target: Path) -> None:
    raw, _ = backed_up(volume)
    (target / "@worker").mkdir(parents=True)
    close_volume(target, RESTORING)
    (target / "shop").mkdir()
    with pytest.raises(StartupError, match="empty the folder and restore again"):
        async with hold_volume(target):
            pass
    with pytest.raises(BackupError, match="empty the folder"):
        restored(raw, target)


def test_a_damaged_database_in_a_sealed_backup_is_refused(volume: Path, target: Path) -> None:
    journal = (volume / "@worker" / "journal.db").read_bytes()
    session = (volume / "shop" / "session.db").read_bytes()
    bent = session[:4096] + bytes(4096) + session[8192:]
    with pytest.raises(BackupError, match="its session of shop is damaged"):
        restored(archive_of({JOURNAL: journal, "sessions/shop.db": bent}), target)
    with pytest.raises(BackupError, match="no journal"):
        restored(archive_of({"sessions/shop.db": session}), target)
    assert not target.exists()


def test_a_journal_of_a_newer_version_is_refused(volume: Path, target: Path) -> None:
    file = volume / "@worker" / "journal.db"
    with closing(sqlite3.connect(file)) as sql:
        sql.execute("PRAGMA user_version=99")
    with pytest.raises(BackupError, match="format 99"):
        restored(archive_of({JOURNAL: file.read_bytes()}), target)
    assert not target.exists()


@pytest.mark.parametrize(
    "name",
    ["../x", "/etc/x", "sessions/../x.db", "sessions/..db", "received-files/x", "@worker/lock", "proxies/../x.json"],
)
def test_a_name_that_is_none_of_a_backups_is_refused(target: Path, name: str) -> None:
    with pytest.raises(BackupError, match="no part of a backup"):
        restored(archive_of({name: b"x"}), target)
    assert not target.exists()


def test_a_newer_backup_is_refused(target: Path) -> None:
    class Newer(About):
        def dump(self) -> bytes:
            return json.dumps({**json.loads(super().dump()), "version": 2}).encode()

    with pytest.raises(BackupError, match="newer"):
        restored(archive_of({}, Newer(1.0, "2", moved=True)), target)


def test_no_restored_session_store_is_a_witness(volume: Path, target: Path) -> None:
    with open_journal(volume / "@worker" / "journal.db") as journal:
        journal.ledger.admit(SHOP, {1: ANA}, listed_at=time.time())
        journal.ledger.step(SHOP, [], 1, trace=Trace(b"secret", "mark"))
    restored(backed_up(volume)[0], target)
    with open_journal(target / "@worker" / "journal.db") as journal:
        (intent,) = journal.doubts.cut_off()
        assert (intent.secret, intent.store) == (b"secret", None)


def test_the_ledger_of_a_copy_has_a_gap_and_that_of_a_move_has_not(volume: Path, target: Path) -> None:
    began = time.time()
    restored(backed_up(volume)[0], target)
    at, gaps = read_gaps(target / "@worker" / "restored.json")
    assert began <= at <= time.time()
    assert gaps == {SHOP, CAFE}
    moved = target.with_name("moved")
    restored(backed_up(volume, move=True)[0], moved)
    assert read_gaps(moved / "@worker" / "restored.json") == (0.0, frozenset())


def test_a_gap_that_is_not_over_moves_along(volume: Path, target: Path) -> None:
    restored(backed_up(volume)[0], target)
    gaps = read_gaps(target / "@worker" / "restored.json")
    moved = target.with_name("moved")
    restored(backed_up(target, move=True)[0], moved)
    assert read_gaps(moved / "@worker" / "restored.json") == gaps
