"""Volumes that are moved, what is in them, and how a move is killed."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import attrs
import psycopg

from wa_worker.journal import open_journal
from wa_worker.models import InstanceId
from wa_worker.postgres.connecting import connect
from wa_worker.postgres.migrations import upgrade
from wa_worker.postgres.url import StateUrl
from wa_worker.transfer.exporting import Exported, export_state
from wa_worker.transfer.importing import Imported, import_volume
from wa_worker.transfer.journal import OWN
from wa_worker.transfer.values import quoted, to_sqlite
from wa_worker.whatsapp.egress_memory import EgressFiles, egress_of

SHOP, CAFE, NEW, OLD = map(InstanceId, ("shop", "cafe.moved", "new", "old"))
"""Two that are paired, one that is not, and one of which only the journal knows."""

PROXY = egress_of('{"proxy": "socks5://user:word@192.0.2.1:1080"}')

_CONTENT = {
    "chats": "SELECT jid FROM chats WHERE instance = ? ORDER BY id",
    "inbox": "SELECT c.jid, kind, wa_id, message, state, rejections, error, received_at, settled_at FROM inbox"
    " JOIN chats AS c ON c.id = chat WHERE instance = ? ORDER BY seq",
    "media": "SELECT c.jid, i.wa_id, step, m.kind, direct_path, media_key, enc_sha256, sha256, size, url, failure,"
    " posted FROM media AS m JOIN inbox AS i ON seq = message_seq JOIN chats AS c ON c.id = chat"
    " WHERE instance = ? ORDER BY seq",
}


@attrs.frozen
class Bed:
    """A folder for volumes, and a state database."""

    folder: Path
    empty_store: Path
    url: StateUrl

    @property
    def auth_dir(self) -> Path:
        return self.folder / "auth"

    def volume(self, name: str = "auth", *instances: InstanceId) -> Path:
        """A volume with rows in every table of the journal for each of its instances."""
        auth_dir = self.folder / name
        chosen = instances or (SHOP, CAFE, NEW, OLD)
        with open_journal(journal_of(auth_dir)):
            pass
        with closing(sqlite3.connect(journal_of(auth_dir))) as sql, sql:
            for number, instance in enumerate(chosen):
                fill(sql, instance, number)
            sql.execute("INSERT INTO contact_key VALUES (?)", (name.encode().ljust(32),))
            sql.execute("INSERT INTO accounts VALUES ('55119@s.whatsapp.net', '5511@s.whatsapp.net', 7.5)")
        for instance in {SHOP, CAFE, NEW} & set(chosen):
            add_session(self.empty_store, auth_dir / instance, paired=instance != NEW)
        if SHOP in chosen:
            assert EgressFiles(auth_dir).keep(SHOP, PROXY) is None
        return auth_dir

    def move_in(self, auth_dir: Path | None = None, *, dry_run: bool = False) -> Imported:
        return import_volume(auth_dir or self.auth_dir, self.url, os.environ, dry_run=dry_run, progress=nothing)

    def move_out(self, auth_dir: Path) -> Exported:
        return export_state(auth_dir, self.url, os.environ, progress=nothing)

    def move_in_killed(self, at: str) -> None:
        killed(at, lambda kill: import_volume(self.auth_dir, self.url, os.environ, dry_run=False, progress=kill))

    def move_out_killed(self, auth_dir: Path, at: str) -> None:
        killed(at, lambda kill: export_state(auth_dir, self.url, os.environ, progress=kill))

    @contextmanager
    def state(self) -> Iterator[psycopg.Connection]:
        with closing(connect(self.url, "tests")) as sql:
            upgrade(sql)
            yield sql

    def asked(self, query: str, *values: object) -> Any:
        """The first column of the only row."""
        with self.state() as sql:
            row = sql.execute(query.encode(), values).fetchone()
            return None if row is None else row[0]

    def claimable(self) -> list[str]:
        """What a worker would take, as ownership/claims.py asks."""
        with self.state() as sql:
            found = sql.execute(
                "SELECT id FROM instances WHERE wanted AND not_before <= clock_timestamp() AND owner IS NULL"
                " ORDER BY id"
            )
            return [row[0] for row in found]

    def listed(self) -> None:
        """A worker that runs has seen all of them on the proxy's list."""
        with self.state() as sql:
            sql.execute("UPDATE instances SET wanted = true")

    def in_state(self, instance: InstanceId) -> dict[str, list[Any]]:
        """What PostgreSQL has of an instance, numbers aside."""
        with self.state() as sql:
            content = journal_content(lambda query: sql.execute(query.replace("?", "%s").encode(), (instance,)))
            schema = sql.execute(
                "SELECT format('wa_%%s_%%s', n, token) FROM instances WHERE id = %s", (instance,)
            ).fetchone()
            if schema is not None:
                tables = sql.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", (schema[0],)).fetchall()
                for (table,) in tables if ("whatsmeow_device",) in tables else ():
                    content[table] = sorted(
                        map(plain, sql.execute(f"SELECT * FROM {schema[0]}.{table}".encode())), key=repr
                    )
            return content


