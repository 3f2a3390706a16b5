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
from contextlib import suppress
from pathlib import Path

import attrs
import structlog

from wa_worker.durable import write_json
from wa_worker.errors import JournalError
from wa_worker.models import InstanceId, Jid, instance_id

log = structlog.get_logger(__name__)

FOLDER = "received-events"

MOST = 10_000
"""Events. What is above stays in the library's hands, which then takes no more."""


@attrs.frozen
class Spooled:
    """An event of the library as it came. jid, lid: whose session it was. code: of what kind. data: itself."""

    instance: InstanceId
    jid: Jid
    lid: Jid | None
    code: int
    data: bytes = attrs.field(repr=False)


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
        """Is called when something waits that did not, on any thread."""

    def load(self) -> int:
        """Reads what an earlier process has left, and returns how many events that is. Raises OSError.

        What cannot be read is left where it is, under another name, and logged.
        """
        self._folder.mkdir(mode=0o700, exist_ok=True)
        with self._lock:
            for path in sorted(self._folder.glob("*.json")):
                self._number = max(self._number, int(path.stem) if path.stem.isdecimal() else 0)
                if (event := self.read(path)) is not None:
                    self._waiting.setdefault(event.instance, {})[path] = None
            return self._count()

    def holds(self, instance: InstanceId) -> bool:
        """Says whether something of this instance waits: then what comes now must wait behind it."""
        return instance in self._waiting

    def take(self, event: Spooled, commit: Callable[[], bool]) -> bool:
        """Commits an event, or keeps it: behind what waits, or because the journal does not take it.

        Returns what `commit` does, False for what is kept. Raises JournalError if neither disk takes it.
        """
        if self.holds(event.instance) and self.keep(event):
            return False
        self._in_hand[event.instance] = event
        try:
            return commit()
        except JournalError:
            if not self.keep(event):
                raise
            return False
        finally:
            self._in_hand.pop(event.instance, None)

    def keep_in_hand(self) -> None:
        """Keeps what is being committed: the process is about to end. What was committed all the same is recognised."""
        for event in list(self._in_hand.values()):
            self.keep(event)

    def keep(self, event: Spooled) -> bool:
        """Returns once an event is on the disk. False: it is not, for the disk does not take it or there are MOST."""
        with self._lock:
            if self._count() >= MOST:
                self._tell("too many wait")
                return False
            self._number += 1
            path = self._folder / f"{self._number:012}.json"
            try:
                write_json(path, _written(event))
            except OSError as error:
                with suppress(OSError):
                    path.unlink(missing_ok=True)
                self._tell(error.strerror or str(error))
                return False
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
        """Returns an event that waits, None if it cannot be read: then it waits no more. Raises OSError."""
        text = path.read_text("utf-8")
        try:
            return _event(json.loads(text))
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

    def _count(self) -> int:
        return sum(map(len, self._waiting.values()))

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
