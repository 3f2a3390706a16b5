"""Makes a backup of a volume: while its worker runs, or as a move after which it may not run any more.

Each database is copied as it was at one moment. The journal comes first: a session store is then never older than the
journal, so that it can have no send of the journal's forgotten. A copy lies in the clear in TMPDIR for as long as it
takes to be sealed, in a folder that only this user can read.
"""

from __future__ import annotations

import io
import tarfile
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import attrs

from wa_worker import __version__
from wa_worker.backup import databases
from wa_worker.backup.contents import ABOUT, FILES, JOURNAL, About, proxy_name, session_name
from wa_worker.backup.sealing import SealedWriter
from wa_worker.errors import BackupError, JournalError
from wa_worker.journal.restored import FILE as GAPS_FILE
from wa_worker.journal.restored import read_gaps
from wa_worker.models import JOURNAL_FILE, RESERVED_FOLDER, InstanceId, Secret, instance_id
from wa_worker.ownership.closed import MOVED, close_volume, reopen_volume, why_closed
from wa_worker.ownership.volume import try_volume
from wa_worker.whatsapp.egress_memory import FILE as PROXY_FILE

STOPS_WITHIN = 15.0
"""Seconds for which a move waits for the worker to end: it takes less than 10 when told."""

Progress = Callable[[str], None]


@attrs.frozen
class Sink:
    """Says where a backup goes. `keep()` is called when all of it was written: it is there for good then."""

    file: BinaryIO
    keep: Callable[[], None]


@attrs.frozen
class Made:
    """Says what is in a backup that was made: `size` in bytes before it was sealed."""

    instances: tuple[InstanceId, ...]
    left_out: tuple[InstanceId, ...]
    size: int


def make_backup(
    auth_dir: Path, sink: Sink, key: Secret, chosen: Collection[InstanceId], *, move: bool, progress: Progress
) -> Made:
    """Writes a backup of a volume to `sink`, of the chosen instances (none: of all that are paired).

    move: closes the volume first, and opens it again if the backup fails. Raises BackupError, and OSError of `sink`.
    """
    own = auth_dir / RESERVED_FOLDER
    if not (own / JOURNAL_FILE).is_file():
        raise BackupError(f"no worker has run on AUTH_DIR={auth_dir}: there is no journal")
    if (why := why_closed(auth_dir)) is not None:
        raise BackupError(why)
    with _held(auth_dir, wait=move, progress=progress) as alone:
        if move:
            close_volume(auth_dir, MOVED)
        try:
            return _write(auth_dir, sink, key, chosen, moved=move, in_use=not alone, progress=progress)
        except BaseException:
            if move:
                reopen_volume(auth_dir)
            raise


@contextmanager
def _held(auth_dir: Path, *, wait: bool, progress: Progress) -> Iterator[bool]:
    """Says whether nobody else can take the volume in the block. `wait`: has to be so; raises BackupError if not."""
    until = time.monotonic() + STOPS_WITHIN
    while True:
        with try_volume(auth_dir) as alone:
            if alone or not wait:
                yield alone
                return
        if time.monotonic() > until:
            raise BackupError(
                f"a worker is running on AUTH_DIR={auth_dir}: stop it, then move. What happened after the copy would "
                "be lost else"
            )
        progress("waiting for the worker to stop")
        time.sleep(0.1)


def _write(
    auth_dir: Path,
    sink: Sink,
    key: Secret,
    chosen: Collection[InstanceId],
    *,
    moved: bool,
    in_use: bool,
    progress: Progress,
) -> Made:
    own = auth_dir / RESERVED_FOLDER
    try:
        since, gaps = read_gaps(own / GAPS_FILE)
    except JournalError as error:
        raise BackupError(str(error)) from error
    instances = _instances(auth_dir, chosen)
    about = About(time.time(), __version__, moved, since, tuple(sorted(gaps)))
    sealed = SealedWriter(sink.file, key)
    taken: list[InstanceId] = []
    with (
        tempfile.TemporaryDirectory(prefix="wa-worker-backup-") as folder,
        tarfile.open(fileobj=sealed, mode="w|", format=tarfile.PAX_FORMAT) as archive,  # type: ignore[call-overload]
    ):
        copy = Path(folder) / "copy.db"
        _add(archive, ABOUT, about.dump())
        progress("the journal")
        databases.copy_database(own / JOURNAL_FILE, copy, in_use=in_use)
        databases.check_journal(copy)
        if chosen:
            databases.keep_only(copy, chosen)
        archive.add(copy, JOURNAL, recursive=False, filter=_private)
        stored = databases.stored_files(copy)
        copy.unlink()
        for number, instance in enumerate(instances, 1):
            progress(f"session {number} of {len(instances)}, {sealed.written / 1e6:.1f} MB so far")
            databases.copy_database(auth_dir / instance / "session.db", copy, in_use=in_use)
            if databases.is_paired(copy):
                _add_file(archive, auth_dir / instance / PROXY_FILE, proxy_name(instance))
                archive.add(copy, session_name(instance), recursive=False, filter=_private)
                taken.append(instance)
            copy.unlink()
        for seq in stored:
            progress(f"received files, {sealed.written / 1e6:.1f} MB so far")
            _add_file(archive, own / FILES / str(seq), f"{FILES}/{seq}")
    if missing := sorted(set(chosen) - set(taken)):
        raise BackupError(f"{missing[0]} is not paired: it has no session to keep")
    sealed.close()
    sink.keep()
    return Made(tuple(taken), tuple(instance for instance in instances if instance not in taken), sealed.written)


def _instances(auth_dir: Path, chosen: Collection[InstanceId]) -> list[InstanceId]:
    found: list[InstanceId] = []
    for path in sorted(auth_dir.glob("*/session.db")):
        try:
            instance = instance_id(path.parent.name)
        except ValueError:
            continue
        if not chosen or instance in chosen:
            found.append(instance)
    return found


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), 0o600
    archive.addfile(entry, io.BytesIO(data))


def _add_file(archive: tarfile.TarFile, path: Path, name: str) -> None:
    """Adds a small file, which is whole as long as it is there: an instance's proxy, if it has one of its own, or a
    received file, which the worker downloads again if it is missing."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:  # the back end has the received file by now
        return
    _add(archive, name, data)


def _private(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Leaves out who owned the file, and where."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o600
    return entry
