"""The volume of a move: what is on it, that nobody else has it, and how an instance's folder is given up. Blocking."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import attrs

from wa_worker.durable import flush
from wa_worker.errors import JournalError, TransferError
from wa_worker.journal.connection import connect, connect_read_only, transaction
from wa_worker.journal.migrations import FORMAT, format_of, upgrade
from wa_worker.journal.restored import FILE as GAPS_FILE
from wa_worker.journal.restored import read_gaps
from wa_worker.models import JOURNAL_FILE, RESERVED_FOLDER, InstanceId, instance_id
from wa_worker.ownership.volume import try_volume
from wa_worker.transfer.journal import instances_in_file
from wa_worker.transfer.values import raw_texts
from wa_worker.whatsapp.egress_memory import FILE as PROXY_FILE

GIVEN_UP = "@moved"
"""Behind the name of a folder whose instance has moved. '@' cannot stand in an instance's id, while a dot can: a worker
would take `shop.moved` for an instance."""


@attrs.frozen
class Volume:
    """Names the instances that a volume has: those with a folder, and those of which only the journal knows."""

    folder: Path
    instances: tuple[InstanceId, ...]

    @property
    def journal(self) -> Path:
        return self.folder / RESERVED_FOLDER / JOURNAL_FILE

    def session(self, instance: InstanceId) -> Path | None:
        file = self.folder / instance / "session.db"
        return file if file.is_file() else None


@contextmanager
def alone_on(auth_dir: Path) -> Iterator[None]:
    """Keeps workers off a volume in the block. Raises TransferError if one is there, OSError."""
    with try_volume(auth_dir) as alone:
        if not alone:
            raise TransferError(f"a worker is running on AUTH_DIR={auth_dir}: stop it first")
        yield


def upgrade_journal(path: Path) -> None:
    """Brings a journal to this version's format, as a worker that starts does. Raises JournalError, sqlite3.Error."""
    with closing(connect(path, "mode=rw")) as sql, transaction(sql):
        upgrade(sql, path)


@contextmanager
def open_journal_file(path: Path) -> Iterator[sqlite3.Connection]:
    """Opens a journal of this version's format to be read. Raises TransferError, JournalError, sqlite3.Error."""
    if (found := format_of(path)) != FORMAT:
        raise TransferError(f"the journal has format {found}, and is upgraded to {FORMAT} first: not with --dry-run")
    with closing(connect_read_only(path)) as sql:
        raw_texts(sql)
        yield sql


def volume_at(auth_dir: Path, journal: sqlite3.Connection) -> Volume:
    """Looks at what there is. Raises TransferError for what cannot be moved, OSError, sqlite3.Error."""
    found = set(instances_in_file(journal))
    for path in sorted(auth_dir.iterdir()):
        try:
            instance = instance_id(path.name)
        except ValueError:
            continue
        if (path / "session.db").is_file() or (path / PROXY_FILE).is_file():
            found.add(instance)
    _refuse_gaps(auth_dir)
    return Volume(auth_dir, tuple(sorted(found)))


def _refuse_gaps(auth_dir: Path) -> None:
    try:
        _, gaps = read_gaps(auth_dir / RESERVED_FOLDER / GAPS_FILE)
    except JournalError as error:
        raise TransferError(str(error)) from error
    if gaps:
        raise TransferError(
            f"the volume was restored from a backup, and for {min(gaps)} that is not over: what the proxy lists may "
            "have been sent. Let a worker run on the volume until it logs that it is, then stop it"
        )


def give_up(volume: Volume, instance: InstanceId) -> bool:
    """Renames an instance's folder, so that no worker finds its session. Says whether there was one. Raises OSError."""
    folder = volume.folder / instance
    if not folder.is_dir():
        return False
    target = folder.with_name(f"{instance}{GIVEN_UP}")
    while target.exists():
        target = target.with_name(f"{target.name}+")
    folder.rename(target)
    flush(volume.folder)
    return True
