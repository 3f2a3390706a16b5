"""How far this machine's clock is off, by the `Date` of answers that other checks got."""

from __future__ import annotations

import time
from datetime import UTC
from email.utils import parsedate_to_datetime

from wa_worker.check.result import Result, fail, not_checked, ok, warn

SUSPECT = 30.0
"""Seconds: a clock that somebody keeps is never off by that much."""

WRONG = 300.0
"""Seconds: certificates seem expired, and what WhatsApp signs with a time is refused."""


class Clock:
    """Collects times of others. `offsets`: seconds by which our clock is ahead, by whose clock said so."""

    def __init__(self) -> None:
        self.offsets: dict[str, float] = {}

    def saw(self, who: str, date: str | None, sent: float, age: str | None = None) -> None:
        """An answer with this `Date` header has just come to a request of `sent` (unix seconds).

        The other side wrote it between then and now, in whole seconds. An answer with an `Age` is from a cache.
        """
        if date is None or age not in (None, "0"):
            return
        try:
            moment = parsedate_to_datetime(date)
        except ValueError:
            return
        theirs, now = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp(), time.time()
        self.offsets[who] = min(now - theirs, 0.0) + max(sent - (theirs + 1), 0.0)  # one of them is 0

    def result(self) -> Result:
        """By WhatsApp's clock if it told, for a proxy may run on this very machine."""
        if not self.offsets:
            return not_checked("clock", "nobody told the time")
        who = "WhatsApp" if "WhatsApp" in self.offsets else next(iter(self.offsets))
        offset = self.offsets[who]
        if abs(offset) <= SUSPECT:
            return ok("clock", f"agrees with the clock of {who}")
        found = f"{abs(offset):.0f} s {'ahead of' if offset > 0 else 'behind'} the clock of {who}"
        remedy = "let the host keep its clock by NTP (timedatectl set-ntp true)"
        if who != "WhatsApp":
            remedy += "; or it is the proxy's clock that is wrong"
        return (fail if abs(offset) > WRONG else warn)("clock", found, remedy)
