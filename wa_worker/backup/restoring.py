"""Restores a backup into an empty folder: all of it, or nothing.

What can be read twice is read through before anything is written. Entries are written aside in the folder, flushed and
checked, and get their places at the end. Meanwhile the folder is closed: no worker runs on half of it.
"""

from __future__ import annotations

import os
import shutil
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import attrs

from wa_worker.backup import databases
from wa_worker.backup.contents import ABOUT, JOURNAL, About, instance_of, place_of
from wa_worker.backup.making import Progress
from wa_worker.backup.sealing import SealedReader
from wa_worker.durable import flush
from wa_worker.errors import BackupError
from wa_worker.journal.restored import FILE as GAPS_FILE
from wa_worker.journal.restored import write_gaps
from wa_worker.models import JOURNAL_FILE, RESERVED_FOLDER, InstanceId, Secret
from wa_worker.ownership.closed import FILE as CLOSED_FILE
from wa_worker.ownership.closed import RESTORING, close_volume, reopen_volume, why_closed
from wa_worker.ownership.volume import try_volume

ASIDE = "@restoring"

_PART = 2**20
"""Bytes that are copied at once."""


@attrs.frozen
class Contents:
    """Says what is in a backup. Sizes in bytes."""

    about: About
    sessions: dict[InstanceId, int]
    journal: int
    files: int


def look_into(source: BinaryIO, key: Secret) -> Contents:
    """Reads a backup through, to its end. Raises BackupError."""
    sealed = SealedReader(source, key)
    with _archive(sealed) as archive:
        about = _about(archive)
        sessions: dict[InstanceId, int] = {}
        journal = files = 0
        while (entry := archive.next()) is not None:
            place_of(entry.name)
            if (instance := instance_of(entry.name)) is not None:
                sessions[instance] = entry.size
            elif entry.name == JOURNAL:
                journal = entry.size
            else:
                files += entry.size
    sealed.finish()
    if not journal:
        raise BackupError("it has no journal")
    return Contents(about, sessions, journal, files)


def restore(source: BinaryIO, key: Secret, auth_dir: Path, *, source_is_stopped: bool, progress: Progress) -> Contents:
    """Restores a backup into `auth_dir`. Raises BackupError; then the folder is as it was.

    source_is_stopped: a person says that nothing runs, or will run, on the volume of which it is a copy.
    """
    if source.seekable():
        progress("reading it through")
        look_into(source, key)
        source.seek(0)
    sealed = SealedReader(source, key)
    with _archive(sealed) as archive:
        about = _about(archive)
        if not about.moved and not source_is_stopped:
            raise BackupError(
                "it was made while its volume could go on: what was sent since is not in it, and a worker may still "
                "run there. WhatsApp gives a session to the last one that connects. If that worker is stopped for "
                "good, say so: --the-source-is-stopped. To move house instead: `wa-worker backup --move`"
            )
        try:
            with _empty_folder(auth_dir):
                contents = _write_aside(archive, about, auth_dir / ASIDE, progress)
                sealed.finish()
                progress("checking")
                _finish(contents, auth_dir / ASIDE)
                _into_place(auth_dir)
        except OSError as error:
            raise BackupError(f"cannot restore into {auth_dir}: {error.strerror or error}") from error
    return contents


@contextmanager
def _archive(sealed: SealedReader) -> Iterator[tarfile.TarFile]:
    """Raises BackupError."""
    try:
        with tarfile.open(fileobj=sealed, mode="r|") as archive:  # type: ignore[call-overload]
            yield archive
    except tarfile.TarError as error:
        raise BackupError(f"its content cannot be read ({error})") from error


def _about(archive: tarfile.TarFile) -> About:
    first = archive.next()
    file = None if first is None or first.name != ABOUT or not first.isreg() else archive.extractfile(first)
    if file is None:
        raise BackupError(f"it does not begin with {ABOUT}")
    return About.load(file.read(_PART))


