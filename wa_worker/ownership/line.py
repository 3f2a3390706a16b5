"""The keeper's one connection to the state database: each call on a thread, and what the server says between them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import trio

from wa_worker.errors import StateError
from wa_worker.ownership.claims import Claims

T = TypeVar("T")

ABANDONED = 3
"""Threads of calls that nobody waits for any more. Each ends once its connection does, or its connecting: 5 s."""


class Line:
    """Makes one call at a time. Trio thread only."""

    def __init__(self, claims: Claims) -> None:
        self.claims = claims
        self._threads = trio.CapacityLimiter(ABANDONED)
        self._unread = False

    @property
    def told(self) -> bool:
        """Says whether the server has said since the last look that there is something to look at."""
        return self._unread or self.claims.told

    def tell_of_rows(self, came: Callable[[], None]) -> None:
        """Calls `came` if the server has said since the last time that others have written rows of ours."""
        told, self.claims.rows_told = self.claims.rows_told, False
        if told:
            came()

    async def ask(self, seconds: float, call: Callable[[Claims], T]) -> T:
        """Runs `call`. Raises StateError, also when it takes longer.

        The thread of a call that takes too long ends by itself, for its connection is cut.
        """
        claims = self.claims
        self._unread = False
        with trio.move_on_after(seconds):
            return await trio.to_thread.run_sync(call, claims, limiter=self._threads, abandon_on_cancel=True)
        claims.close()
        self.claims = claims.again()
        raise StateError(f"no answer for {seconds:g} s")

    async def until_told(self) -> None:
        """Returns when the server says something, which the next call reads; never before that. Not during a call."""
        descriptor = self.claims.descriptor()
        if descriptor is None or self._unread:
            await trio.sleep_forever()
        else:
            await trio.lowlevel.wait_readable(descriptor)
            self._unread = True

    def begin_anew(self) -> None:
        """Has the next call be another worker's."""
        self.claims.close()
        self.claims = self.claims.anew()

    async def leave(self, seconds: float) -> None:
        """Takes the worker's row away, on a connection of its own, cancelled or not. Raises StateError."""
        claims = self.claims.again()
        with trio.move_on_after(seconds, shield=True):
            await trio.to_thread.run_sync(claims.leave, limiter=self._threads, abandon_on_cancel=True)
        claims.close()
