"""Listens to whatsmeow's log for trouble with its store, and cuts the connection to WhatsApp at the first word of it.

What whatsmeow cannot decrypt for want of its store it asks for again, five times within 3 s, acknowledges each time,
and then gives the message up. While nothing is connected, WhatsApp keeps what comes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from wa_worker.states import Event, Report
from wa_worker.whatsapp.store import SessionStore, StoreTrouble

CUT = 1.0
"""Seconds that a line of the log waits for the cut. What follows it in the library is the first request for the message
once more. The cut itself takes microseconds, then the library waits for WhatsApp to close, too."""

EVENTS = {
    StoreTrouble.FULL: Event.VOLUME_FAILED,
    StoreTrouble.AWAY: Event.STORE_FAILED,
    StoreTrouble.LOST: Event.STORE_LOST,
}


class StoreWatch:
    """Watches the store of one session. `cut()` takes the connection down; it may block."""

    def __init__(self, store: SessionStore, cut: Callable[[], None], report: Callable[[Report], None]) -> None:
        self._store = store
        self._cut = cut
        self._report = report
        self._cutting = threading.Lock()
        self._is_cut = False

    def on_log(self, message: str) -> None:
        """Takes a line of the log, on whatever thread of the library it comes. That may hold a lock which the cut
        needs, so another thread cuts."""
        trouble = self._store.trouble(message)
        if trouble is None:
            return
        with self._cutting:
            first, self._is_cut = not self._is_cut, True
        if first:
            cutting = threading.Thread(target=self._cut, name="cut", daemon=True)
            try:
                cutting.start()
            except RuntimeError:  # no thread to be had
                pass
            else:
                cutting.join(CUT)
        self._report(Report(EVENTS[trouble], trouble.value))
