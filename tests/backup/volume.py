"""A volume with a journal and session stores, and how `wa-worker backup` is called on it, for tests."""

from __future__ import annotations

import io
import sqlite3
from contextlib import closing
from pathlib import Path

from tests.journal.rows import inbound_message
from wa_worker.backup.making import Made, Sink, make_backup
from wa_worker.journal import Journal
from wa_worker.models import InstanceId, Secret

KEY = Secret("correct horse battery staple")
SHOP, CAFE = InstanceId("shop"), InstanceId("cafe")


def nothing(_: str) -> None:
    """Is the progress of who does not look."""


def add_session(auth_dir: Path, instance: str, *, paired: bool = True) -> Path:
    """Makes a session store as whatsmeow does: in WAL mode, with a device if it is paired."""
    file = auth_dir / instance / "session.db"
    file.parent.mkdir(mode=0o700, parents=True)
    with closing(sqlite3.connect(file)) as sql, sql:
        sql.execute("PRAGMA journal_mode=WAL")
        sql.execute("CREATE TABLE whatsmeow_device (jid TEXT, registration_id INTEGER)")
        sql.execute("CREATE TABLE keys (of TEXT)")
        if paired:
            sql.execute("INSERT INTO whatsmeow_device VALUES (?, 1)", (f"{instance}@s.whatsapp.net",))
            sql.execute("INSERT INTO keys VALUES (?)", (instance,))
    return file


def fill(journal: Journal, auth_dir: Path) -> None:
    """A received message of each of two paired instances, and one that is not paired."""
    for instance in (SHOP, CAFE):
        add_session(auth_dir, instance)
        journal.inbox.record(instance, inbound_message(f"to-{instance}"))
    add_session(auth_dir, "new", paired=False)


def backed_up(auth_dir: Path, *chosen: InstanceId, move: bool = False) -> tuple[bytes, Made]:
    out = io.BytesIO()
    made = make_backup(auth_dir, Sink(out, lambda: None), KEY, frozenset(chosen), move=move, progress=nothing)
    return out.getvalue(), made
