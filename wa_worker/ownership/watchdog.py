"""The thread that ends a worker whose lease has run out, whatever its other threads do or wait for.

Trio's loop may stand still, and the whole process may have been stopped for a minute: a thread of its own still looks
at the clock, first thing when it runs again. It cuts the sockets, says why in one line, and exits.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable

import structlog

from wa_worker.ownership.deadline import Deadline, boottime, left

log = structlog.get_logger(__name__)

LOOK_AGAIN = 1.0
"""Seconds between two looks at the clock at the most: a thread sleeps by a clock that stands while the machine does, so
this is how late the end may be after that. After a stop of the process alone it comes at once."""

PATIENCE = 2.0
"""Seconds for the cut, for what is still to be kept on the volume, and for the line of the log: should one of them
hang, the process ends all the same, before others may take over (shared.LAST_MOMENT)."""

EXIT = 1
"""Exit code of a worker that was ended."""


class Watchdog:
    """Watches one deadline. One per process, and one start.

    cut: cuts every connection. keep: keeps what would be lost. Both are called at the end, from this thread.
    """

    def __init__(
        self, deadline: Deadline, cut: Callable[[], object], keep: Callable[[], object] = lambda: None
    ) -> None:
        self._deadline = deadline
        self._cut = cut
        self._keep = keep
        self._stood_down = threading.Event()

    def start(self) -> None:
        """Begins to watch. Raises RuntimeError if the process can have no thread more: it must not run then."""
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def stand_down(self) -> None:
        """Has it end without a word: every session has been closed in order, and the deadline is nobody's any more."""
        self._stood_down.set()

    def _watch(self) -> None:
        try:
            while seconds := left(self._deadline(), boottime()):
                if self._stood_down.wait(min(seconds, LOOK_AGAIN)):
                    return
            why = "the lease was not renewed in time"
        except Exception as error:  # noqa: BLE001 - who cannot know the deadline must not go on
            why = f"the deadline of the lease cannot be read: {error!r}"
        if not self._stood_down.is_set():
            self._end(why)

    def _end(self, why: str) -> None:
        silent = threading.Timer(PATIENCE, os._exit, (EXIT,))
        silent.daemon = True
        with contextlib.suppress(RuntimeError):  # no thread to be had
            silent.start()
        try:
            self._cut()
        except Exception as error:  # noqa: BLE001 - the exit cuts what is left
            why += f"; not everything was cut before: {error!r}"
        with contextlib.suppress(Exception):  # it says so itself
            self._keep()
        log.critical("exiting at once: its instances may be another worker's by now", reason=why)
        os._exit(EXIT)
