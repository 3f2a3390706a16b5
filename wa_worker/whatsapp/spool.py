"""Keeps on the worker's own volume what came from WhatsApp while the journal in PostgreSQL could not take it (P3).

WhatsApp believes that we have it, and a worker that does not reach PostgreSQL ends when its lease does: what it had in
hand would be lost. Here it is on the disk before the library goes on. It is committed in the order in which it came, by
this process or by the next one on the volume (spool_commits.py).
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable
from pathlib import Path

import attrs
import structlog

from wa_worker.durable import write_json
from wa_worker.errors import JournalError
from wa_worker.models import InstanceId, Jid, instance_id
from wa_worker.postgres.patience import patient_for

log = structlog.get_logger(__name__)

FOLDER = "received-events"

MOST = 10_000
"""Events. What is above stays in the library's hands, which then takes no more."""

PATIENCE = 3.0
"""Seconds for a commit before the event is kept here. Behind it the library may hold a hundred that are acknowledged,
and a worker that has not heard of PostgreSQL for ten seconds ends."""


@attrs.frozen
class Spooled:
    """An event of the library as it came. jid, lid: whose session it was. code: of what kind. data: itself."""

    instance: InstanceId
    jid: Jid
    lid: Jid | None
    code: int
    data: bytes = attrs.field(repr=False)


class Kept(Exception):
    """The journal does not take an event, which is on the volume now. Do: go on, and hear no more until it does."""


class Spool:
    """Owns the folder. Any thread; every method may wait for the disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.RLock()
        self._waiting: dict[InstanceId, dict[Path, None]] = {}
        self._in_hand: dict[InstanceId, Spooled] = {}
        self._number = 0
        self._told = False
        self.on_kept: Callable[[], None] = lambda: None
        """Is called for each event that was kept, on any thread."""

    def load(self) -> int:
        """Reads what an earlier process has left, and returns how many events that is. Raises OSError.

        What cannot be understood is left there under another name, and what may not be read as it is; both are logged.
        """
        if not self._folder.exists():
            return 0
        with self._lock:
            for path in sorted(self._folder.iterdir()):
                self._number = max(self._number, int(path.stem) if path.stem.isdecimal() else 0)
                if path.suffix == ".tmp":  # of a process that was killed in the middle
                    path.unlink()
                elif path.suffix == ".json":
                    self._load_one(path)
            return self.count()

    def _load_one(self, path: Path) -> None:
        try:
            event = self.read(path)
        except OSError as error:
            log.error("a received event that was kept on the volume cannot be read", file=str(path), reason=str(error))
            return
        if event is not None:
            self._waiting.setdefault(event.instance, {})[path] = None

    def holds(self, instance: InstanceId) -> bool:
        """Says whether something of this instance waits: then what comes now must wait behind it."""
        return instance in self._waiting

    def take(self, event: Spooled, commit: Callable[[], bool]) -> bool:
        """Commits an event, or keeps it: behind what waits, or because the journal does not take it.

        Returns what `commit` does. Raises Kept, or JournalError if neither disk takes it. Takes PATIENCE and the time
        for a new connection at the most, whatever PostgreSQL does, and the time that the disk takes.
        """
        if self.holds(event.instance):
            if self.keep(event):
                raise Kept("what came before it waits for the journal, too")
            raise JournalError("what came before it is kept on the volume, which takes no more")
        self._in_hand[event.instance] = event
        try:
            with patient_for(PATIENCE):
                return commit()
        except JournalError as error:
            if not self.keep(event):
                raise
            raise Kept(str(error)) from error
        finally:
            self._in_hand.pop(event.instance, None)

    def keep_in_hand(self) -> None:
        """Keeps what is being committed: the process is about to end. What was committed all the same is recognised."""
        for event in list(self._in_hand.values()):
            self.keep(event)

    def keep(self, event: Spooled) -> bool:
        """Returns once an event is on the disk. False: it is not, for the disk does not take it or there are MOST."""
        with self._lock:
            if self.count() >= MOST:
                self._tell("too many wait")
                return False
            path = self._folder / f"{self._number + 1:012}.json"
            try:
                self._folder.mkdir(mode=0o700, exist_ok=True)
                write_json(path, _written(event))
            except OSError as error:
                self._tell(error.strerror or str(error))
                return False
            self._number += 1
            if not self.holds(event.instance):
                log.warning("what is received is kept on the volume until PostgreSQL takes it", instance=event.instance)
            self._waiting.setdefault(event.instance, {})[path] = None
            self._told = False
        self.on_kept()
        return True

    def waiting(self) -> dict[InstanceId, list[Path]]:
        """Returns what waits, by instance, each in the order in which it came."""
        with self._lock:
            return {instance: list(paths) for instance, paths in self._waiting.items()}

    def read(self, path: Path) -> Spooled | None:
        """Returns an event that waits. None: it is gone, or cannot be understood, and waits no more. Raises OSError."""
        try:
            return _event(json.loads(path.read_bytes()))
        except FileNotFoundError:
            log.error("a received event that was kept on the volume is gone", file=str(path))
            self._forget(path)
            return None
        except (ValueError, TypeError, KeyError) as error:
            self.set_aside(path, f"it cannot be read: {error!r}")
            return None

    def set_aside(self, path: Path, reason: str) -> None:
        """Has an event wait no more that nothing can be made of: it stays there under another name. Raises OSError."""
        kept = path.with_suffix(".unreadable")
        log.error("a received event that was kept on the volume is set aside", file=str(kept), reason=reason)
        path.replace(kept)
        self._forget(path)

    def drop(self, path: Path) -> None:
        """Takes away what has been committed. Raises OSError: then it waits, and is harmlessly committed again."""
        path.unlink(missing_ok=True)
        self._forget(path)

    def _forget(self, path: Path) -> None:
        with self._lock:
            for instance, paths in list(self._waiting.items()):
                paths.pop(path, None)
                if not paths:
                    del self._waiting[instance]

    def count(self) -> int:
        """Says how many events wait. At once, whatever the disk does."""
        return sum(map(len, list(self._waiting.values())))

    def _tell(self, reason: str) -> None:
        if not self._told:
            log.error("a received event cannot be kept on the volume", folder=str(self._folder), reason=reason)
        self._told = True


def _written(event: Spooled) -> dict[str, object]:
    return {
        "instance": event.instance,
        "jid": event.jid,
        "lid": event.lid,
        "code": event.code,
        "data": base64.b64encode(event.data).decode(),
    }


def _event(said: dict[str, object]) -> Spooled:
    """Raises ValueError, TypeError or KeyError."""
    lid = said["lid"]
    return Spooled(
        instance_id(str(said["instance"])),
        Jid(str(said["jid"])),
        None if lid is None else Jid(str(lid)),
        int(str(said["code"])),
        base64.b64decode(str(said["data"]), validate=True),
    )
