"""The room on the volume: whether it can be written, and whether it is full.

whatsmeow drops what it cannot decrypt, and it cannot decrypt while its store cannot be written: so sessions are
closed before the disk is full, not after (`VolumeGuard`). Who may use the volume is decided in ownership/.
"""

from __future__ import annotations

import math
import os
from pathlib import Path

import structlog
import trio

from wa_worker.models import RESERVED_FOLDER

log = structlog.get_logger(__name__)

ENOUGH = 16 * 2**20
"""Free bytes below which sessions close. A WAL file of the journal may take 8 MB, one of a session as much."""

PLENTY = 2 * ENOUGH
"""Free bytes above which they open again, so that they do not flap."""

LOOK = 5.0
"""Seconds between looks at the free space (one system call), and for which a trial write counts."""


class VolumeGuard:
    """Watches the free space of the volume. One per process; Trio thread only."""

    def __init__(self, auth_dir: Path) -> None:
        self._auth_dir = auth_dir
        self._trial = auth_dir / RESERVED_FOLDER / "trial"
        self._full = trio.Event()
        self._turn = trio.Lock()
        self._tried: tuple[float, str | None] = (-math.inf, None)

    async def run(self) -> None:
        """Runs until cancelled."""
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
        """Says whether sessions keep closed for want of room."""
        return self._full.is_set()

    async def wait_full(self) -> None:
        """Returns when the volume is too full to take messages."""
        await self._full.wait()

    async def problem(self) -> str | None:
        """Returns None if a session may open, else why the volume cannot take it. All instances share a trial write."""
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
