"""The volume: that it is there, writable, not full and private, and that one worker has it at a time.

whatsmeow drops what it cannot decrypt, and it cannot decrypt while its store cannot be written: so sessions are
closed before the disk is full, not after (`VolumeGuard`).

Two workers on one AUTH_DIR would evict each other's sessions for ever. The lock is the operating system's: it goes
when the process goes, however it ends. In a rolling deploy the new worker waits for the old one.
"""

from __future__ import annotations

import fcntl
import math
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
import trio

from wa_worker.errors import StartupError
from wa_worker.models import RESERVED_FOLDER

log = structlog.get_logger(__name__)

ENOUGH = 16 * 2**20
"""Free bytes below which sessions close. A WAL file of the journal may take 8 MB, one of a session as much."""

PLENTY = 2 * ENOUGH
"""Free bytes above which they open again, so that they do not flap."""

LOOK = 5.0
"""Seconds between looks at the free space (one system call), and for which a trial write counts."""

ASK_AGAIN = 0.5
"""Seconds between tries for the lock. flock() can block, but not be cancelled."""


@asynccontextmanager
async def hold_volume(auth_dir: Path) -> AsyncIterator[Path]:
    """Waits for the lock on `auth_dir` and holds it; yields the folder for the worker's own files.

    Raises StartupError when the folder cannot be made or written. Cancelling stops waiting.
    """
    own = auth_dir / RESERVED_FOLDER
    try:
        own.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(own / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StartupError(
            f"cannot write to AUTH_DIR={auth_dir}: {error.strerror or error}. Mount a volume there that this user "
            f"(uid {os.getuid()}) may write, or set AUTH_DIR."
        ) from error
    try:
        await _lock(lock, auth_dir)
        yield own
    finally:
        os.close(lock)


async def _lock(lock: int, auth_dir: Path) -> None:
    waiting = False
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not waiting:
                waiting = True
                log.warning("another worker holds the volume, waiting for it to end", auth_dir=str(auth_dir))
            await trio.sleep(ASK_AGAIN)
        else:
            if waiting:
                log.info("the volume is free, taking over")
            return


class VolumeGuard:
    """Watches the free space of the volume. One per process; Trio thread only."""

    def __init__(self, auth_dir: Path) -> None:
        self._auth_dir = auth_dir
        self._trial = auth_dir / RESERVED_FOLDER / "trial"
        self._full = trio.Event()
        self._turn = trio.Lock()
        self._tried: tuple[float, str | None] = (-math.inf, None)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            free = await trio.to_thread.run_sync(self._free)
            if free < ENOUGH and not self._full.is_set():
                log.error("the volume is full: sessions close until there is room", free_mb=free // 2**20)
                self._full.set()
            elif free >= PLENTY and self._full.is_set():
                log.info("the volume has room again", free_mb=free // 2**20)
                self._full = trio.Event()
            await trio.sleep(LOOK)

    @property
    def full(self) -> bool:
        """Whether sessions keep closed for want of room."""
        return self._full.is_set()

    async def wait_full(self) -> None:
        """Returns when the volume is too full to take messages."""
        await self._full.wait()

    async def problem(self) -> str | None:
        """None if a session may open, else why the volume cannot take it. All instances share a trial write."""
        if self._full.is_set():
            return "the volume is full"
        async with self._turn:
            at, problem = self._tried
            if trio.current_time() - at >= LOOK:
                problem = await trio.to_thread.run_sync(self._try)
                self._tried = (trio.current_time(), problem)
            return problem

    def _free(self) -> int:
        try:
            figures = os.statvfs(self._auth_dir)
        except OSError:
            return 0
        return figures.f_bavail * figures.f_frsize

    def _try(self) -> str | None:
        try:
            with self._trial.open("wb") as file:
                file.write(bytes(65536))
                file.flush()
                os.fsync(file.fileno())
            self._trial.unlink()
        except OSError as error:
            return f"the volume cannot be written: {error.strerror or error}"
        return None
