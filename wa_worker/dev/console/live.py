"""Wakes the pages when something has changed, and no more often than an eye can follow. No polling.

Owns the count of changes, not what has changed: view.py looks. Waiting is cancelled with the page's request.
"""

from __future__ import annotations

import trio

from wa_worker.dev.proxy import Store

CALM = 0.05
"""Seconds that a change waits for others before it is shown: a burst of messages is one update."""


class Bell:
    """Counts changes; whoever has seen `changes` of them can wait for the next."""

    def __init__(self) -> None:
        self.changes = 0
        self._version = -1
        self._waiting = trio.lowlevel.ParkingLot()

    def ring(self) -> None:
        self.changes += 1
        self._waiting.unpark_all()

    async def wait(self, seen: int) -> int:
        """The number of changes, once it is not `seen` any more."""
        await trio.lowlevel.checkpoint()
        while self.changes == seen:
            await self._waiting.park()
        await trio.sleep(CALM)
        return self.changes

    def heed_store(self, store: Store) -> bool:
        """A predicate for `ReferenceProxy.wait_for`: rings for each change of a row, and is never true."""
        if store.version != self._version:
            self._version = store.version
            self.ring()
        return False

    def heed_simulator(self) -> bool:
        """The same for `Simulator.wait_for`."""
        self.ring()
        return False
