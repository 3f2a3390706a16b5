"""Capped, jittered delays: a pure iterator, the only place that computes how long to wait before another try."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator

import attrs


@attrs.frozen
class Backoff:
    """Describes a retry policy. Seconds everywhere.

    The n-th delay is drawn from [half, whole] of `first * factor**n`, never above `ceiling`. Equal jitter: two
    workers drift apart, yet nobody waits less than half of what the policy says.
    """

    first: float
    ceiling: float
    factor: float = 2.0

    def delays(self, rng: random.Random | None = None) -> Iterator[float]:
        """Returns an endless iterator of delays. A fresh one is a reset."""
        draw = rng or random.Random()  # noqa: S311 - jitter, not a secret
        whole = min(self.first, self.ceiling)
        while True:
            yield draw.uniform(whole / 2, whole)
            whole = min(whole * self.factor, self.ceiling)

    def delay(self, attempt: int, rng: random.Random | None = None) -> float:
        """Returns the delay after `attempt` failures in a row, 0 is the first: for callers with the count on disk."""
        whole = min(self.first * self.factor ** min(attempt, 64), self.ceiling)
        return (rng or random.Random()).uniform(whole / 2, whole)  # noqa: S311


@attrs.frozen
class ProportionalBackoff:
    """A retry policy for an outage: pauses are a share of how long it has lasted. Seconds everywhere.

    Its end is then noticed within that share of its length, and within `longest` in any case; what trying costs stays
    bounded. Each pause is shortened at random, by a quarter at most.
    """

    share: float
    shortest: float
    longest: float

    def pause(self, age: float) -> float:
        """The pause before another try of what has failed for `age` seconds."""
        whole = min(max(age * self.share, self.shortest), self.longest)
        return whole * random.uniform(0.75, 1.0)  # noqa: S311 - jitter

    def delays(self, clock: Callable[[], float]) -> Iterator[float]:
        """Returns an endless iterator of the pauses in an outage that begins now. `clock` gives seconds."""
        began = clock()
        return (self.pause(clock() - began) for _ in itertools.repeat(None))


PROXY_OUTAGE = ProportionalBackoff(share=0.02, shortest=0.5, longest=12.0)
"""For whatever the worker-proxy does not take: after a minute a try each second or so, after hours one in twelve."""


def jittered(interval: float, spread: float = 0.2) -> float:
    """`interval` seconds, give or take `spread` of it, so that instances do not march in step."""
    return interval * random.uniform(1 - spread, 1 + spread)  # noqa: S311
