"""Wakes whoever waits for the reference proxy: tests, the console, and the answers that POST /poll holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import trio

from .store import Store

T = TypeVar("T")


class Changes:
    """Broadcasts a wakeup: it is rung by every request, every change of the store and every closed connection."""

    def __init__(self, store: Callable[[], Store]) -> None:
        self._store = store
        self._waiting = trio.lowlevel.ParkingLot()

    def ring(self) -> None:
        self._waiting.unpark_all()

    async def wait(self, predicate: Callable[[Store], T]) -> T:
        """Returns the first truthy value of predicate(store), which is asked now and after each change.

        Put it into `fail_after`. Cancelling loses nothing.
        """
        await trio.lowlevel.checkpoint()
        while not (value := predicate(self._store())):
            await self._waiting.park()
        return value
