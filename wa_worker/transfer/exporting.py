"""Moves all of PostgreSQL to an empty folder: `wa-worker state export`.

In this order, so that a cut at any moment leaves each instance in one place, and the next run goes on:

1. The folder becomes a volume that is closed, with the number of the move.
2. No worker may be there. Nobody claims an instance any more, and no session of a former owner finds its keys.
3. The volume is written: sessions, the journal, the instances' proxies. What a former run began is begun anew.
4. In PostgreSQL the keys are archived and the journal's rows deleted. Once this has begun, the volume is whole.
5. The volume is opened.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import attrs
import psycopg

from wa_worker.durable import flush
from wa_worker.errors import JournalError, TransferError
from wa_worker.journal.connection import connect as open_file
from wa_worker.journal.migrations import upgrade as upgrade_file
from wa_worker.models import JOURNAL_FILE, RESERVED_FOLDER, InstanceId
from wa_worker.ownership.closed import EXPORTING, close_volume, closed_for, reopen_volume, why_closed
from wa_worker.ownership.closed import FILE as CLOSED_FILE
from wa_worker.postgres.connecting import connect, state_errors
from wa_worker.postgres.migrations import upgrade
from wa_worker.postgres.url import StateUrl
from wa_worker.transfer import marks, sessions
from wa_worker.transfer.importing import STATEMENT, Progress
from wa_worker.transfer.journal import delete_rows, export_rows, export_shared
from wa_worker.transfer.marks import Mark, Row
from wa_worker.transfer.volumes import alone_on
from wa_worker.whatsapp.egress_memory import EgressFiles, egress_of

SESSIONS_END = 5.0
"""Seconds for connections of former sessions to end, once they are told to."""

_KEPT = frozenset({"lock", CLOSED_FILE, marks.FILE})


@attrs.frozen
class Exported:
    """Says what was moved."""

    instances: int
    sessions: int


@attrs.frozen
class _Export:
    auth_dir: Path
    sql: psycopg.Connection
    move: str
    variables: Mapping[str, str]
    progress: Progress


def export_state(auth_dir: Path, url: StateUrl, environ: Mapping[str, str], *, progress: Progress) -> Exported:
    """Makes a volume of all instances in PostgreSQL, and leaves none there. A run that was cut off is gone on with.

    environ: for the process in which whatsmeow makes its tables. Raises TransferError, JournalError, StateError,
    OSError.
    """
    (auth_dir / RESERVED_FOLDER).mkdir(mode=0o700, parents=True, exist_ok=True)
    with (
        alone_on(auth_dir),
        state_errors(url),
        closing(connect(url, "state export", statement_timeout=STATEMENT)) as sql,
    ):
        _refuse_full(auth_dir)
        with marks.only_move(sql), _errors():
            upgrade(sql)
            _refuse_workers(sql)
            _refuse_none(sql, marks.move_of(auth_dir))
            move = marks.begin_move(auth_dir)
            close_volume(auth_dir, EXPORTING)
            progress("the volume is closed")
            return _move(_Export(auth_dir, sql, move, environ, progress))


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise JournalError(f"SQLite: {error}") from error


def _refuse_full(auth_dir: Path) -> None:
    closed = closed_for(auth_dir)
    if closed == EXPORTING and marks.move_of(auth_dir) is not None:
        return  # of a run that was cut off
    if closed is not None:
        raise TransferError(str(why_closed(auth_dir)))
    if set(_others(auth_dir)):
        raise TransferError(f"{auth_dir} is not empty: export into an empty folder")


def _others(auth_dir: Path) -> Iterator[Path]:
    """Yields what is in the folder besides what says that it is being written."""
    for path in auth_dir.iterdir():
        if path.name == RESERVED_FOLDER:
            yield from (each for each in path.iterdir() if each.name not in _KEPT)
        elif path.name != "lost+found":
            yield path


def _refuse_workers(sql: psycopg.Connection) -> None:
    marks.reap(sql)
    hosts = [str(host) for (host,) in sql.execute("SELECT host FROM workers ORDER BY host")]
    if hosts:
        raise TransferError(f"{len(hosts)} workers run on PostgreSQL ({', '.join(hosts[:3])}): stop them first")


def _refuse_none(sql: psycopg.Connection, move: str | None) -> None:
    found = [row for row in marks.rows(sql).values() if not row.is_away or (move and row.mark == Mark.AWAY.of(move))]
    if not found:
        raise TransferError("no instance is in this database: STATE_URL may name another one than the workers'")


def _move(this: _Export) -> Exported:
    sql, move = this.sql, this.move
    known = marks.rows(sql).values()
    gone = [row for row in known if row.mark == Mark.AWAY.of(move)]
    if not gone:
        _take_out(this, [row for row in known if not row.is_away])
    here = [row for row in marks.rows(sql).values() if row.mark == Mark.OUT.of(move)]
    if not gone:
        _write(this, here)
    for batch in marks.batches([row.instance for row in here]):
        this.progress("what is left in PostgreSQL is archived")
        with sql.transaction():
            sql.execute("SET LOCAL synchronous_commit = on")
            delete_rows(sql, batch)
            for row in marks.rows(sql, batch).values():
                marks.set_aside(sql, row, move)
    this.progress("the volume is opened")
    reopen_volume(this.auth_dir)
    written = sum((this.auth_dir / row.instance / "session.db").exists() for row in [*here, *gone])
    return Exported(len(here) + len(gone), written)


def _take_out(this: _Export, rows: list[Row]) -> None:
    sql, out = this.sql, Mark.OUT.of(this.move)
    for row in rows:
        if row.held and row.mark != out:
            raise TransferError(f"{row.instance} is held by a move to or from another volume, which is not over")
    for batch in marks.batches([row.instance for row in rows if row.mark != out]):
        with sql.transaction():
            sql.execute("SET LOCAL synchronous_commit = on")
            sql.execute("LOCK TABLE workers IN SHARE MODE")  # none begins meanwhile
            _refuse_workers(sql)
            marks.lock(sql, batch)
            for row in marks.rows(sql, batch).values():
                marks.take_out(sql, row, this.move)
    until = time.monotonic() + SESSIONS_END
    while (left := sql.execute(_END_SESSIONS).fetchone()) and left[0]:
        if time.monotonic() > until:
            raise TransferError(f"{left[0]} connections of sessions do not end")
        time.sleep(0.02)
    this.progress("nobody claims them")


def _write(this: _Export, rows: list[Row]) -> None:
    """Makes the volume whole, and has it on the disk."""
    for path in _others(this.auth_dir):  # of a run that was cut off: all of it is in PostgreSQL
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    egress = EgressFiles(this.auth_dir)
    with tempfile.TemporaryDirectory(prefix="part-", dir=this.auth_dir / RESERVED_FOLDER) as folder:
        empty = sessions.make_file(Path(folder), this.variables)
        for number, row in enumerate(rows, 1):
            this.progress(f"session of {row.instance}, {number} of {len(rows)}")
            if sessions.is_paired(this.sql, row.schema):
                sessions.export_session(this.sql, row.schema, empty, this.auth_dir / row.instance / "session.db")
            if row.egress is not None and (problem := egress.keep(row.instance, egress_of(row.egress))):
                raise TransferError(problem)
    _write_journal(this, [row.instance for row in rows])
    flush(this.auth_dir)
    this.progress("the volume is whole")


def _write_journal(this: _Export, instances: list[InstanceId]) -> None:
    path = this.auth_dir / RESERVED_FOLDER / JOURNAL_FILE
    path.touch(mode=0o600)
    with closing(open_file(path, "mode=rw")) as file:
        file.execute("PRAGMA synchronous=FULL")
        file.execute("BEGIN IMMEDIATE")
        upgrade_file(file, path)
        export_shared(this.sql, file)
        for number, instance in enumerate(instances, 1):
            this.progress(f"journal of {instance}, {number} of {len(instances)}")
            export_rows(this.sql, file, instance)
        file.execute("COMMIT")
    flush(path)
    flush(path.parent)


_END_SESSIONS = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE 'wa/%'"""