def nothing(_: str) -> None:
    """Is the progress of who does not look."""


def killed(at: str, move: Callable[[Callable[[str], None]], object]) -> None:
    """Runs a move in a process of its own that is killed when it says `at`."""
    process = os.fork()
    if not process:
        try:
            move(lambda what: os.kill(os.getpid(), signal.SIGKILL) if what == at else None)
        finally:
            os._exit(1)
    _, status = os.waitpid(process, 0)
    assert os.WIFSIGNALED(status), f"it never said {at!r}"


def journal_of(auth_dir: Path) -> Path:
    return auth_dir / "@worker" / "journal.db"


def plain(row: Any) -> tuple[Any, ...]:
    return tuple(map(to_sqlite, row))


def on_volume(auth_dir: Path, instance: InstanceId) -> dict[str, list[Any]]:
    """What a volume has of an instance, numbers aside."""
    with closing(sqlite3.connect(journal_of(auth_dir))) as sql:
        content = journal_content(lambda query: sql.execute(query, (instance,)))
    file = auth_dir / instance / "session.db"
    if file.exists():
        with closing(sqlite3.connect(file)) as sql:
            for (table,) in sql.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                content[table] = sorted(sql.execute(f"SELECT * FROM {table}").fetchall(), key=repr)
    return content


def journal_content(ask: Callable[[str], Any]) -> dict[str, list[Any]]:
    content = {}
    for table in OWN:
        query = _CONTENT.get(table.name)
        cursor = ask(query or f"SELECT * FROM {quoted(table.name)} WHERE instance = ?" + _order(table.number))
        names = [column[0] for column in cursor.description]
        rows = [dict(zip(names, plain(row), strict=True)) for row in cursor]
        for row in rows:
            row.pop("seq", None)
            for name, value in row.items():
                if isinstance(value, str):
                    row[name] = value.replace("\0", "\N{REPLACEMENT CHARACTER}")  # PostgreSQL's texts have no U+0000
        content[table.name] = rows if query or table.number else sorted(rows, key=repr)
    return content


def _order(number: str | None) -> str:
    return f" ORDER BY {number}" if number else ""


