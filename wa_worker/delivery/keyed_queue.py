"""Drains durable rows to the worker-proxy: in order within a key, several keys at once, for ever.

A key is what must stay in order: a chat, or a single row. What waits is on disk; memory holds only the keys at work and
those that rest after a failure. When several keys fail in a row, nothing is wrong with them but with the proxy: then
one at a time tries (circuit_breaker.py), those first that have not failed yet.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog
import trio

from wa_worker.backoff import Backoff
from wa_worker.circuit_breaker import CircuitBreaker
from wa_worker.errors import EdgeError, JournalError
from wa_worker.wakeup import Wakeup

log = structlog.get_logger(__name__)

RETRY = Backoff(first=0.5, ceiling=30.0)
"""Pauses of a key that failed, and between trials in an outage."""

OUTAGE = 4
"""Keys that failed since the last success, after which the proxy itself is taken to be down."""

SCAN = 256
"""Keys looked up at once."""

RESCAN = 30.0
"""Seconds after which rows are looked for though nothing rang: `wa-worker journal` changes them from another process,
and cannot ring in this one."""


class KeyedQueue:
    """Works on the keys that `find` names. One per kind of row.

    find(after, limit): keys with rows, ascending, above `after`. Blocking: it is called on a thread.
    work(key): does one key for a while, then it is the others' turn. Raises EdgeError when the proxy is to be tried
    again later.
    stubborn: the pauses after refusals that are about the row and not about the proxy.
    """

    def __init__(
        self,
        name: str,
        find: Callable[[int, int], list[int]],
        work: Callable[[int], Awaitable[None]],
        *,
        width: int,
        stubborn: Backoff = RETRY,
    ) -> None:
        self._name = name
        self._find = find
        self._work = work
        self._width = width
        self._stubborn = stubborn
        self._busy: set[int] = set()
        self._resting: dict[int, tuple[float, int]] = {}  # until when, how often in a row
        self._cursor = 0
        self.breaker: CircuitBreaker[int] = CircuitBreaker(OUTAGE, RETRY)
        self.wakeup = Wakeup()
        """Ring it, from any thread, when rows were added."""

    @property
    def resting(self) -> int:
        """Says how many keys wait after a failure."""
        return len(self._resting)

    async def run(self) -> None:
        """Runs until cancelled; then rows under way are tried again at the next start."""
        async with trio.open_nursery() as nursery:
            while True:
                self.wakeup.arm()
                try:
                    await self._fill(nursery)
                except JournalError as error:
                    log.error("the journal cannot be read", what=self._name, reason=str(error))
                    await trio.sleep(1)
                    continue
                with trio.move_on_at(self._next_try()):
                    await self.wakeup.wait()

    def succeeded(self, key: int) -> None:
        """The proxy took something of this key: its pauses start anew, though it may not be empty yet. After an outage
        every key may try again."""
        self._resting.pop(key, None)
        self._answered()

    def _next_try(self) -> float:
        latest = trio.current_time() + RESCAN
        if self.breaker.is_open:
            return latest if self._busy else min(latest, self.breaker.next_trial)
        if len(self._busy) >= self._width:
            return latest  # a ring comes first
        return min([latest, *(until for key, (until, _) in self._resting.items() if key not in self._busy)])

    async def _fill(self, nursery: trio.Nursery) -> None:
        """Starts keys in turn, from behind the last one started, until all places are taken or all are seen."""
        wrapped = self._cursor == 0
        unseen = self._resting.keys() | self.breaker.failed
        while self._places() > 0:
            found = await trio.to_thread.run_sync(self._find, self._cursor, SCAN)
            unseen.difference_update(found)
            for key in found:
                if self._places() <= 0:
                    return
                self._cursor = key
                if key not in self._busy and self._may_try(key):
                    self._start(key, nursery)
            if len(found) < SCAN:
                self._cursor = 0
                if wrapped:
                    self._forget(unseen - self._busy)
                    break
                wrapped = True
        if self.breaker.is_open and self._places() > 0:  # all have failed: the one that has waited longest
            self._start(min(self._resting, key=lambda key: self._resting[key][0]), nursery)

    def _start(self, key: int, nursery: trio.Nursery) -> None:
        self.breaker.allows(key)
        self._busy.add(key)
        nursery.start_soon(self._do, key)

    def _forget(self, keys: set[int]) -> None:
        """Another process took their rows (a person discarded them): nothing is left that could try or succeed."""
        for key in keys:
            self._resting.pop(key, None)
        self.breaker.forget(keys)

    def _places(self) -> int:
        if not self.breaker.is_open:
            return self._width - len(self._busy)
        return 0 if self._busy or trio.current_time() < self.breaker.next_trial else 1

    def _may_try(self, key: int) -> bool:
        if self.breaker.is_open:
            return key not in self._resting  # one that fails whatever the others do must not stand in their way
        until, _ = self._resting.get(key, (0.0, 0))
        return until <= trio.current_time()

    async def _do(self, key: int) -> None:
        try:
            await self._work(key)
        except EdgeError as error:
            self._failed(key, error)
        except JournalError as error:
            log.error("the journal cannot be read", what=self._name, reason=str(error))
            self._resting[key] = (trio.current_time() + 1, 0)
        else:
            self.succeeded(key)
        finally:
            self._busy.discard(key)
            self.wakeup.ring()

    def _failed(self, key: int, error: EdgeError) -> None:
        log.warning(
            "not handed to the proxy, will retry", what=self._name, endpoint=error.endpoint, reason=error.detail
        )
        _, times = self._resting.get(key, (0.0, 0))
        pause = error.retry_after or (RETRY if error.is_outage else self._stubborn).delay(times)
        self._resting[key] = (trio.current_time() + pause, times + 1)
        if error.is_outage:
            self.breaker.record_failure(key, error.retry_after)
        else:
            self._answered()

    def _answered(self) -> None:
        """The proxy is there, whatever it said of this key."""
        if self.breaker.is_open:
            self.wakeup.ring()
        self.breaker.record_success()
