"""How long an instance stays away after a move: the pauses of the state table, which grow while it does not get well.

Pauses between tries grow in memory. Those of a hold grow with how often in a row it was held, which the journal knows:
the lifecycle reads it at the start and writes it. No I/O here, so that a move and its end are told at once.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from wa_worker.backoff import Backoff, jittered
from wa_worker.journal import Hold
from wa_worker.states import Action, Event, Move

BAN_MARGIN = 5.0
"""Seconds, about, that are waited beyond the end of a ban."""

LONGEST_BAN = 7 * 86_400.0
"""Seconds after which WhatsApp is asked whether a ban still holds: how long it lasts is one number in one answer."""


class Pauses:
    """Keeps the pauses of one instance. Trio thread only."""

    def __init__(self) -> None:
        self.held: Hold | None = None
        """Its last hold, be it over or not."""
        self._delays: dict[Backoff, Iterator[float]] = {}

    def draw(self, event: Event, move: Move, lasts: float | None, *, anew: bool) -> float | None:
        """Returns for how many seconds `move` keeps it away, None if it does not.

        lasts: how long a ban lasts, or what is left of a hold of before the start. anew: count holds from the first.
        """
        if move.pause is None:
            return None
        if move.action is not Action.HOLD:
            return next(self._delays.setdefault(move.pause, move.pause.delays()))
        if lasts is not None:
            return lasts if event is Event.STILL_HELD else min(lasts, LONGEST_BAN) + jittered(BAN_MARGIN)
        times = 0 if anew or self.held is None else self.held.times(event.name, time.time())
        return move.pause.delay(times)

    def reset(self) -> None:
        """Those between tries start anew."""
        self._delays.clear()
