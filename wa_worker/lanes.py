"""Drains durable rows to the proxy: in order within a lane, several lanes at once, forever.

A lane is what must stay in order (a chat, or a single row). What waits is on disk; memory holds only the lanes at
work and those that rest after a failure. When several lanes fail in a row nothing is wrong with them but with the
proxy: then one lane at a time finds out, with growing pauses, those first that have not failed yet; the first answer
that is no outage sets all free.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import structlog
import trio

from wa_worker.backoff import Backoff
from wa_worker.errors import EdgeError, JournalError
from wa_worker.wakeup import Wakeup

log = structlog.get_logger(__name__)

RETRY = Backoff(first=0.5, ceiling=30.0)
"""The ceiling is what bounds how long after the proxy's recovery the last lane starts again."""

OUTAGE = 4
"""Lanes that failed since the last success, after which the proxy itself is taken to be down."""

SCAN = 256
"""Lanes looked up at once."""

RESCAN = 30.0
"""Seconds after which rows are looked for though nothing rang: `wa-worker journal` changes them from another process,
and cannot ring in this one."""


class Lanes:
    """`find(after, limit)` names lanes with rows, ascending, blocking: it is called on a thread. `work(lane)` does
    one lane for a while, then it is the others' turn; it raises EdgeError when the proxy is to be tried again later.

    `stubborn` is the policy for refusals that are about the row and not about the proxy."""

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
        self._outage_until = 0.0
        self._outages = 0
        self._failed_since_success: set[int] = set()
        self._cursor = 0
        self.wakeup = Wakeup()
        """Ring it, from any thread, when rows were added."""

    async def run(self) -> None:
        """Until cancelled; then rows under way are tried again at the next start."""
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

    def _next_try(self) -> float:
        latest = trio.current_time() + RESCAN
        if self._down:
            return latest if self._busy else min(latest, self._outage_until)
        if len(self._busy) >= self._width:
            return latest  # a ring comes first
        return min([latest, *(until for lane, (until, _) in self._resting.items() if lane not in self._busy)])

    @property
    def _down(self) -> bool:
        return len(self._failed_since_success) >= OUTAGE

    async def _fill(self, nursery: trio.Nursery) -> None:
        """Starts lanes in turn, from behind the last one started, until all places are taken or all are seen."""
        wrapped = self._cursor == 0
        unseen = self._resting.keys() | self._failed_since_success
        while self._places() > 0:
            found = await trio.to_thread.run_sync(self._find, self._cursor, SCAN)
            unseen.difference_update(found)
            for lane in found:
                if self._places() <= 0:
                    return
                self._cursor = lane
                if lane not in self._busy and self._may_try(lane):
                    self._start(lane, nursery)
            if len(found) < SCAN:
                self._cursor = 0
                if wrapped:
                    self._forget(unseen - self._busy)
                    break
                wrapped = True
        if self._down and self._places() > 0:  # all have failed: the one that has waited longest
            self._start(min(self._resting, key=lambda lane: self._resting[lane][0]), nursery)

    def _start(self, lane: int, nursery: trio.Nursery) -> None:
        self._busy.add(lane)
        nursery.start_soon(self._do, lane)

    def _forget(self, lanes: set[int]) -> None:
        """Another process took their rows (a person discarded them): nothing is left that could try or succeed."""
        for lane in lanes:
            self._resting.pop(lane, None)
        self._failed_since_success -= lanes

    def _places(self) -> int:
        if not self._down:
            return self._width - len(self._busy)
        return 0 if self._busy or trio.current_time() < self._outage_until else 1

    def _may_try(self, lane: int) -> bool:
        if self._down:
            return lane not in self._resting  # one that fails whatever the others do must not stand in their way
        until, _ = self._resting.get(lane, (0.0, 0))
        return until <= trio.current_time()

    async def _do(self, lane: int) -> None:
        try:
            await self._work(lane)
        except EdgeError as error:
            self._failed(lane, error)
        except JournalError as error:
            log.error("the journal cannot be read", what=self._name, reason=str(error))
            self._resting[lane] = (trio.current_time() + 1, 0)
        else:
            self.succeeded(lane)
        finally:
            self._busy.discard(lane)
            self.wakeup.ring()

    def _failed(self, lane: int, error: EdgeError) -> None:
        log.warning(
            "not handed to the proxy, will retry", what=self._name, endpoint=error.endpoint, reason=error.detail
        )
        if not error.is_outage:
            self._answered()
        _, times = self._resting.get(lane, (0.0, 0))
        pause = error.retry_after or (RETRY if error.is_outage else self._stubborn).delay(times)
        self._resting[lane] = (trio.current_time() + pause, times + 1)
        if error.is_outage:
            self._failed_since_success.add(lane)
        if self._down and trio.current_time() >= self._outage_until:  # not once for each lane that was under way
            self._outage_until = trio.current_time() + (error.retry_after or RETRY.delay(self._outages))
            self._outages += 1

    def succeeded(self, lane: int) -> None:
        """The proxy took something of this lane: its pauses start anew, though it may not be empty yet. After an outage
        every lane may try again."""
        self._resting.pop(lane, None)
        self._answered()

    def _answered(self) -> None:
        """The proxy is there, whatever it said of this lane."""
        if self._down:
            self.wakeup.ring()
        self._failed_since_success.clear()
        self._outages = 0


T = TypeVar("T")


class GroupCommit(Generic[T]):
    """Commits what several tasks finished in one transaction: while one is under way, the next collects."""

    def __init__(self, commit: Callable[[list[T]], None]) -> None:
        self._commit = commit
        self._waiting: list[T] = []
        self._done = trio.Event()
        self._turn = trio.Lock()  # who commits for the others changes: nobody does it for as long as they have work

    async def add(self, item: T) -> None:
        """Returns when `item` is on disk. Not cancellable for the moment that takes; while the journal cannot
        commit it keeps trying, and then a cancel ends it."""
        self._waiting.append(item)
        done = self._done
        with trio.CancelScope(shield=True):
            await self._turn.acquire()
        try:
            if not done.is_set():
                await self._persist()
        finally:
            self._turn.release()

    async def _persist(self) -> None:
        items, self._waiting = self._waiting, []
        done, self._done = self._done, trio.Event()
        while True:
            try:
                with trio.CancelScope(shield=True):
                    await trio.to_thread.run_sync(self._commit, items)
            except JournalError as error:
                log.error("the journal cannot commit, trying again", reason=str(error))
                try:
                    await trio.sleep(0.5)
                except trio.Cancelled:
                    self._waiting[:0] = items  # the next in turn tries once more
                    raise
            else:
                done.set()
                return
