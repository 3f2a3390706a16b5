"""What is in a backup, and under which names: a tar archive (POSIX.1-2001) inside of what sealing.py writes.

backup.json               first: version, when, by which wa-worker, and whether it was a move
journal.db                 the journal, or what of it belongs to the chosen instances
received-files/SEQ         files of received messages that the proxy does not have yet
proxies/INSTANCE.json      through which proxy it goes out, if it has one of its own: it never goes out without
sessions/INSTANCE.db       the session store of each paired instance
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import attrs

from wa_worker.errors import BackupError
from wa_worker.models import JOURNAL_FILE, RESERVED_FOLDER, InstanceId, instance_id
from wa_worker.whatsapp.egress_memory import FILE as PROXY_FILE

VERSION = 1

ABOUT, JOURNAL = "backup.json", "journal.db"

FILES, PROXIES, SESSIONS = "received-files", "proxies", "sessions"

_MOST_ABOUT = 2**20
"""Bytes of the first entry at the most."""


@attrs.frozen
class About:
    """Says what a backup is. `made_at` in unix seconds.

    moved: the volume was closed before, and nothing has happened on it since. gaps: the instances whose ledger had a
    gap already, and since when (journal/restored.py).
    """

    made_at: float
    worker: str
    moved: bool
    gaps_since: float = 0.0
    gaps: tuple[str, ...] = ()

    def dump(self) -> bytes:
        return json.dumps({"version": VERSION, **attrs.asdict(self)}).encode()

    @classmethod
    def load(cls, raw: bytes) -> About:
        """Raises BackupError."""
        try:
            said: Mapping[str, Any] = json.loads(raw)
            if said["version"] != VERSION:
                raise BackupError("it was made by a newer wa-worker: restore it with that version")
            return cls(
                float(said["made_at"]),
                str(said["worker"]),
                said["moved"] is True,
                float(said["gaps_since"]),
                tuple(map(str, said["gaps"])),
            )
        except (ValueError, TypeError, KeyError) as error:
            raise BackupError(f"its {ABOUT} cannot be read ({type(error).__name__})") from error


def session_name(instance: InstanceId) -> str:
    return f"{SESSIONS}/{instance}.db"


def proxy_name(instance: InstanceId) -> str:
    return f"{PROXIES}/{instance}.json"


def instance_of(name: str) -> InstanceId | None:
    """Returns the instance whose session an entry is, None for another entry."""
    return _named(name, SESSIONS, ".db")


def _named(name: str, folder: str, suffix: str) -> InstanceId | None:
    path = PurePosixPath(name)
    if str(path.parent) != folder or path.suffix != suffix:
        return None
    try:
        return instance_id(path.name.removesuffix(suffix))
    except ValueError:
        return None


def place_of(name: str) -> Path:
    """Returns where an entry belongs below AUTH_DIR. Raises BackupError for what is none of a backup's."""
    if name == JOURNAL:
        return Path(RESERVED_FOLDER, JOURNAL_FILE)
    if re.fullmatch(rf"{FILES}/[0-9]{{1,19}}", name):
        return Path(RESERVED_FOLDER, name)
    if (instance := instance_of(name)) is not None:
        return Path(instance, "session.db")
    if (instance := _named(name, PROXIES, ".json")) is not None:
        return Path(instance, PROXY_FILE)
    raise BackupError("it holds something that is no part of a backup: take the version that made it")
