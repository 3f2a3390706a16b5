"""Where WhatsApp takes connections and no session comes of them, one instance at a time tries.

It answers 503, it says nothing, a firewall lets no WebSocket through: the probe (reach.py) cannot see that, and two
hundred instances that all try leak a handle and some memory each time. The first that gets through sets all free.
Pure but for the clock.
"""

from __future__ import annotations

from collections.abc import Callable

import trio

from wa_worker.backoff import Backoff
from wa_worker.models import InstanceId

CROWD = 2
"""Instances that failed, with none connected, after which it is not their fault. One with a trouble of its own holds
up nobody."""

PAUSES = Backoff(first=3.0, ceiling=60.0, factor=1.3)
"""Between scouts: about a quarter of how long it has lasted. The ceiling bounds what is leaked in hours of it."""


class Scouts:
    """One per process, Trio thread only. `anyone_connected()`: whether any session is CONNECTED now."""

    def __init__(self, anyone_connected: Callable[[], bool]) -> None:
        self._anyone_connected = anyone_connected
        self._failed: set[InstanceId] = set()
        self._scout: InstanceId | None = None
        self._next = 0.0
        self._pauses = PAUSES.delays()

    def barred(self, instance: InstanceId) -> str | None:
        """None if this instance may open its session now, else why not. It then says `failed` or `got_through`."""
        if len(self._failed) < CROWD or instance == self._scout or self._anyone_connected():
            return None
        if trio.current_time() < self._next:
            return "no session gets through: one at a time finds out"
        self._scout, self._next = instance, trio.current_time() + next(self._pauses)
        return None

    def failed(self, instance: InstanceId) -> None:
        """Its session came to nothing."""
        self._failed.add(instance)
        if self._scout == instance:
            self._scout = None

    def got_through(self) -> None:
        """A session is CONNECTED: the way is clear."""
        self._failed.clear()
        self._scout, self._next = None, 0.0
        self._pauses = PAUSES.delays()
