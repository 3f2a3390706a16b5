"""An instance's folder: what its paths are, whether it is paired, and how it is set aside."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote

import pytest
from structlog.testing import capture_logs

from tests.nobody import as_nobody, folder_of_nobody
from wa_worker.errors import SessionError
from wa_worker.models import RESERVED_FOLDER, Account, InstanceId, Jid, Shard
from wa_worker.whatsapp.folder_store import FolderStore, FolderStores, paired_instances
from wa_worker.whatsapp.store import ARCHIVES_KEPT, sessions_of

pytestmark = pytest.mark.usefixtures("pythons_sqlite")

SHOP = InstanceId("shop")
PHONE, LID = Jid("5511988880005@s.whatsapp.net"), Jid("98765432109876@lid")


def pair(store: FolderStore, *, devices: int = 1) -> None:
    """A store as whatsmeow leaves it, as far as we read it."""
    store.prepare()
    with closing(sqlite3.connect(store.file)) as sql, sql:
        sql.execute("PRAGMA journal_mode=WAL")
        sql.execute("CREATE TABLE whatsmeow_device (jid TEXT PRIMARY KEY, push_name TEXT NOT NULL DEFAULT '')")
        sql.execute("CREATE TABLE whatsmeow_lid_map (lid TEXT PRIMARY KEY, pn TEXT UNIQUE NOT NULL)")
        sql.executemany(
            "INSERT INTO whatsmeow_device (jid) VALUES (?)", [(f"{n}@s.whatsapp.net",) for n in range(devices)]
        )
        sql.execute("INSERT INTO whatsmeow_lid_map VALUES ('98765432109876', '5511988880005')")


@pytest.mark.parametrize("folder", ["plain", "with space", "a?b#c", "100%", "%3f", "a&b=c", "ção", "a;b"])
def test_the_dsn_names_the_very_file(tmp_path: Path, folder: str) -> None:
    store = FolderStore.of(tmp_path / folder, SHOP)
    pair(store)
    # as the library opens it: see FolderStore.dsn
    uri = f"file:{store.dsn.reveal()}?_foreign_keys=on"
    with closing(sqlite3.connect(uri, uri=True)) as sql:
        assert sql.execute("SELECT count(*) FROM whatsmeow_device").fetchone() == (1,)
        (_, _, opened) = sql.execute("PRAGMA database_list").fetchone()
    assert Path(opened) == store.file
    assert store.is_paired()


def test_the_dsn_has_each_option_once(tmp_path: Path) -> None:
    path, _, options = FolderStore.of(tmp_path, SHOP).dsn.reveal().partition("?")
    assert unquote(path) == str(tmp_path / "shop" / "session.db")
    assert options.split("&") == [
        "_journal_mode=WAL",
        "_busy_timeout=15000",
        "_synchronous=NORMAL",
        "_foreign_keys=on",
        "x=",
    ]


def test_a_relative_folder_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert FolderStore.of(Path("auth"), SHOP).dsn.reveal().startswith(f"{tmp_path}/auth/shop/session.db?")


def test_the_folder_is_private(tmp_path: Path) -> None:
    store = FolderStore.of(tmp_path, SHOP)
    store.prepare()
    store.prepare()
    assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700


def test_paired(tmp_path: Path) -> None:
    store = FolderStore.of(tmp_path, SHOP)
    assert not store.is_paired()
    assert not store.folder.exists(), "asking makes nothing"
    store.prepare()
    assert not store.is_paired()
    pair(store, devices=0)
    assert not store.is_paired()
    with closing(sqlite3.connect(store.file)) as sql, sql:
        sql.execute("INSERT INTO whatsmeow_device (jid) VALUES ('1@s.whatsapp.net')")
        assert not store.is_paired(), "not yet committed"
        sql.commit()
        assert store.is_paired(), "while another connection has it open"


@pytest.mark.parametrize(
    "garbage", [b"", b"x", b"not a database at all" * 500, b"SQLite format 3\0" + b"\xff" * 5000], ids=lambda b: b[:8]
)
def test_garbage_is_not_paired(tmp_path: Path, garbage: bytes) -> None:
    store = FolderStore.of(tmp_path, SHOP)
    store.prepare()
    store.file.write_bytes(garbage)
    assert not store.is_paired()
    assert store.phone_of(LID) is None
    assert store.file.read_bytes() == garbage


def test_a_folder_in_place_of_the_file_is_not_paired(tmp_path: Path) -> None:
    store = FolderStore.of(tmp_path, SHOP)
    store.file.mkdir(parents=True)
    assert not store.is_paired()


def test_lookups(tmp_path: Path) -> None:
    store = FolderStore.of(tmp_path, SHOP)
    assert store.phone_of(LID) is store.lid_of(PHONE) is None
    pair(store)
    assert (store.phone_of(LID), store.lid_of(PHONE)) == (PHONE, LID)
    assert store.phone_of(Jid("1@lid")) is store.lid_of(Jid("1@s.whatsapp.net")) is None
    assert store.phone_of(Jid("' OR 1=1 --@lid")) is None


def test_a_mapping_that_cannot_be_read_now_is_none(tmp_path: Path) -> None:
    """A message that came is not lost for it."""
    store = FolderStore.of(tmp_path, SHOP)
    store.prepare()
    store.file.symlink_to("x" * 300)  # a name too long to be looked up
    with pytest.raises(SessionError):
        store.is_paired()
    assert store.phone_of(LID) is store.lid_of(PHONE) is None


def test_archives_are_kept_but_not_for_ever(tmp_path: Path) -> None:
    store = FolderStore.of(tmp_path, SHOP)
    assert store.archive() is None
    archives = store.folder / "archive"
    for old in ("20240101T000000Z", "20240101T000000Z+", "20250101T000000Z", "20250601T000000Z"):
        (archives / old).mkdir(parents=True)
    kept = ["20250101T000000Z", "20250601T000000Z"]
    for n in range(2):
        pair(store)
        Path(f"{store.file}-wal").write_text(str(n))
        target = store.archive()
        assert target is not None
        assert not store.is_paired()
        assert store.archive() is None
        assert [path.name for path in store.folder.iterdir()] == ["archive"]
        assert {path.name for path in (archives / target).iterdir()} >= {"session.db", "session.db-wal"}
        assert (archives / target / "session.db-wal").read_text() == str(n)
        assert stat.S_IMODE((archives / target).stat().st_mode) == 0o700
        kept = [*kept, target][-ARCHIVES_KEPT:]
        assert sorted(path.name for path in archives.iterdir()) == kept, "the newest, also of one second"


def test_an_archive_outlives_a_clock_that_was_ahead(tmp_path: Path) -> None:
    store = FolderStore.of(tmp_path, SHOP)
    for n in range(ARCHIVES_KEPT):
        (store.folder / "archive" / f"299{n}0101T000000Z").mkdir(parents=True)
    pair(store)
    target = store.archive()
    assert target is not None
    assert (store.folder / "archive" / target / "session.db").exists()


def test_which_instances_are_paired(tmp_path: Path) -> None:
    assert list(paired_instances(tmp_path / "missing")) == []
    for name in ("b", "a", "...", "x" * 128):
        pair(FolderStore(tmp_path / name))
    for unsafe in (RESERVED_FOLDER, "with space", "ação", "x" * 129, "a:b", "lost+found", "a\nb"):
        pair(FolderStore(tmp_path / unsafe))
    pair(FolderStore(tmp_path / "unpaired"), devices=0)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert list(paired_instances(tmp_path)) == ["...", "a", "b", "x" * 128]
    assert list(paired_instances(tmp_path / "file")) == []


def test_which_sessions_are_of_a_shard(tmp_path: Path) -> None:
    for name in ("shop", "pub", "three"):
        pair(FolderStore(tmp_path / name))
    (tmp_path / "two").mkdir()
    with capture_logs() as lines:
        assert sessions_of(FolderStores(tmp_path), None) == (["pub", "shop", "three"], 0)
        assert sessions_of(FolderStores(tmp_path), Shard(1, 1)) == (["pub", "shop", "three"], 0)
        assert lines == []
        assert sessions_of(FolderStores(tmp_path), Shard(1, 2)) == (["three"], 2)
    (line,) = lines
    assert (line["log_level"], line["sessions"], line["shard"]) == ("warning", 2, "1/2")
    assert "docs/scaling.md" in line["remedy"]


def test_a_folder_of_somebody_else_stops_nobody() -> None:
    with folder_of_nobody() as auth_dir:

        def look() -> list[InstanceId]:
            pair(FolderStore(auth_dir / "b"))
            (auth_dir / "a").mkdir(mode=0)
            return list(paired_instances(auth_dir))

        assert as_nobody(look) == ["a", "b"], "its own instance finds out, and tries again"


@pytest.mark.parametrize(
    ("jid", "name", "expected"),
    [
        ("5511999990001:7@s.whatsapp.net", "Padaria", Account(Jid("5511999990001@s.whatsapp.net"), "Padaria")),
        ("5511999990001.0:7@s.whatsapp.net", "", Account(Jid("5511999990001@s.whatsapp.net"))),
        (
            "5511999990001@s.whatsapp.net",
            "Ça \U0001f600",
            Account(Jid("5511999990001@s.whatsapp.net"), "Ça \U0001f600"),
        ),
    ],
)
def test_whose_device_it_is(tmp_path: Path, jid: str, name: str, expected: Account) -> None:
    store = FolderStore.of(tmp_path, SHOP)
    assert store.account() is None
    pair(store, devices=0)
    assert store.account() is None
    with closing(sqlite3.connect(store.file)) as sql, sql:
        sql.execute("INSERT INTO whatsmeow_device (jid, push_name) VALUES (?, ?)", (jid, name))
    assert store.account() == expected


def test_a_store_that_has_no_name_for_it_is_paired_all_the_same(tmp_path: Path) -> None:
    """A later whatsmeow may keep the name elsewhere."""
    store = FolderStore.of(tmp_path, SHOP)
    pair(store)
    with closing(sqlite3.connect(store.file)) as sql, sql:
        sql.execute("ALTER TABLE whatsmeow_device DROP COLUMN push_name")
    assert store.account() == Account(Jid("0@s.whatsapp.net"))
    assert store.is_paired()