@contextmanager
def _empty_folder(auth_dir: Path) -> Iterator[None]:
    """Holds the volume in the block, closed. An error leaves the folder as it was, unless entries are in their places:
    then it stays closed. Raises BackupError."""
    own, made = auth_dir / RESERVED_FOLDER, not auth_dir.exists()
    own.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with try_volume(auth_dir) as alone:
            _refuse(auth_dir, alone=alone)
            close_volume(auth_dir, RESTORING)
            try:
                yield
            except BaseException:
                shutil.rmtree(auth_dir / ASIDE, ignore_errors=True)
                if _is_empty(auth_dir):
                    reopen_volume(auth_dir)
                raise
            reopen_volume(auth_dir)
    except BaseException:
        if made and _is_empty(auth_dir):
            with suppress(OSError):
                shutil.rmtree(auth_dir)
        raise


def _refuse(auth_dir: Path, *, alone: bool) -> None:
    if not alone:
        raise BackupError(f"a worker is running on {auth_dir}: restore into an empty folder, with --into")
    if (why := why_closed(auth_dir)) is not None:
        raise BackupError(why)
    if not _is_empty(auth_dir):
        raise BackupError(f"{auth_dir} is not empty: restore into an empty folder, with --into")


def _is_empty(auth_dir: Path) -> bool:
    """Says whether nothing of a worker is there: no more than what a new volume has, and a lock that nobody holds."""
    others = {path.name for path in auth_dir.iterdir()} - {RESERVED_FOLDER, "lost+found"}
    return not others and {path.name for path in (auth_dir / RESERVED_FOLDER).iterdir()} <= {"lock", CLOSED_FILE}


def _write_aside(archive: tarfile.TarFile, about: About, aside: Path, progress: Progress) -> Contents:
    aside.mkdir(mode=0o700)
    sessions: dict[InstanceId, int] = {}
    journal = files = 0
    while (entry := archive.next()) is not None:
        place = aside / place_of(entry.name)
        content = archive.extractfile(entry) if entry.isreg() else None
        if content is None:
            raise BackupError(f"its entry {entry.name} is no file")
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(place, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            shutil.copyfileobj(content, file, _PART)
            file.flush()
            os.fsync(file.fileno())
        if (instance := instance_of(entry.name)) is not None:
            sessions[instance] = entry.size
        elif entry.name == JOURNAL:
            journal = entry.size
        else:
            files += entry.size
        progress(f"{len(sessions)} sessions, {(sum(sessions.values()) + journal + files) / 1e6:.1f} MB so far")
    return Contents(about, sessions, journal, files)


def _finish(contents: Contents, aside: Path) -> None:
    """Checks what was written, and has the worker doubt what it cannot know. Raises BackupError."""
    journal = aside / RESERVED_FOLDER / JOURNAL_FILE
    if not journal.is_file():
        raise BackupError("it has no journal")
    for instance in contents.sessions:
        databases.check_database(aside / instance / "session.db", f"its session of {instance}")
    databases.check_database(journal, "its journal")
    databases.check_journal(journal)
    databases.distrust_stores(journal)
    about = contents.about
    at, gaps = (about.gaps_since, set(about.gaps)) if about.moved else (time.time(), set(contents.sessions))
    write_gaps(journal.with_name(GAPS_FILE), at, gaps)
    for folder, _, files in os.walk(aside):
        for name in files:
            flush(Path(folder, name))
        flush(Path(folder))


def _into_place(auth_dir: Path) -> None:
    """Gives everything its name, the journal's folder last."""
    aside, own = auth_dir / ASIDE, auth_dir / RESERVED_FOLDER
    for folder in sorted(path for path in aside.iterdir() if path.name != RESERVED_FOLDER):
        folder.rename(auth_dir / folder.name)
    for path in sorted((aside / RESERVED_FOLDER).iterdir()):
        path.rename(own / path.name)
    (aside / RESERVED_FOLDER).rmdir()
    aside.rmdir()
    flush(own)
    flush(auth_dir)
