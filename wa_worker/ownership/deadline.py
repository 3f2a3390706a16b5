"""When a worker that hears nothing more of its lease has let go of everything: seconds of a clock that nobody sets.

Pure, but for the reading of that clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable

Deadline = Callable[[], float]
"""Returns the deadline as it is now, in seconds of `boottime()`: it moves with each renewal. Any thread may call it."""

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def boottime() -> float:
    """Returns the seconds since the machine was started, those included in which it slept (CLOCK_BOOTTIME, Linux)."""
    return time.clock_gettime(_CLOCK)


def left(deadline: float, now: float) -> float:
    """Returns the seconds until the deadline, 0.0 when it has passed. What is no number has passed."""
    return deadline - now if now < deadline else 0.0
