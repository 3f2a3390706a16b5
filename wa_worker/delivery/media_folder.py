"""The files of received messages on the volume: whole ones until the proxy has them, and those that are being written.

A file is written beside its name, is flushed to the disk, and then gets its name: what has a name is whole, and was
found to be what its message says. Owns how much may lie there at once. After a crash `tidied()` deletes what nobody
needs.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import trio

from wa_worker.durable import flush
from wa_worker.errors import EdgeUnavailable
from wa_worker.volume import PLENTY

RESERVE = 2 * PLENTY
"""Free bytes that files leave on the volume: sessions, which cannot go on without, close at a quarter of this."""

NAME = "the volume"

_PART = ".part"


class FileBeingWritten:
    """A file that has no name yet. Blocking."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._part = path.with_name(path.name + _PART)
        self._file = os.fdopen(os.open(self._part, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "wb", buffering=0)

    def write(self, data: bytes) -> None:
        """Appends. Raises OSError."""
        while data:
            data = data[self._file.write(data) :]

    def keep(self) -> None:
        """Flushes it to the disk and gives it its name. Raises OSError."""
        os.fsync(self._file.fileno())
        self._file.close()
        self._part.replace(self._path)
        flush(self._path.parent)

    def discard(self) -> None:
        """Deletes it, if it has got no name."""
        with suppress(OSError):
            self._file.close()
        with suppress(OSError):
            self._part.unlink(missing_ok=True)


class MediaFolder:
    """One per process. Trio thread only, but for what says that it blocks.

    quota: bytes that may lie here at once. threads: what runs blocking calls.
    """

    def __init__(self, folder: Path, quota: int, threads: trio.CapacityLimiter) -> None:
        self._folder = folder
        self._quota = quota
        self._threads = threads
        self._taken: dict[int, int] = {}
        """Bytes by message: of whole files, and what those that are being written may need."""
        self._writing: set[int] = set()
        self._freed = trio.lowlevel.ParkingLot()

    @property
    def size(self) -> int:
        """Says how many bytes the whole files take."""
        return sum(size for seq, size in self._taken.items() if seq not in self._writing)

    def whole(self) -> set[int]:
        """Returns the messages whose whole files are there."""
        return self._taken.keys() - self._writing

    def path(self, seq: int) -> Path:
        """Returns where the file of a message is."""
        return self._folder / str(seq)

    def tidied(self, stored: Collection[int]) -> dict[int, int]:
        """Makes the folder, deletes all that is in it but the files of these messages, and returns their sizes.

        Bytes. Blocking. Raises OSError.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        wanted = {str(seq) for seq in stored}
        taken: dict[int, int] = {}
        for path in self._folder.iterdir():
            if path.name in wanted and path.is_file():
                taken[int(path.name)] = path.stat().st_size
            else:
                path.unlink()
        return taken

    def begin(self, taken: Mapping[int, int]) -> None:
        """Takes account of the files that are there."""
        self._taken = dict(taken)

    @asynccontextmanager
    async def writing(self, seq: int, most: int) -> AsyncIterator[FileBeingWritten]:
        """Yields the file of a message, which will have `most` bytes at the most, once there is room for it.

        Unless `kept()` is called in the block, nothing is left of it. Raises EdgeUnavailable if the volume is nearly
        full or takes no file.
        """
        most = min(most, self._quota)
        while sum(self._taken.values()) + most > self._quota:
            await self._freed.park()
        self._taken[seq] = most
        self._writing.add(seq)
        file = None
        try:
            file = await self._begin(seq)
            yield file
        except OSError as error:
            raise EdgeUnavailable(NAME, f"takes no file: {error.strerror or type(error).__name__}") from error
        finally:
            if seq in self._writing:
                self._writing.discard(seq)
                self._free(seq)
            if file is not None:
                with trio.CancelScope(shield=True):  # a moment
                    await trio.to_thread.run_sync(file.discard, limiter=self._threads)

    async def kept(self, seq: int, file: FileBeingWritten, size: int) -> None:
        """Gives a file its name. Raises OSError."""
        await trio.to_thread.run_sync(file.keep, limiter=self._threads)
        self._writing.discard(seq)
        self._taken[seq] = size
        self._freed.unpark_all()

    async def size_of(self, seq: int) -> int | None:
        """Returns the size of a whole file, None if it is not there."""
        try:
            return (await trio.to_thread.run_sync(self.path(seq).stat, limiter=self._threads)).st_size
        except OSError:
            return None

    async def drop(self, seq: int) -> None:
        """Deletes the file of a message, if there is one."""
        with trio.CancelScope(shield=True):  # a moment
            await trio.to_thread.run_sync(self._delete, seq, limiter=self._threads)
        self._free(seq)

    async def _begin(self, seq: int) -> FileBeingWritten:
        needed = RESERVE + sum(self._taken[each] for each in self._writing)
        return await trio.to_thread.run_sync(self._open, seq, needed, limiter=self._threads)

    def _open(self, seq: int, needed: int) -> FileBeingWritten:
        figures = os.statvfs(self._folder)
        if figures.f_bavail * figures.f_frsize < needed:
            raise EdgeUnavailable(NAME, "is nearly full: files wait")
        return FileBeingWritten(self.path(seq))

    def _delete(self, seq: int) -> None:
        with suppress(OSError):
            self.path(seq).unlink(missing_ok=True)

    def _free(self, seq: int) -> None:
        if self._taken.pop(seq, None) is not None:
            self._freed.unpark_all()
