"""How long this thread waits for PostgreSQL: for ever by itself, or until a moment that it has set.

A callback of the library sets one, since what it brings can be kept elsewhere: behind it the library holds what can be
delivered only once. So does a look at a session store, for which others wait. Every wait on the way asks here.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_of_thread = threading.local()


@contextmanager
def patient_for(seconds: float) -> Iterator[None]:
    """Has what this thread does in the block wait no longer than `seconds`, nor than a block around it allows."""
    before = _ends()
    _of_thread.ends = min(before, time.monotonic() + seconds)
    try:
        yield
    finally:
        _of_thread.ends = before


def seconds_left() -> float | None:
    """Says for how long this thread may still wait, 0.0 if no longer, None if for ever."""
    ends = _ends()
    return None if ends == math.inf else max(ends - time.monotonic(), 0.0)


def _ends() -> float:
    return getattr(_of_thread, "ends", math.inf)
