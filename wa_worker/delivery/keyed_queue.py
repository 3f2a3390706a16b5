"""Drains durable rows to the worker-proxy: in order within a key, several keys at once, for ever.

A key is what must stay in order: a chat, or a single row. What waits is on disk; memory holds only the keys at work and
those that rest after a failure.

Whose fault is a failure? While other keys succeed it is the row's: its key rests, longer each time, and holds up none.
While none succeeds it may be the proxy's: when several keys fail so, one at a time tries (circuit_breaker.py), and
the first success sets them all free. A key that has not failed yet waits for none that has.

A key may also have nothing to do before a moment, by its own word: see waiting_keys.py.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import attrs
import structlog
import trio

from wa_worker.backoff import PROXY_OUTAGE, Backoff
from wa_worker.circuit_breaker import CircuitBreaker
from wa_worker.delivery.newcomers import Newcomers
from wa_worker.delivery.waiting_keys import NotBefore, WaitingKeys
from wa_worker.edge.answers import RATE_LIMITED
from wa_worker.errors import EdgeError, JournalError
from wa_worker.wakeup import Wakeup

log = structlog.get_logger(__name__)

RETRY = Backoff(first=0.5, ceiling=30.0)
"""Pauses of a key that fails while others succeed."""

OUTAGE = 4
"""Keys that failed since the last success, after which the proxy itself is taken to be down."""

SCAN = 256
"""Keys looked up at once."""

RESCAN = 30.0
"""Seconds after which rows are looked for though nothing rang: `wa-worker journal` changes them from another process,
and cannot ring in this one."""

JOURNAL_PAUSE = 1.0
"""Seconds of rest for a key whose rows cannot be read."""


@attrs.frozen
class _Rest:
    """A key that failed. `since`: its first failure; `until`: when it may try again; `alone`: how often in a row it has
    failed while others succeeded; `bidden`: until when the proxy's rate limit keeps it back."""

    since: float
    until: float
    alone: int = 0
    bidden: float = 0.0


class NothingAsked(Exception):
    """Raised by the work on a key of which nothing is left, and for which the proxy was asked nothing: that says
    nothing of it. A key that has its turn again raises NotBefore."""


