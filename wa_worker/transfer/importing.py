"""Moves a volume to PostgreSQL: `wa-worker state import`.

In this order, so that a cut at any moment leaves each instance in one place, and the next run goes on:

1. All that can be refused is looked for, before anything is changed.
2. The volume gets the number of the move, and is closed: no worker runs on it again.
3. All instances get a row with that number in PostgreSQL, where nobody claims them.
4. One transaction an instance copies it, and lets workers claim it. Then its folder is renamed. An instance that bears
   the number and can be claimed has come: only the renaming is left to do.

If it fails before the first instance has come, the volume is opened again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import attrs
import psycopg

from wa_worker.errors import JournalError, TransferError
from wa_worker.models import JOURNAL_FILE, RESERVED_FOLDER, InstanceId
from wa_worker.ownership.closed import IN_STATE, close_volume, closed_for, reopen_volume, why_closed
from wa_worker.postgres.connecting import connect, state_errors
from wa_worker.postgres.migrations import upgrade
from wa_worker.postgres.url import StateUrl
from wa_worker.transfer import marks, sessions
from wa_worker.transfer.journal import HASHED, count_rows, has_work, import_rows, import_shared
from wa_worker.transfer.volumes import Volume, alone_on, give_up, open_journal_file, upgrade_journal, volume_at
from wa_worker.whatsapp.egress_memory import EgressFiles, egress_text

STATEMENT = 600.0
"""Seconds for a statement: one may copy all of what an instance has."""

Progress = Callable[[str], None]


@attrs.frozen
class Imported:
    """Says what was moved, or would be.

    rows: of the journal. before: instances that had come already. contacts: whether the history of contacts came along;
    False: it stays behind, for PostgreSQL hashes with another key. behind: instances in PostgreSQL already, of which
    the volume had only rows of the journal.
    """

    instances: int
    sessions: int
    rows: int
    before: int
    contacts: bool
    behind: tuple[InstanceId, ...] = ()


@attrs.define
class _Import:
    """Has what all steps need."""

    url: StateUrl
    volume: Volume
    sql: psycopg.Connection
    journal: sqlite3.Connection
    known: sessions.Reference
    progress: Progress
    behind: tuple[InstanceId, ...]
    move: str = ""
    contacts: bool = True


def import_volume(
    auth_dir: Path, url: StateUrl, environ: Mapping[str, str], *, dry_run: bool, progress: Progress
) -> Imported:
    """Moves all instances of a volume, or says what it would move. A run that was cut off is gone on with.

    environ: for the process in which whatsmeow makes its tables. Raises TransferError, JournalError, StateError,
    OSError.
    """
    path = auth_dir / RESERVED_FOLDER / JOURNAL_FILE
    if not path.is_file():
        raise TransferError(f"no worker has run on AUTH_DIR={auth_dir}: there is no journal")
    if (why := why_closed(auth_dir)) is not None and closed_for(auth_dir) != IN_STATE:
        raise TransferError(why)
    with _errors(url):
        if dry_run:
            with _opened(path, url, environ, progress) as looked:
                return _look(looked)
        with alone_on(auth_dir):
            upgrade_journal(path)
            with _opened(path, url, environ, progress) as begun:
                return _move(begun)


@contextmanager
def _errors(url: StateUrl) -> Iterator[None]:
    with state_errors(url):
        try:
            yield
        except sqlite3.Error as error:
            raise JournalError(f"SQLite: {error}") from error


@contextmanager
def _opened(path: Path, url: StateUrl, environ: Mapping[str, str], progress: Progress) -> Iterator[_Import]:
    """Opens both sides, and refuses what cannot be moved before anything is changed."""
    auth_dir = path.parent.parent
    with (
        open_journal_file(path) as journal,
        closing(connect(url, "state import", statement_timeout=STATEMENT)) as sql,
        marks.only_move(sql),
    ):
        progress("PostgreSQL")
        upgrade(sql)
        volume, behind = _without_others(sql, volume_at(auth_dir, journal))
        with sessions.reference(sql, url, environ) as known:
            yield _Import(url, volume, sql, journal, known, progress, behind)


def _without_others(sql: psycopg.Connection, volume: Volume) -> tuple[Volume, tuple[InstanceId, ...]]:
    """Leaves out instances that are in PostgreSQL already, and of which the volume has no more than journal rows: they
    went elsewhere before, and came from there. Returns those, too. Raises TransferError if it has a session of one."""
    move = marks.move_of(volume.folder)
    behind = []
    for row in marks.rows(sql, volume.instances).values():
        if move is not None and row.has_come(move):
            continue
        try:
            marks.refuse_other(sql, row, move)
        except TransferError:
            if volume.session(row.instance) is not None:
                raise
            behind.append(row.instance)
    left = tuple(instance for instance in volume.instances if instance not in behind)
    return attrs.evolve(volume, instances=left), tuple(behind)


def _look(this: _Import) -> Imported:
    move = marks.move_of(this.volume.folder)
    left, paired = _left(this, move)
    count = sum(count_rows(this.journal, instance) for instance in left)
    return Imported(len(left), len(paired), count, len(this.volume.instances) - len(left), True, this.behind)


def _left(this: _Import, move: str | None) -> tuple[list[InstanceId], list[InstanceId]]:
    """Returns the instances that are to be moved, and those of them that are paired. Raises TransferError if the
    session of one cannot be."""
    known = marks.rows(this.sql, this.volume.instances)
    left = [
        each for each in this.volume.instances if move is None or each not in known or not known[each].has_come(move)
    ]
    paired = []
    for number, instance in enumerate(left, 1):
        this.progress(f"looking at {number} of {len(left)}")
        if file := this.volume.session(instance):
            with sessions.opened(file, this.known) as store:
                paired += [instance] if store is not None else []
    return left, paired


def _move(this: _Import) -> Imported:
    auth_dir, sql = this.volume.folder, this.sql
    former = marks.move_of(auth_dir)
    marks.reap(sql)
    left, _ = _left(this, former)
    this.move = marks.begin_move(auth_dir)
    close_volume(auth_dir, IN_STATE)
    try:
        this.progress("the volume is closed")
        for batch in marks.batches(left):
            with sql.transaction():
                _durable(sql)
                for instance in batch:
                    marks.take_in(sql, instance, this.move, fresh=former is None)
        with sql.transaction():
            this.contacts = import_shared(sql, this.journal)
        this.progress("PostgreSQL knows them")
        count = paired = 0
        for number, instance in enumerate(left, 1):
            this.progress(f"{instance}, {number} of {len(left)}")
            found, rows = _import_one(this, instance)
            paired, count = paired + found, count + rows
            this.progress(f"{instance} has come")
            give_up(this.volume, instance)
        for instance in this.volume.instances:
            give_up(this.volume, instance)  # what a former run had no time for
    except BaseException:
        _open_again(this)
        raise
    return Imported(len(left), paired, count, len(this.volume.instances) - len(left), this.contacts, this.behind)


def _import_one(this: _Import, instance: InstanceId) -> tuple[bool, int]:
    """Copies an instance, and lets workers claim it, in one transaction. Returns whether it is paired, and the
    rows."""
    sql, paired = this.sql, False
    with sql.transaction():
        _durable(sql)
        marks.lock(sql, [instance])
        row = marks.rows(sql, [instance])[instance]
        if not row.held or row.mark != marks.Mark.IN.of(this.move):
            raise TransferError(f"{instance} was changed in PostgreSQL meanwhile")
        if file := this.volume.session(instance):
            with sessions.opened(file, this.known) as store:
                if store is not None:
                    sessions.import_session(sql, store, this.known, row.schema)
                    paired = True
        without = () if this.contacts else HASHED
        count = import_rows(sql, this.journal, instance, without=without)
        egress = egress_text(EgressFiles(this.volume.folder).of(instance))
        wanted = paired or has_work(sql, instance)
        sql.execute(_ARRIVED, (paired, wanted, egress, instance))
        this.progress(f"{instance} is written")
    return paired, count


def _durable(sql: psycopg.Connection) -> None:
    """Has the transaction on the server's disk when its commit returns, whatever the server is set to."""
    sql.execute("SET LOCAL synchronous_commit = on")


def _open_again(this: _Import) -> None:
    """Opens the volume if nothing of it has come to PostgreSQL. If that cannot be told, it stays closed."""
    try:
        with closing(connect(this.url, "state import")) as sql, sql.transaction():
            marks.lock(sql, this.volume.instances)  # a commit whose answer was cut off may be under way
            taken = marks.rows(sql, this.volume.instances)
            if any(row.has_come(this.move) for row in taken.values()):
                return
            for row in taken.values():
                if row.held and row.mark == marks.Mark.IN.of(this.move):
                    marks.give_back(sql, row)
        marks.forget_move(this.volume.folder)
        reopen_volume(this.volume.folder)
    except Exception:  # noqa: BLE001 - what it failed for is said already; a next run goes on
        return


_ARRIVED = """
UPDATE instances SET paired = %s, wanted = %s, egress = %s, claims = 0, claimed_at = NULL, not_before = '-infinity'
WHERE id = %s"""
