"""The lock on AUTH_DIR: one worker has a volume at a time.

Two workers on one AUTH_DIR would evict each other's sessions for ever. The lock is the operating system's: it goes
when the process goes, however it ends. In a rolling deploy the new worker waits for the old one.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import structlog
import trio

from wa_worker.errors import StartupError
from wa_worker.models import RESERVED_FOLDER
from wa_worker.ownership.closed import why_closed

log = structlog.get_logger(__name__)

ASK_AGAIN = 0.5
"""Seconds between tries for the lock. flock() can block, but not be cancelled."""


@asynccontextmanager
async def hold_volume(auth_dir: Path) -> AsyncIterator[Path]:
    """Waits for the lock on `auth_dir` and holds it; yields the folder for the worker's own files.

    Raises StartupError when the folder cannot be made or written, or is closed. Cancelling stops waiting.
    """
    own = auth_dir / RESERVED_FOLDER
    try:
        own.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = _open(own)
    except OSError as error:
        raise StartupError(
            f"cannot write to AUTH_DIR={auth_dir}: {error.strerror or error}. Mount a volume there that this user "
            f"(uid {os.getuid()}) may write, or set AUTH_DIR."
        ) from error
    with _closing(lock):
        await _lock(lock, auth_dir)
        _refuse_closed(auth_dir)
        yield own


@contextmanager
def try_volume(auth_dir: Path) -> Iterator[bool]:
    """Holds the lock on a volume in the block if nobody has it, and says whether it does. Raises OSError."""
    with _closing(_open(auth_dir / RESERVED_FOLDER)) as lock:
        yield _take(lock)


def _refuse_closed(auth_dir: Path) -> None:
    if (why := why_closed(auth_dir)) is not None:
        raise StartupError(why)


def _open(own: Path) -> int:
    return os.open(own / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)


@contextmanager
def _closing(lock: int) -> Iterator[int]:
    try:
        yield lock
    finally:
        os.close(lock)


def _take(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


async def _lock(lock: int, auth_dir: Path) -> None:
    if _take(lock):
        return
    log.warning("another worker holds the volume, waiting for it to end", auth_dir=str(auth_dir))
    while not _take(lock):  # noqa: ASYNC110 - nothing tells
        await trio.sleep(ASK_AGAIN)
    log.info("the volume is free, taking over")
