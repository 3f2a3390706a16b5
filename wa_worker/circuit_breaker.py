"""A circuit breaker: when all who try fail, one at a time tries, until one succeeds.

Used by the sessions (WhatsApp takes connections and lets no session through) and by the queues to the worker-proxy
(every row fails). Closed: everyone may try. Open: one trial at a time, with growing pauses. The first success closes
it.
Pure but for the clock.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterator
from typing import Generic, TypeVar

import trio

from wa_worker.backoff import ProportionalBackoff

K = TypeVar("K", bound=Hashable)


class CircuitBreaker(Generic[K]):
    """Decides who may try. Trio thread only.

    threshold: how many different keys must have failed since the last success for it to open. One key with a trouble
    of its own holds up nobody.
    pauses: the policy between trials while it is open.
    works: whether something works right now, whatever failed; then it counts as closed.
    """

    def __init__(
        self, threshold: int, pauses: ProportionalBackoff, *, works: Callable[[], bool] = lambda: False
    ) -> None:
        self._threshold = threshold
        self._policy = pauses
        self._works = works
        self._failed: set[K] = set()
        self._trial: K | None = None
        self._next_trial = 0.0
        self._pauses: Iterator[float] | None = None
        """Those of the outage that lasts since the first failure behind the last success."""

    @property
    def is_open(self) -> bool:
        """Says whether only trials may go on."""
        return len(self._failed) >= self._threshold and not self._works()

    @property
    def next_trial(self) -> float:
        """When the next trial may begin (`trio.current_time()`), while it is open."""
        return self._next_trial

    @property
    def failed(self) -> Collection[K]:
        """Returns the keys that have failed since the last success."""
        return self._failed

    def allows(self, key: K) -> bool:
        """Says whether `key` may try now. While the breaker is open, a yes makes this key the trial: it then reports
        a failure or a success; if it never does, another takes its place after the pause."""
        if not self.is_open or key == self._trial:
            return True
        if trio.current_time() < self._next_trial:
            return False
        self._trial, self._next_trial = key, trio.current_time() + next(self._outage())
        return True

    def record_failure(self, key: K, retry_after: float | None = None) -> None:
        """`key` has failed. `retry_after`: seconds that the far side asked for."""
        self._failed.add(key)
        self._outage()
        if self._trial == key:
            self._trial = None
        if retry_after is not None and self.is_open:
            self._next_trial = max(self._next_trial, trio.current_time() + retry_after)

    def record_success(self) -> None:
        """Something has worked: everyone may try again."""
        self._failed.clear()
        self._trial, self._next_trial, self._pauses = None, 0.0, None

    def forget(self, keys: Collection[K]) -> None:
        """These keys have nothing left that could fail or succeed."""
        self._failed.difference_update(keys)
        if self._trial in keys:
            self._trial = None

    def _outage(self) -> Iterator[float]:
        """Returns the pauses of the outage that lasts, or that begins now."""
        self._pauses = self._pauses or self._policy.delays(trio.current_time)
        return self._pauses
