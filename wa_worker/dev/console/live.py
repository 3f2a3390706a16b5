"""Wakes the pages when something has changed, at most twenty times a second. It does not poll.

Owns the count of changes, not what has changed: view.py looks. Waiting is cancelled with the page's request.
"""

from __future__ import annotations

import trio

from wa_worker.dev.proxy import Store

SETTLE_SECONDS = 0.05
"""Seconds that a change waits for others before it is shown: a burst of messages is one update."""


class ChangeCounter:
    """Counts changes; whoever has seen `changes` of them can wait for the next."""

    def __init__(self) -> None:
        self.changes = 0
        self._version = -1
        self._waiting = trio.lowlevel.ParkingLot()

    def note_change(self) -> None:
        self.changes += 1
        self._waiting.unpark_all()

    async def wait(self, seen: int) -> int:
        """Waits until the number of changes is not `seen` any more; returns it."""
        await trio.lowlevel.checkpoint()
        while self.changes == seen:
            await self._waiting.park()
        await trio.sleep(SETTLE_SECONDS)
        return self.changes

    def watch_store(self, store: Store) -> bool:
        """Returns a predicate for `ReferenceProxy.wait_for`: counts each change of a row, and is never true."""
        if store.version != self._version:
            self._version = store.version
            self.note_change()
        return False

    def watch_simulator(self) -> bool:
        """Returns the same for `Simulator.wait_for`."""
        self.note_change()
        return False