def moved(content: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """What of it is to be found elsewhere."""
    ledger = [row | {"store": None} for row in content["ledger"]]
    media = [row | {"step": "wanted" if row["step"] == "stored" else row["step"]} for row in content["media"]]
    return content | {"ledger": ledger, "media": media}


def fill(sql: sqlite3.Connection, instance: InstanceId, number: int) -> None:
    chats = []
    for who in ("2@lid", "1@s.whatsapp.net"):
        sql.execute("INSERT INTO chats (instance, jid) VALUES (?, ?)", (instance, who))
        chats.append(sql.execute("SELECT last_insert_rowid()").fetchone()[0])
    for n, (state, step) in enumerate(
        [("pending", "wanted"), ("posted", "settled"), ("dead", "stored"), ("pending", "")]
    ):
        sql.execute(
            "INSERT INTO inbox (chat, wa_id, message, state, error, received_at) VALUES (?, ?, ?, ?, ?, ?)",
            (chats[n % 2], f"3A{n}", None if state == "posted" else f'{{"n": {n}}}', state, "ein\0s", n + number / 4),
        )
        if step:
            sql.execute(
                "INSERT INTO media (message_seq, step, kind, direct_path, media_key, enc_sha256, sha256, size)"
                " VALUES (last_insert_rowid(), ?, 'image', '/v', ?, x'00ff', x'', 5000000000)",
                (step, bytes(range(32))),
            )
    for n, state in enumerate(["marked", "intent", "sent", "failed", "uncertain", "waiting"]):
        sql.execute(
            "INSERT INTO ledger (instance, message_id, chat, state, wa_id, created_at, changed_at, secret, store,"
            " sent_at) VALUES (?, ?, NULL, ?, ?, 1.5, ?, ?, 'a mark', ?)",
            (instance, f'"{n}"', state, f"3EB{n}", n, b"\0\xff" * 16, n or None),
        )
        sql.execute(
            "INSERT INTO receipts (instance, wa_id, recipient, rank, due, timestamp, changed_at)"
            " VALUES (?, ?, '', 2, 1, 3, 1.0)",
            (instance, f"3EB{9 - n}"),
        )
    sql.execute("INSERT INTO holds VALUES (?, 'banned', 9e9, 2, 1.5)", (instance,))
    sql.execute(
        "INSERT INTO changes (instance, at, state, reason, until, detail, by)"
        " VALUES (?, 1.0, 'connected', 'x', NULL, '', 'y')",
        (instance,),
    )
    sql.execute("INSERT INTO let_go VALUES (?, 1.0)", (instance,))
    sql.execute("INSERT INTO chat_timers VALUES (?, 'a', 'b', 86400, 1, 1, 2, 3)", (instance,))
    sql.execute("INSERT INTO calls VALUES (?, 'c', '{}', 1.0)", (instance,))
    sql.execute("INSERT INTO groups VALUES (?, 'g@g.us', ?, 1)", (instance, "Fam\0ília"))
    sql.execute("INSERT INTO contacts VALUES (?, x'01', 1.0, NULL, 2.0)", (instance,))
    sql.execute("INSERT INTO linked_accounts VALUES (?, x'02', 1.0, 2.0, NULL, NULL)", (instance,))
    sql.execute("INSERT INTO polls VALUES (?, x'03', '[]', 1.0)", (instance,))


def add_session(empty: Path, folder: Path, *, paired: bool) -> Path:
    folder.mkdir(mode=0o700)
    file = folder / "session.db"
    shutil.copyfile(empty, file)
    if paired:
        jid = f"{folder.name}:7@s.whatsapp.net"
        with closing(sqlite3.connect(file)) as sql, sql:
            sql.execute("PRAGMA journal_mode=WAL")
            sql.execute(
                "INSERT INTO whatsmeow_device (jid, registration_id, noise_key, identity_key, signed_pre_key,"
                " signed_pre_key_id, signed_pre_key_sig, adv_key, adv_details, adv_account_sig, adv_account_sig_key,"
                " adv_device_sig) VALUES (?, 4294967295, zeroblob(32), zeroblob(32), zeroblob(32), 1, zeroblob(64),"
                " x'00ff', x'', zeroblob(64), zeroblob(32), zeroblob(64))",
                (jid,),
            )
            sql.execute(
                "INSERT INTO whatsmeow_pre_keys VALUES (?, 1, zeroblob(32), 1), (?, 2, zeroblob(32), 0)", (jid, jid)
            )
            sql.execute("INSERT INTO whatsmeow_sessions VALUES (?, '1.0', x'0badf00d'), (?, '2.0', NULL)", (jid, jid))
            sql.execute("INSERT INTO whatsmeow_lid_map VALUES ('2', '1')")
    return file
