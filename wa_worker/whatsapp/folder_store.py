"""An instance's folder on the volume: where its session store is, whether it is paired, and how it is set aside.

Owns paths and what can be read from whatsmeow's SQLite file without neonize. whatsmeow owns the file itself.
"""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
import structlog

from wa_worker.errors import SessionError
from wa_worker.models import InstanceId, Secret, instance_id
from wa_worker.whatsapp.sqlite import open_read_only, uri_path
from wa_worker.whatsapp.store import ARCHIVES_KEPT, LOOK, Reader, SessionStore, StoreTrouble, Value

log = structlog.get_logger(__name__)

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

DISK_TROUBLE = ("disk I/O error", "database or disk is full", "attempt to write a readonly database")
"""What SQLite says, in whatsmeow's log, when its store cannot be written: messages are then dropped, not kept."""


@attrs.frozen
class FolderStore(SessionStore):
    """Describes the session store of an instance that has a folder. `folder` may not exist yet."""

    newest_first = "rowid DESC"

    folder: Path

    @classmethod
    def of(cls, auth_dir: Path, instance: InstanceId) -> FolderStore:
        return cls(auth_dir / instance)

    @property
    def file(self) -> Path:
        return self.folder / "session.db"

    @property
    def place(self) -> str:
        return str(self.file)

    @property
    def dsn(self) -> Secret:
        """Says what neonize is given as its `name`: the path, then options. It appends `?_foreign_keys=on` itself,
        which the last option swallows. WAL makes a pairing four times as fast as the default journal."""
        options = "_journal_mode=WAL&_busy_timeout=15000&_synchronous=NORMAL&_foreign_keys=on&x="
        return Secret(f"{uri_path(self.file)}?{options}")

    def prepare(self) -> None:
        """Makes the folder, private to this user."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def first_row(self, query: str, *parameters: str) -> tuple[Value, ...] | None:
        try:
            if not self.file.is_file():
                return None
            with open_read_only(self.file, patience=LOOK) as database:
                rows = database.rows(query, *parameters)
        except (OSError, sqlite3.Error) as error:
            if any(sign in str(error) for sign in ("no such table", "not a database")):
                return None
            raise SessionError(f"session store {self.file}: {error}") from error
        return rows[0] if rows else None

    @contextmanager
    def reading(self, longest: float) -> Iterator[Reader]:
        try:
            with open_read_only(self.file, patience=longest, longest=longest) as database:
                yield database
        except (OSError, sqlite3.Error) as error:
            raise SessionError(f"session store {self.place}: {error}") from error

    def identity(self, reader: Reader) -> tuple[object, ...]:
        """It is another when the file was copied back from somewhere, and when the machine has started anew: whatsmeow
        commits without an fsync (`synchronous=NORMAL`), so its last rows do not survive a power cut. A store is looked
        through in WAL mode only, in which readers and writers do not wait for each other."""
        mode = reader.rows("PRAGMA journal_mode")[0][0]
        if mode != "wal":
            raise SessionError(f"session store {self.place}: in mode {mode!r} a reader keeps the writer waiting")
        file = self.file.stat()
        return (BOOT_ID.read_text("ascii"), file.st_dev, file.st_ino)

    def trouble(self, line: str) -> StoreTrouble | None:
        return StoreTrouble.FULL if any(sign in line for sign in DISK_TROUBLE) else None

    def archive(self) -> str | None:
        if not self.file.exists():
            return None
        archives = self.folder / "archive"
        target = archives / time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        while target.exists():
            target = target.with_name(target.name + "+")
        target.mkdir(mode=0o700, parents=True)
        for file in sorted(self.folder.glob("session.db*")):  # the main file first: without it, nothing is paired
            file.rename(target / file.name)
        others = sorted(
            path for path in archives.iterdir() if path != target
        )  # this one stays, whatever the clock says
        for old in others[: max(len(others) + 1 - ARCHIVES_KEPT, 0)]:
            shutil.rmtree(old, ignore_errors=True)
        return target.name


@attrs.frozen
class FolderStores:
    """Hands out the folders of `auth_dir`, one for each instance."""

    auth_dir: Path

    def of(self, instance: InstanceId) -> FolderStore:
        return FolderStore.of(self.auth_dir, instance)

    def look(self, instance: InstanceId) -> FolderStore:
        return self.of(instance)

    def paired(self) -> Iterator[InstanceId]:
        return paired_instances(self.auth_dir)

    async def problem(self) -> str | None:
        return None  # the volume's guard knows


def paired_instances(auth_dir: Path) -> Iterator[InstanceId]:
    """Instances with a device on this volume, by name."""
    if not auth_dir.is_dir():
        return
    for folder in sorted(auth_dir.iterdir()):
        try:
            instance = instance_id(folder.name)
        except ValueError:
            continue
        try:
            paired = FolderStore(folder).is_paired()
        except SessionError as error:
            log.error("a session store cannot be read", instance=instance, reason=str(error))
            paired = True  # its instance finds out, and tries again
        if paired:
            yield instance
