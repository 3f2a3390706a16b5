"""Commits what several tasks finished in one transaction.

One fsync then serves all who finished in the meantime. Owns nothing on disk: the caller's `commit` writes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import structlog
import trio

from wa_worker.errors import JournalError

log = structlog.get_logger(__name__)

T = TypeVar("T")


class GroupCommit(Generic[T]):
    """Commits what several tasks finished in one transaction: while one is under way, the next collects."""

    def __init__(self, commit: Callable[[list[T]], None]) -> None:
        self._commit = commit
        self._waiting: list[T] = []
        self._done = trio.Event()
        self._turn = trio.Lock()  # who commits for the others changes: nobody does it for as long as they have work

    async def add(self, *items: T) -> None:
        """Returns when `items` are on disk. Not cancellable for the moment that takes; while the journal cannot
        commit it keeps trying, and then a cancel ends it."""
        self._waiting.extend(items)
        done = self._done
        with trio.CancelScope(shield=True):
            await self._turn.acquire()
        try:
            if not done.is_set():
                await self._persist()
        finally:
            self._turn.release()

    async def _persist(self) -> None:
        items, self._waiting = self._waiting, []
        done, self._done = self._done, trio.Event()
        while True:
            try:
                with trio.CancelScope(shield=True):
                    await trio.to_thread.run_sync(self._commit, items)
            except JournalError as error:
                log.error("the journal cannot commit, trying again", reason=str(error))
                try:
                    await trio.sleep(0.5)
                except trio.Cancelled:
                    self._waiting[:0] = items  # the next in turn tries once more
                    raise
            else:
                done.set()
                return