class KeyedQueue:
    """Works on the keys that `find` names. One per kind of row.

    find(after, limit): keys with rows, ascending, above `after`. Blocking: it is called on a thread.
    work(key): does one key for a while, then it is the others' turn. Raises EdgeError when the proxy is to be tried
    again later.
    width(): how many keys are at work at once.
    stubborn(error): the pauses of a key that fails while others succeed.
    recovery: waits until something else has seen the proxy come back from an outage.
    apart(): seconds between two looks for rows, so that those which follow each other are found together.
    """

    failure = "not handed to the proxy, will retry"
    """What the log says of a failure."""

    rescan = RESCAN

    def __init__(
        self,
        name: str,
        find: Callable[[int, int], list[int]],
        work: Callable[[int], Awaitable[None]],
        *,
        width: Callable[[], int],
        stubborn: Callable[[EdgeError], Backoff] = lambda _error: RETRY,
        recovery: Callable[[], Awaitable[None]] = trio.sleep_forever,
        apart: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._name = name
        self._find = find
        self._work = work
        self._width = width
        self._stubborn = stubborn
        self._recovery = recovery
        self._apart = apart
        self._busy: set[int] = set()
        self._resting: dict[int, _Rest] = {}
        self._waiting = WaitingKeys()
        self._unwitnessed: set[int] = set()
        """Keys that have failed since the last success: it may be the proxy's fault, not theirs."""
        self._last_success = 0.0
        self._said: EdgeError | None = None
        """The failure that the log has last been told of."""
        self._cursor = 0
        self._newcomers = Newcomers()
        self.breaker: CircuitBreaker[int] = CircuitBreaker(OUTAGE, PROXY_OUTAGE)
        self.wakeup = Wakeup()
        """Ring it, from any thread, when rows were added."""

    @property
    def resting(self) -> int:
        """Says how many keys wait after a failure."""
        return len(self._resting)

    def is_alone(self, key: int) -> bool:
        """Says whether a key has failed while others succeeded, or is the one that tries in an outage."""
        rest = self._resting.get(key)
        return rest is not None and (rest.alone > 0 or self.breaker.is_open)

    async def run(self) -> None:
        """Runs until cancelled; then rows under way are tried again at the next start."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch_recovery)
            while True:
                self.wakeup.arm()
                looked = trio.current_time()
                try:
                    await self._fill(nursery)
                except JournalError as error:
                    log.error("the journal cannot be read", what=self._name, reason=str(error))
                    await trio.sleep(JOURNAL_PAUSE)
                    continue
                with trio.move_on_at(self._next_try()):
                    await self.wakeup.wait()
                await trio.sleep_until(looked + self._apart())

    def release(self, key: int) -> None:
        """Lets a key go on that has raised NotBefore, or is about to: it has something to do now."""
        self._waiting.release(key, busy=key in self._busy)
        self.wakeup.ring()

    def succeeded(self, key: int) -> None:
        """Notes that the proxy took something of this key: its pauses start anew, though it may not be empty yet. Those
        that failed since the last success may try again at once, for it was not their fault."""
        self._resting.pop(key, None)
        self._free(self._unwitnessed)
        self._unwitnessed.clear()
        self._last_success = trio.current_time()

    async def _watch_recovery(self) -> None:
        """Lets every key that rests try at the end of an outage, which may have failed any of them."""
        while True:
            await self._recovery()
            self._free(set(self._resting))

    def _free(self, keys: set[int]) -> None:
        """Lets those of these keys try that rest: the proxy works."""
        for key in keys & self._resting.keys():
            rest = self._resting[key]
            self._resting[key] = attrs.evolve(rest, until=rest.bidden)
        self.breaker.record_success()
        self._newcomers.reset()
        if keys:
            self.wakeup.ring()

    def _next_try(self) -> float:
        now = trio.current_time()
        times = [now + self.rescan]
        if self.breaker.is_open:
            if not self._busy and any(map(self._is_free, self._resting)):
                times.append(self.breaker.next_trial)
            if self._newcomers.waits(now):
                times.append(self._newcomers.until)
        elif len(self._busy) < self._width():  # else a ring comes first
            times += [rest.until for key, rest in self._resting.items() if self._is_free(key)]
        if len(self._busy) < self._width():
            times += self._waiting.ends(now)
        return max(min(times), now)

    async def _fill(self, nursery: trio.Nursery) -> None:
        """Starts keys in turn, from behind the last one started, until all places are taken or all are seen."""
        wrapped = self._cursor == 0
        unseen = self._resting.keys() | self.breaker.failed | set(self._waiting.keys)
        while len(self._busy) < self._width():
            found = await trio.to_thread.run_sync(self._find, self._cursor, SCAN)
            unseen.difference_update(found)
            for key in found:
                if len(self._busy) >= self._width():
                    return
                self._cursor = key
                if self._is_free(key) and self._may_try(key):
                    self._start(key, nursery)
            if len(found) < SCAN:
                self._cursor = 0
                if wrapped:
                    self._forget(unseen - self._busy)
                    break
                wrapped = True
        self._start_trial(nursery)

    def _start_trial(self, nursery: trio.Nursery) -> None:
        """In an outage, the key that has waited longest tries, if it is time and no other does."""
        if not self.breaker.is_open or self._busy & self._resting.keys():
            return
        key = min(filter(self._is_free, self._resting), key=lambda key: self._resting[key].until, default=None)
        if key is not None and self.breaker.allows(key):
            self._start(key, nursery)

    def _start(self, key: int, nursery: trio.Nursery) -> None:
        self._busy.add(key)
        self._waiting.started(key)
        nursery.start_soon(self._do, key)

    def _forget(self, keys: set[int]) -> None:
        """Another process took their rows (a person discarded them): nothing is left that could try or succeed."""
        for key in keys:
            self._resting.pop(key, None)
        self._waiting.forget(keys)
        self._unwitnessed -= keys
        self.breaker.forget(keys)

    def _is_free(self, key: int) -> bool:
        """Says whether a key is neither at work nor has nothing to do."""
        return key not in self._busy and not self._waiting.waits(key)

    def _may_try(self, key: int) -> bool:
        rest = self._resting.get(key)
        now = trio.current_time()
        if not self.breaker.is_open:
            return rest is None or rest.until <= now
        # in an outage those that have failed are tried by _start_trial(), and newcomers one at a time
        return rest is None and not self._newcomers.waits(now) and not self._busy - self._resting.keys()

    async def _do(self, key: int) -> None:
        try:
            await self._work(key)
        except EdgeError as error:
            self._failed(key, error)
        except NotBefore as word:
            self._waiting.wait(key, word.moment)
        except JournalError as error:
            log.error("the journal cannot be read", what=self._name, reason=str(error))
            self._rest(key, JOURNAL_PAUSE)
        except NothingAsked:
            self._forget({key})
        else:
            self.succeeded(key)
        finally:
            self._busy.discard(key)
            self._waiting.finished(key)
            self.wakeup.ring()

    def _rest(self, key: int, pause: float) -> None:
        """Lets a key rest for as many seconds, for what is no fault of the proxy's."""
        self._resting[key] = _Rest(trio.current_time(), trio.current_time() + pause)

    def _failed(self, key: int, error: EdgeError) -> None:
        if error is not self._said:  # one call may have failed for many keys
            self._said = error
            log.warning(self.failure, what=self._name, endpoint=error.endpoint, reason=error.detail, **error.traced)
        now = trio.current_time()
        rest = self._resting.get(key)
        if rest is None and self.breaker.is_open:
            self._newcomers.failed(now)
        since = now if rest is None else rest.since
        alone = 0 if rest is None else rest.alone
        if alone or self._last_success > since:
            alone += 1
            pause = self._stubborn(error).delay(alone - 1)
            self.breaker.forget({key})
        else:
            pause = PROXY_OUTAGE.pause(now - since)
            self._unwitnessed.add(key)
            self.breaker.record_failure(key, error.retry_after)
        bidden = now + (error.retry_after or 0.0)
        limited = error.status == RATE_LIMITED
        self._resting[key] = _Rest(since, max(now + pause, bidden), alone, bidden if limited else 0.0)
