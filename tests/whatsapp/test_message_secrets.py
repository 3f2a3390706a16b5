"""What a session store knows of a send, and when it is no witness. See test_send_tracking.py for the real library's."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from tests.proxy_fixture import SHOP
from tests.whatsapp.receipts import Receipts
from wa_worker.errors import SendDelayed, SendError, SendUncertain, SessionError
from wa_worker.whatsapp import folder_store, message_secrets
from wa_worker.whatsapp.folder_store import FolderStore
from wa_worker.whatsapp.message_secrets import sent_id, store_mark
from wa_worker.whatsapp.send_tracking import SendTracking

pytestmark = pytest.mark.usefixtures("pythons_sqlite")

SECRET, OTHER = b"s" * 32, b"o" * 32


def change(store: FolderStore, *statements: str) -> None:
    with closing(sqlite3.connect(store.file, isolation_level=None)) as database:
        for statement in statements:
            database.execute(statement).fetchall()


def insert(store: FolderStore, secret: bytes, wa_id: str) -> None:
    change(store, f"INSERT INTO whatsmeow_message_secrets (message_id, key) VALUES ('{wa_id}', x'{secret.hex()}')")


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    made = FolderStore(tmp_path / "shop")
    made.prepare()
    change(
        made,
        "PRAGMA journal_mode=WAL",
        "CREATE TABLE whatsmeow_device (jid TEXT PRIMARY KEY, registration_id BIGINT)",
        "CREATE TABLE whatsmeow_message_secrets (message_id TEXT PRIMARY KEY, key bytea)",
        "INSERT INTO whatsmeow_device VALUES ('5511999990001:1@s.whatsapp.net', 77)",
    )
    insert(made, OTHER, "3EB0")
    return made


def test_a_row_is_the_id_whatever_else_there_is_to_say(store: FolderStore) -> None:
    for mark in (None, "another", store_mark(store)):
        assert sent_id(store, OTHER, mark) == "3EB0"


def test_no_row_in_the_same_store_means_that_it_never_left(store: FolderStore) -> None:
    assert sent_id(store, SECRET, store_mark(store)) is None


def test_what_is_in_the_log_only_is_there(store: FolderStore) -> None:
    with closing(sqlite3.connect(store.file)) as writer:
        writer.execute("PRAGMA wal_autocheckpoint=0")
        writer.execute("INSERT INTO whatsmeow_message_secrets VALUES ('3EB1', ?)", (SECRET,))
        writer.commit()
        assert sent_id(store, SECRET, store_mark(store)) == "3EB1"
        writer.execute("BEGIN IMMEDIATE")
        assert sent_id(store, SECRET, store_mark(store)) == "3EB1", "a writer is not waited for"


@pytest.mark.parametrize(
    "what", ["no mark", "copied back", "copied over", "another device", "paired anew", "machine started anew"]
)
def test_no_row_in_another_store_means_nothing(
    store: FolderStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    mark = store_mark(store)
    assert mark is not None
    match what:
        case "no mark":
            mark = None
        case "copied back":
            shutil.copytree(store.folder, tmp_path / "backup")
            store.folder.rename(tmp_path / "moved")
            (tmp_path / "backup").rename(store.folder)
        case "copied over":
            shutil.copy(store.file, tmp_path / "copy.db")
            (tmp_path / "copy.db").replace(store.file)
        case "another device":
            change(store, "UPDATE whatsmeow_device SET jid = '5511999990001:2@s.whatsapp.net'")
        case "paired anew":
            change(store, "UPDATE whatsmeow_device SET registration_id = 78")
        case "machine started anew":
            (tmp_path / "boot_id").write_text("another")
            monkeypatch.setattr(folder_store, "BOOT_ID", tmp_path / "boot_id")
    with pytest.raises(SessionError):
        sent_id(store, SECRET, mark)


@pytest.mark.parametrize("what", ["gone", "garbage", "no table", "no device", "two devices", "journal mode"])
def test_a_store_that_cannot_be_read_is_no_witness(store: FolderStore, what: str) -> None:
    mark = store_mark(store)
    match what:
        case "gone":
            store.file.unlink()
        case "garbage":
            for file in store.folder.iterdir():
                file.unlink()
            store.file.write_bytes(b"no database at all" * 100)
        case "no table":
            change(store, "DROP TABLE whatsmeow_message_secrets")
        case "no device":
            change(store, "DELETE FROM whatsmeow_device")
        case "two devices":
            change(store, "INSERT INTO whatsmeow_device VALUES ('5511999990001:2@s.whatsapp.net', 78)")
        case "journal mode":  # in which a reader would keep whatsmeow waiting
            change(store, "PRAGMA journal_mode=DELETE")
    with pytest.raises(SessionError):
        sent_id(store, SECRET, mark)
    if what != "no table":
        assert store_mark(store) is None


def failed_send(store: FolderStore, secret: bytes, *, stored: bool = True) -> tuple[SendError, list[str]]:
    """What a session makes of a send that was cut, and whose receipt it waits for."""
    waits_for: list[str] = []
    tracking = SendTracking(SHOP, store, Receipts(lambda what, ids: waits_for.extend(ids if what == "expect" else ())))
    tracking.begin()
    if not stored:
        tracking.on_log("Failed to store message secret key for outgoing message 3EB1: disk I/O error")
    with pytest.raises(SendError) as raised:
        tracking.find_out(SendUncertain("timed out"), secret)
    return raised.value, waits_for


def test_what_never_left_is_only_delayed(store: FolderStore) -> None:
    error, waits_for = failed_send(store, SECRET)
    assert isinstance(error, SendDelayed)
    assert (str(error), waits_for) == ("it never left: timed out", [])


def test_what_may_have_left_is_uncertain_under_its_id(store: FolderStore) -> None:
    error, waits_for = failed_send(store, OTHER)
    assert isinstance(error, SendUncertain)
    assert (error.wa_id, waits_for) == ("3EB0", ["3EB0"])


@pytest.mark.parametrize("why", ["unreadable", "not written down"])
def test_what_nobody_knows_is_uncertain_as_ever(store: FolderStore, why: str) -> None:
    if why == "unreadable":
        change(store, "DROP TABLE whatsmeow_message_secrets")
    error, waits_for = failed_send(store, SECRET, stored=why == "unreadable")
    assert isinstance(error, SendUncertain)
    assert (error.wa_id, waits_for) == (None, [])


def test_a_look_never_takes_long(store: FolderStore, monkeypatch: pytest.MonkeyPatch) -> None:
    change(
        store,
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000)"
        " INSERT INTO whatsmeow_message_secrets SELECT 'M' || i, randomblob(32) FROM n",
    )
    mark = store_mark(store)
    assert sent_id(store, SECRET, mark) is None
    monkeypatch.setattr(message_secrets, "LONGEST", 0.0)
    with pytest.raises(SessionError, match="interrupted"):
        sent_id(store, SECRET, mark)


def test_whatsmeow_writes_while_it_is_looked_up(store: FolderStore) -> None:
    stop = threading.Event()

    def write() -> None:
        with closing(sqlite3.connect(store.file, isolation_level=None, timeout=0)) as writer:
            n = 0
            while not stop.is_set():
                writer.execute("INSERT INTO whatsmeow_message_secrets VALUES (?, randomblob(32))", (f"W{n}",))
                n += 1

    errors: list[BaseException] = []

    def guarded() -> None:
        try:
            write()
        except sqlite3.Error as error:
            errors.append(error)

    mark = store_mark(store)
    thread = threading.Thread(target=guarded)
    thread.start()
    try:
        for _ in range(100):
            assert sent_id(store, OTHER, mark) == "3EB0"
    finally:
        stop.set()
        thread.join()
    assert not errors, "it never found the file locked"
