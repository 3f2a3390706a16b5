"""How the program stops: the first signal stops the work, the second the process, and a clock both."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

import attrs
import structlog
import trio

from wa_worker.monitoring.readiness import Readiness

log = structlog.get_logger(__name__)

LAST_RESORT = 9.0
"""Seconds from the signal to `os._exit`: container hosts kill after 10. A send under way, a session's close, the
farewell and the last changes come one after another and take 8.8 at the most. What is handed to peers first takes its
own time besides (DRAIN_MS)."""

HAND_OVER = 5.0
"""Seconds beside DRAIN_MS for the sessions that no peer has taken by then to close."""


PATIENCE = 0.5
"""Seconds for the last things, when the process is to end at once."""


@attrs.define(eq=False)
class Stop:
    """Says whether the worker stops, and has it do so. `scope` is that of the work."""

    scope: trio.CancelScope
    begun: bool = False
    drain: Callable[[], Awaitable[None]] | None = None
    """What comes before the work is cancelled; None: nothing does."""
    drain_seconds: float = 0.0
    """How long that may take."""
    keep: Callable[[], None] = lambda: None
    """Keeps what would be lost, when the process ends at once. Any thread."""

    def hand_over(self, drain: Callable[[], Awaitable[None]], seconds: float) -> None:
        """Has `drain` come before the end of the work. It takes about so many seconds at the most."""
        self.drain, self.drain_seconds = drain, seconds + HAND_OVER

    async def on_signal(self, signals: AsyncIterator[int], readiness: Readiness) -> None:
        """Stops the work at the first signal, and the process at the second. Runs until cancelled."""
        async with trio.open_nursery() as nursery:
            async for number in signals:
                name = signal.Signals(number).name
                if self.begun:
                    self._exit(1, partial(log.warning, "second signal: exiting at once", signal=name))
                log.info("stopping", signal=name)
                last_resort = threading.Timer(LAST_RESORT + self.drain_seconds, self._last_resort)
                last_resort.daemon = True
                last_resort.start()
                self.begun = True
                readiness.stopping()
                nursery.start_soon(self._stop)

    async def _stop(self) -> None:
        try:
            if self.drain is not None:
                await self.drain()
        finally:
            self.scope.cancel()

    def _last_resort(self) -> None:
        words = "the shutdown took too long: exiting; the journal has what is left to do"
        self._exit(0, partial(log.error, words))

    def _exit(self, code: int, say: Callable[[], object]) -> None:
        """Ends the process, with what there is time for: PATIENCE."""
        silent = threading.Timer(PATIENCE, os._exit, (code,))  # should a disk hang, or stderr take no line
        silent.daemon = True
        silent.start()
        self.keep()
        say()
        os._exit(code)
