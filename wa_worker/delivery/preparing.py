"""What takes time before a message can be sent: a file is fetched and uploaded, the receiver sees that somebody writes.

It happens aside, in tasks of the instance, and nothing of it is in the ledger: a message that is being prepared waits
as before, and its chat with it, while the others of the batch go. When it is ready, or has failed, the instance asks
for its messages at once, and the batch that lists it again sends it, or records why not. So it is never uncertain. What
is ready is forgotten when the process ends, and prepared anew.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Protocol
from weakref import WeakValueDictionary

import attrs
import structlog
import trio

from wa_worker.delivery.file_facts import facts, wants_page
from wa_worker.edge.link_fetch import LinkFetcher
from wa_worker.errors import RowError, SendDelayed, SessionNotOpen, WorkerTrouble
from wa_worker.messages import Content, MediaKind, OutgoingMedia, QueuedMessage, UploadedFile, UploadedMedia
from wa_worker.models import InstanceId, Jid

log = structlog.get_logger(__name__)

AT_ONCE = 8
"""Files that are fetched or wait for their upload, in the whole process: as often MEDIA_MAX_MB lies on the volume."""

FILES_EACH = 2
"""Of these, those of one instance: what its links are worth is no matter of the others."""

AT_ONCE_EACH = 8
"""Messages with a file that one instance prepares at once, and as many without; those behind them wait."""

FORGOTTEN = 3600.0
"""Seconds for which what is ready is kept: it may wait for its chat. WhatsApp keeps a file for weeks."""

MOST_KEPT = 500
"""Messages that are ready, in all: each has a thumbnail of some KB."""

TROUBLE_PAUSE = 30.0
"""Seconds before another try after an error that nobody expected."""

TYPING_PATIENCE = 5.0
"""Seconds for the library to say that somebody writes: no message waits for long for that."""


class Preparer(Protocol):
    """Says what a session does here."""

    async def upload(self, kind: MediaKind, file: Path) -> UploadedFile: ...

    def show_typing(self, to: Jid, *, recording: bool = False, over: bool = False) -> None: ...


@attrs.define
class _Place:
    outcome: Content | RowError | SendDelayed | None = None
    """None: it is under way."""
    at: float = attrs.field(factory=time.monotonic)


class Preparing:
    """One per process. `take()` and `drop()` are for any thread, the rest for Trio's.

    folder: where files lie until they are uploaded; it is this class's own, and emptied by `clear()`.
    """

    def __init__(self, links: LinkFetcher, folder: Path) -> None:
        self._links = links
        self._folder = folder
        self._slots = trio.CapacityLimiter(AT_ONCE)
        self._slots_each: WeakValueDictionary[InstanceId, trio.CapacityLimiter] = WeakValueDictionary()
        self._reading = trio.CapacityLimiter(1)  # pixels of one image at a time
        self._places: dict[tuple[InstanceId, QueuedMessage], _Place] = {}
        self._lock = threading.Lock()

    def clear(self) -> None:
        """Removes what an earlier process left. Blocking."""
        for left in self._folder.glob("*") if self._folder.is_dir() else ():
            left.unlink(missing_ok=True)

    def take(self, instance: InstanceId, row: QueuedMessage) -> Content | RowError | SendDelayed | None:
        """Returns the content to send, or why there is none; that is said once. None: it is not ready, or not begun."""
        with self._lock:
            place = self._places.get(at := _at(instance, row))
            if place is None or place.outcome is None:
                return None
            if isinstance(place.outcome, Exception):
                del self._places[at]
            return place.outcome

    def drop(self, instance: InstanceId, row: QueuedMessage) -> None:
        """Forgets a message that was sent, or never will be."""
        with self._lock:
            self._places.pop(_at(instance, row), None)

    def begin(self, instance: InstanceId, row: QueuedMessage) -> bool:
        """Says whether `run()` is to be called for this message now: nobody does so yet, and there is room."""
        at = _at(instance, row)
        with self._lock:
            self._tidy()
            under_way = [
                other
                for (whose, other), place in self._places.items()
                if whose == instance and place.outcome is None and _has_file(other) == _has_file(row)
            ]
            if at in self._places or len(under_way) >= AT_ONCE_EACH:
                return False
            self._places[at] = _Place()
            return True

    async def run(
        self, instance: InstanceId, session: Preparer, row: QueuedMessage, to: Jid, ready: Callable[[], None]
    ) -> None:
        """Prepares a message that `begin()` has said yes to; `ready()` is called at the end. Cancelled: it is as if it
        had not begun."""
        outcome: Content | RowError | SendDelayed | None = None
        try:
            outcome = await self._prepare(instance, session, row, to)
        except SessionNotOpen as error:
            log.info("a message is not prepared: the session is not open", instance=instance, reason=str(error))
        except WorkerTrouble as error:
            log.error("files cannot be sent now, trying again", instance=instance, reason=str(error))
            await trio.sleep(error.pause)
        except (RowError, SendDelayed) as error:
            outcome = error
        except Exception as error:
            log.exception("preparing a message failed in a way nobody expected", instance=instance)
            outcome = SendDelayed(type(error).__name__, pause=TROUBLE_PAUSE)
        finally:
            with self._lock:
                if outcome is None:
                    self._places.pop(_at(instance, row), None)
                else:
                    self._places[_at(instance, row)] = _Place(outcome)
        if outcome is not None:
            ready()

    async def _prepare(self, instance: InstanceId, session: Preparer, row: QueuedMessage, to: Jid) -> Content:
        content = row.content
        if isinstance(content, OutgoingMedia):
            own = self._slots_each.setdefault(instance, trio.CapacityLimiter(FILES_EACH))
            async with own, self._slots:
                content = await self._upload(session, content)
        if row.typing:
            await _type(session, row, row.typing, to)
        return content

    async def _upload(self, session: Preparer, media: OutgoingMedia) -> UploadedMedia:
        path = self._folder / f"{time.time_ns():x}-{id(media):x}"
        try:
            opened = await trio.to_thread.run_sync(self._new_file, path)
        except OSError as error:
            raise WorkerTrouble(f"a file cannot be written: {error.strerror}", pause=TROUBLE_PAUSE) from error
        try:
            with opened as file:
                fetched = await self._links.fetch(media.link, file, page=wants_page(media))
            found = await trio.to_thread.run_sync(facts, path, media, fetched.content_type, limiter=self._reading)
            return UploadedMedia(media, found, await session.upload(media.kind, path))
        finally:
            path.unlink(missing_ok=True)

    def _new_file(self, path: Path) -> BinaryIO:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path.open("xb")

    def _tidy(self) -> None:
        """Forgets what nobody has asked for in a long time: its row is not listed any more."""
        now = time.monotonic()
        done = [(at, place) for at, place in self._places.items() if place.outcome is not None]
        for number, (at, place) in enumerate(reversed(done)):
            if now - place.at > FORGOTTEN or number >= MOST_KEPT:
                del self._places[at]


def _at(instance: InstanceId, row: QueuedMessage) -> tuple[InstanceId, QueuedMessage]:
    """Returns where a message is kept. A proxy may sign its link anew for each listing: it is the same file up to the
    '?', else none would ever be ready."""
    content = row.content
    if isinstance(content, OutgoingMedia):
        row = attrs.evolve(row, content=attrs.evolve(content, link=content.link.partition("?")[0]))
    return instance, row


def _has_file(row: QueuedMessage) -> bool:
    return isinstance(row.content, OutgoingMedia)


async def _type(session: Preparer, row: QueuedMessage, seconds: float, to: Jid) -> None:
    """Shows that somebody writes, for so long. Cancelled: phones soon take it for over."""
    recording = isinstance(row.content, OutgoingMedia) and row.content.voice
    await _show(session, to, recording=recording, over=False)
    await trio.sleep(seconds)
    await _show(session, to, recording=recording, over=True)


async def _show(session: Preparer, to: Jid, *, recording: bool, over: bool) -> None:
    with trio.move_on_after(TYPING_PATIENCE):
        await trio.to_thread.run_sync(
            lambda: session.show_typing(to, recording=recording, over=over),
            limiter=trio.CapacityLimiter(1),
            abandon_on_cancel=True,
        )
