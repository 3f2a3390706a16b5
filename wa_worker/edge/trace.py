"""Which try of which call a request is, for the proxy's own traces: the `traceparent` header of W3C Trace Context.

A trace is a call with all its tries: the same request that has failed and is made again is in the same one, and each
try is a span of its own. Nothing is recorded here; the log names the trace of a call that fails.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict

MOST_FAILING = 1024
"""Calls whose trace is kept while they fail; beyond that the oldest begins a new one."""

_SAMPLED = "01"
"""Tells the proxy's tracer that it may keep it."""

_Call = tuple[str, int]


class Traces:
    """One per client. Trio thread only."""

    def __init__(self) -> None:
        self._failing: OrderedDict[_Call, str] = OrderedDict()

    def trace(self, endpoint: str, content: bytes) -> str:
        """Returns the id of a try's trace: 32 hexadecimal digits. `content`: what is asked or told."""
        known = self._failing.get((endpoint, hash(content))) if self._failing else None
        return known or _id(16)

    def failed(self, endpoint: str, content: bytes, trace: str) -> None:
        """Keeps the trace for the next try."""
        self._failing[endpoint, hash(content)] = trace
        self._failing.move_to_end((endpoint, hash(content)))
        if len(self._failing) > MOST_FAILING:
            self._failing.popitem(last=False)

    def succeeded(self, endpoint: str, content: bytes) -> None:
        """Ends it."""
        if self._failing:
            self._failing.pop((endpoint, hash(content)), None)


def traceparent(trace: str) -> str:
    """Returns the header of a try, with a span of its own."""
    return f"00-{trace}-{_id(8)}-{_SAMPLED}"


def _id(size: int) -> str:
    """Returns a random id of so many bytes. All zeros is none, by the standard."""
    while not any(drawn := secrets.token_bytes(size)):
        pass
    return drawn.hex()
