"""How long a message waits for its file: its chat with it, since order is kept, and no other chat.

The time runs from when the message came, by the clock that was valid then, and from when it was first seen here, by the
steady one: whichever is over first. Then the message goes without its file; and at once if it is known that the file
does not come soon.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import trio

from wa_worker.journal import FileState, PendingInbound

PATIENCE = 60.0
"""Seconds. What a phone sends is downloaded in a few; a minute is what a customer may be kept waiting for an answer."""


class FileWaits:
    """The messages whose files are not there yet. One per process; Trio thread only.

    patience: seconds, see PATIENCE. is_late(seq): says of a message that its file does not come soon.
    """

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience
        self.is_late: Callable[[int], bool] = lambda seq: False
        self._until: dict[int, float] = {}
        """By message; those that were posted are dropped."""

    def ready(self, rows: list[PendingInbound]) -> tuple[list[PendingInbound], float | None]:
        """Returns the rows that go before the first which is to wait, and until when that waits
        (`trio.current_time()`), None if none does."""
        for place, row in enumerate(rows):
            until = self._ends(row)
            if until > trio.current_time():
                return rows[:place], until
        return rows, None

    def settled(self, row: PendingInbound) -> None:
        """Forgets a message that waits no more."""
        self._until.pop(row.seq, None)

    def _ends(self, row: PendingInbound) -> float:
        if row.file is not FileState.OPEN or self.is_late(row.seq):
            return 0.0
        if row.seq not in self._until:
            left = self._patience - (time.time() - row.received_at)
            self._until[row.seq] = trio.current_time() + min(max(left, 0.0), self._patience)
        return self._until[row.seq]
