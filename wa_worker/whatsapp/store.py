"""An instance's folder on the volume: where its session store is, whether it is paired, and how it is set aside.

Owns paths and what can be read from whatsmeow's SQLite file without neonize. whatsmeow owns the file itself.
"""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import attrs
import structlog

from wa_worker.errors import SessionError
from wa_worker.jid import LID, USER, without_device
from wa_worker.models import Account, InstanceId, Jid, Shard, in_shard, instance_id
from wa_worker.whatsapp.sqlite import Value, open_read_only, uri_path

log = structlog.get_logger(__name__)

ARCHIVES_KEPT = 3
"""Archived stores kept per instance: enough to look into what happened, bounded on a volume that nobody tidies."""


@attrs.frozen
class SessionStore:
    """Describes the session store of one instance. `folder` may not exist yet."""

    folder: Path

    @classmethod
    def of(cls, auth_dir: Path, instance: InstanceId) -> SessionStore:
        return cls(auth_dir / instance)

    @property
    def file(self) -> Path:
        return self.folder / "session.db"

    @property
    def dsn(self) -> str:
        """Says what neonize is given as its `name`: the path, then options. It appends `?_foreign_keys=on` itself,
        which the last option swallows. WAL makes a pairing four times as fast as the default journal."""
        options = "_journal_mode=WAL&_busy_timeout=15000&_synchronous=NORMAL&_foreign_keys=on&x="
        return f"{uri_path(self.file)}?{options}"

    def prepare(self) -> None:
        """Makes the folder, private to this user."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def is_paired(self) -> bool:
        """Says whether the store holds a device. One that is missing, empty or no database holds none.

        Raises SessionError when that cannot be told now: a QR code would be the wrong answer to a busy disk."""
        return self._row("SELECT 1 FROM whatsmeow_device") is not None

    def account(self) -> Account | None:
        """Returns whose device the store holds, None if it holds none. whatsmeow learns the name some time after the
        device was linked.

        Raises SessionError as `is_paired()` does."""
        jid = self._scalar("SELECT jid FROM whatsmeow_device")
        if jid is None:
            return None
        name = self._mapped("SELECT push_name FROM whatsmeow_device WHERE jid = ?", str(jid))
        return Account(Jid(without_device(str(jid))), str(name) if name else None)

    def phone_of(self, lid: Jid) -> Jid | None:
        """Returns the phone number JID that the store knows for a LID. None too if it cannot be read now."""
        user = self._mapped("SELECT pn FROM whatsmeow_lid_map WHERE lid = ?", lid.partition("@")[0])
        return Jid(f"{user}@{USER}") if user else None

    def lid_of(self, jid: Jid) -> Jid | None:
        """Returns the LID that the store knows for a phone number JID. None too if it cannot be read now."""
        user = self._mapped("SELECT lid FROM whatsmeow_lid_map WHERE pn = ?", jid.partition("@")[0])
        return Jid(f"{user}@{LID}") if user else None

    def _mapped(self, query: str, of: str) -> object:
        try:
            return self._scalar(query, of)
        except SessionError:
            return None  # a mapping is a nicety, the message is not

    def _scalar(self, query: str, *parameters: str) -> object:
        row = self._row(query, *parameters)
        return row[0] if row else None

    def _row(self, query: str, *parameters: str) -> tuple[Value, ...] | None:
        try:
            if not self.file.is_file():
                return None
            with open_read_only(self.file, patience=5.0) as database:
                rows = database.rows(query, *parameters)
        except (OSError, sqlite3.Error) as error:
            if any(sign in str(error) for sign in ("no such table", "not a database")):
                return None
            raise SessionError(f"session store {self.file}: {error}") from error
        return rows[0] if rows else None

    def archive(self) -> Path | None:
        """Moves the store aside, dated, and drops the oldest archives. None if there was nothing to move.

        Only after the session is closed. The data is kept: WhatsApp ended this pairing, people may want to know.
        """
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
        return target


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
            paired = SessionStore(folder).is_paired()
        except SessionError as error:
            log.error("a session store cannot be read", instance=instance, reason=str(error))
            paired = True  # its instance finds out, and tries again
        if paired:
            yield instance


def sessions_of(auth_dir: Path, shard: Shard | None) -> tuple[list[InstanceId], int]:
    """Returns the instances with a device on this volume that are in the shard, and how many others there are: their
    number of shards was changed, and they may run elsewhere by now. Blocking."""
    here = list(paired_instances(auth_dir))
    own = in_shard(shard, here)
    others = len(here) - len(own)
    if others:
        log.warning(
            "sessions on the volume are of other shards: not started",
            sessions=others,
            shard=str(shard),
            remedy="move them to the volumes of their workers: docs/scaling.md, Changing the number of shards",
        )
    return own, others
