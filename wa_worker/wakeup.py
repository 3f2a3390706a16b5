"""A bell that any thread may ring and Trio tasks wait for. It carries no data: what happened is read from its place."""

from __future__ import annotations

import contextlib

import trio


class Wakeup:
    """Made on the Trio thread. `arm()`, then read the state, then `wait()`: so no ring is lost in between."""

    def __init__(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self._event = trio.Event()
        self._ringing = False
        """Whether a ring is on its way to the Trio thread: another one would tell it nothing more."""

    def ring(self) -> None:
        """From any thread, any number of times; after the run has ended it does nothing."""
        if self._ringing:
            return
        self._ringing = True  # if two threads get here, there are two rings
        with contextlib.suppress(trio.RunFinishedError):
            self._token.run_sync_soon(self._set, idempotent=True)

    def arm(self) -> None:
        """Forgets earlier rings. Trio thread only."""
        if self._event.is_set():
            self._event = trio.Event()

    async def wait(self) -> None:
        """Returns once it rings, at once if it has since `arm()`. A checkpoint in any case."""
        await self._event.wait()

    def _set(self) -> None:
        self._ringing = False  # first: who rings from now on may have changed what is read after this
        self._event.set()
