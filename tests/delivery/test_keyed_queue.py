"""The queue of keys: nobody waits for what is not theirs, and what another process changed is noticed.

`find` and `work` are the test's own; tests/delivery/test_inbound.py has the journal and the proxy behind them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import attrs
import pytest
import trio
from trio.abc import Clock

from wa_worker.backoff import Backoff
from wa_worker.delivery.keyed_queue import OUTAGE, RESCAN, RETRY, KeyedQueue
from wa_worker.delivery.waiting_keys import NotBefore
from wa_worker.errors import EdgeUnavailable, JournalError


class Rows:
    """KeyedQueue with rows, as if on disk; counts the looks."""

    def __init__(self, *keys: int) -> None:
        self.keys = set(keys)
        self.looks = 0

    def find(self, after: int, limit: int) -> list[int]:
        self.looks += 1
        return sorted(key for key in self.keys if key > after)[:limit]


async def _unavailable(key: int) -> None:
    raise EdgeUnavailable("inbound", f"key {key}: answered 503", 503)


async def _run(nursery: trio.Nursery, rows: Rows, work: Callable[[int], Awaitable[None]]) -> KeyedQueue:
    found = KeyedQueue("test", rows.find, work, width=lambda: 16)
    nursery.start_soon(found.run)
    return found


@attrs.frozen
class Hopeless:
    """Rows that the proxy answers with `later` for ever, after an outage of `outage` seconds."""

    later: int
    outage: float


@pytest.mark.parametrize("hopeless", [Hopeless(500, 0), Hopeless(404, 60)])
async def test_rows_that_never_succeed_do_not_hold_up_one_that_would(
    nursery: trio.Nursery, hopeless: Hopeless, fast: Clock
) -> None:
    bad, good = range(1, 13), 99
    rows = set(bad)
    up_at = trio.current_time() + hopeless.outage
    done = trio.Event()

    async def work(key: int) -> None:
        await trio.sleep(0.1)
        if trio.current_time() < up_at:
            raise EdgeUnavailable("inbound", "answered 503", 503)
        if key != good:
            raise EdgeUnavailable("inbound", f"answered {hopeless.later}", hopeless.later)
        rows.discard(good)
        done.set()

    drained = KeyedQueue(
        "test", lambda after, limit: sorted(r for r in rows if r > after)[:limit], work, width=lambda: 4
    )
    nursery.start_soon(drained.run)
    await trio.sleep(hopeless.outage + 300)
    for _ in range(3):
        done = trio.Event()
        rows.add(good)
        drained.wakeup.ring()
        with trio.fail_after(2 * RETRY.ceiling):
            await done.wait()
    nursery.cancel_scope.cancel()


class Proxy:
    """Fails what is in `failing`, all if `down`; notes each try with its time."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.down = False
        self.failing: dict[int, EdgeUnavailable] = {}
        self.tries: list[tuple[int, float]] = []

    async def work(self, key: int) -> None:
        self.tries.append((key, trio.current_time()))
        await trio.sleep(0.1)
        if self.down:
            raise EdgeUnavailable("inbound", "answered 503", 503)
        if error := self.failing.get(key):
            raise error
        self.rows.keys.discard(key)

    def of(self, key: int) -> list[float]:
        return [at for tried, at in self.tries if tried == key]


async def _until(holds: Callable[[], object]) -> None:
    while not holds():  # noqa: ASYNC110 - nothing tells
        await trio.sleep(0.5)


async def test_after_an_outage_all_keys_go_on_at_the_first_success(nursery: trio.Nursery, jumping: Clock) -> None:
    proxy, length = Proxy(Rows(*range(1, 41))), 300
    proxy.down = True
    await _run(nursery, proxy.rows, proxy.work)
    await trio.sleep(length)
    assert len(proxy.tries) < 16 + length, "one at a time tries"
    proxy.down, tries, ended = False, len(proxy.tries), trio.current_time()
    await _until(lambda: not proxy.rows.keys)
    first = proxy.tries[tries][1]
    assert first - ended <= 9, "2 % of the outage, and half as much again"
    assert max(at for _, at in proxy.tries) - first < 3
    nursery.cancel_scope.cancel()


async def test_the_first_success_frees_those_that_rest(nursery: trio.Nursery, jumping: Clock) -> None:
    """Too few to be an outage by their number: each rests for itself, for nearly two seconds here."""
    proxy = Proxy(Rows(1, 2))
    proxy.down = True
    queue = await _run(nursery, proxy.rows, proxy.work)
    await trio.sleep(120)
    tries = len(proxy.of(1))
    await _until(lambda: len(proxy.of(1)) > tries)
    await trio.sleep(0.3)
    proxy.down, tries = False, len(proxy.tries)
    proxy.rows.keys.add(99)
    queue.wakeup.ring()
    await _until(lambda: not proxy.rows.keys)
    moments = [at for _, at in proxy.tries[tries:]]
    assert max(moments) - min(moments) < 1
    nursery.cancel_scope.cancel()


async def test_all_go_on_when_somebody_else_has_seen_the_proxy_come_back(nursery: trio.Nursery, jumping: Clock) -> None:
    proxy, back = Proxy(Rows(*range(1, 9))), trio.lowlevel.ParkingLot()
    proxy.down = True
    queue = KeyedQueue("test", proxy.rows.find, proxy.work, width=lambda: 16, recovery=back.park)
    nursery.start_soon(queue.run)
    await trio.sleep(300)
    tries = len(proxy.tries)
    back.unpark_all()
    await trio.sleep(3)
    assert {key for key, _ in proxy.tries[tries:]} == proxy.rows.keys, "all, and not one every six seconds"
    nursery.cancel_scope.cancel()


async def test_a_key_that_has_not_failed_waits_for_none_that_has(nursery: trio.Nursery, jumping: Clock) -> None:
    """Four messages that the proxy answers with 500, and no other traffic: a good one must not wait for them."""
    proxy = Proxy(Rows(*range(1, OUTAGE + 1)))
    proxy.failing = {key: EdgeUnavailable("inbound", "answered 500", 500) for key in proxy.rows.keys}
    queue = await _run(nursery, proxy.rows, proxy.work)
    for quiet in (2, 20, 60, 90):
        await trio.sleep(quiet)
        proxy.rows.keys.add(99)
        queue.wakeup.ring()
        added = trio.current_time()
        await _until(lambda: 99 not in proxy.rows.keys)
        assert proxy.of(99)[-1] - added < 1
    nursery.cancel_scope.cancel()


async def test_a_key_that_fails_alone_rests_longer_each_time(nursery: trio.Nursery, jumping: Clock) -> None:
    proxy = Proxy(Rows(1))
    proxy.failing[1] = EdgeUnavailable("inbound", "answered 500", 500)
    queue = KeyedQueue(
        "test", proxy.rows.find, proxy.work, width=lambda: 4, stubborn=lambda _error: Backoff(10.0, 80.0)
    )
    nursery.start_soon(queue.run)
    for key in range(2, 82):
        proxy.rows.keys.add(key)
        queue.wakeup.ring()
        await trio.sleep(5)
    tries = [at for at in proxy.of(1) if at > 10]  # before, nothing else has been tried
    assert len(tries) < 14, "a share of 2 % would be more than 50"
    assert tries[-1] - tries[-2] > 35
    nursery.cancel_scope.cancel()


async def test_also_one_that_has_failed_alone(nursery: trio.Nursery, jumping: Clock) -> None:
    """In a proxy that flaps a chat fails while others succeed, and it was not its fault either."""
    proxy, back = Proxy(Rows(1)), trio.lowlevel.ParkingLot()
    proxy.failing[1] = EdgeUnavailable("inbound", "answered 500", 500)
    queue = KeyedQueue("test", proxy.rows.find, proxy.work, width=lambda: 16, recovery=back.park)
    nursery.start_soon(queue.run)
    for key in range(2, 62):
        proxy.rows.keys.add(key)
        queue.wakeup.ring()
        await trio.sleep(5)
    proxy.failing.clear()
    await _until(lambda: trio.current_time() - proxy.of(1)[-1] > 2)
    ended = trio.current_time()
    back.unpark_all()
    await _until(lambda: not proxy.rows.keys)
    assert proxy.of(1)[-1] - ended < 2
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize(("status", "patient"), [(429, True), (503, False)])
async def test_a_wait_that_is_asked_for(nursery: trio.Nursery, jumping: Clock, status: int, patient: bool) -> None:
    """A rate limit is kept whatever becomes of others; the end of an outage is its end for all."""
    proxy = Proxy(Rows(1))
    proxy.failing[1] = EdgeUnavailable("inbound", "later", status, 50.0)
    queue = await _run(nursery, proxy.rows, proxy.work)
    await trio.sleep(5)
    proxy.failing.clear()
    proxy.rows.keys.add(2)
    queue.wakeup.ring()
    await _until(lambda: 1 not in proxy.rows.keys)
    first, second = proxy.of(1)
    assert (second - first >= 50) == patient
    nursery.cancel_scope.cancel()


async def test_rows_that_nothing_rang_for_are_found_within_the_interval(nursery: trio.Nursery, fast: Clock) -> None:
    rows, done = Rows(), trio.Event()

    async def work(key: int) -> None:
        rows.keys.discard(key)
        done.set()

    await _run(nursery, rows, work)
    await trio.sleep(RESCAN / 2)
    rows.keys.add(7)
    added = trio.current_time()
    with trio.fail_after(5 * RESCAN):
        await done.wait()
    assert trio.current_time() - added < 3 * RESCAN  # with the thread hop, of which 10 ms are 2 s here


async def test_an_idle_queue_looks_no_more_often_than_that(nursery: trio.Nursery, fast: Clock) -> None:
    rows = Rows()
    await _run(nursery, rows, _unavailable)
    await trio.sleep(20 * RESCAN)
    assert 0 < rows.looks <= 2 * 21


@pytest.mark.parametrize("failing", [1, OUTAGE + 1])
async def test_keys_whose_rows_were_taken_away_are_forgotten(nursery: trio.Nursery, fast: Clock, failing: int) -> None:
    """Else the look for them would be repeated without a pause, for ever."""
    rows = Rows(*range(1, failing + 1))
    found = await _run(nursery, rows, _unavailable)
    await trio.sleep(2 * RESCAN)
    assert found.breaker.is_open == (failing > OUTAGE)
    rows.keys.clear()
    await trio.sleep(4 * RESCAN)
    rows.looks = 0
    await trio.sleep(20 * RESCAN)
    assert rows.looks <= 2 * 21
    assert not found.resting
    assert not found.breaker.is_open


async def test_a_second_try_that_takes_its_time_is_waited_for_quietly(nursery: trio.Nursery, fast: Clock) -> None:
    rows, tries = Rows(1), 0

    async def work(key: int) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            await _unavailable(key)
        await trio.sleep_forever()

    await _run(nursery, rows, work)
    await trio.sleep(5 * RESCAN)
    assert tries == 2
    assert rows.looks <= 2 * 10


async def test_a_journal_that_cannot_be_read_for_a_moment_ends_nothing(nursery: trio.Nursery, fast: Clock) -> None:
    """Neither when keys are looked for nor when one of them is worked on."""
    rows, done = Rows(1), trio.Event()
    broken = {"find": 2, "work": 2}

    def fails(where: str) -> None:
        if broken[where]:
            broken[where] -= 1
            raise JournalError("disk I/O error")

    def find(after: int, limit: int) -> list[int]:
        fails("find")
        return rows.find(after, limit)

    async def work(key: int) -> None:
        fails("work")
        rows.keys.discard(key)
        done.set()

    nursery.start_soon(KeyedQueue("test", find, work, width=lambda: 4).run)
    with trio.fail_after(60):
        await done.wait()
    nursery.cancel_scope.cancel()


class Waiting:
    """Keys that have nothing to do before `until`, by their own word."""

    def __init__(self, *keys: int) -> None:
        self.rows = Rows(*keys)
        self.until: dict[int, float] = {}
        self.tries: list[tuple[int, float]] = []

    async def work(self, key: int) -> None:
        self.tries.append((key, trio.current_time()))
        await trio.sleep(2.0)
        if self.until.get(key, 0.0) > trio.current_time():
            raise NotBefore(self.until[key])
        self.rows.keys.discard(key)


async def test_a_key_that_has_nothing_to_do_yet_is_let_alone_until_then(nursery: trio.Nursery, jumping: Clock) -> None:
    waiting = Waiting(1, 2)
    waiting.until[1] = trio.current_time() + 50
    await _run(nursery, waiting.rows, waiting.work)
    await _until(lambda: not waiting.rows.keys)
    first, second = (at for key, at in waiting.tries if key == 1)
    assert first < waiting.until[1] <= second < waiting.until[1] + 5, "it was not tried in between"
    assert waiting.rows.looks < 30
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize("busy", [False, True])
async def test_a_key_that_is_released_goes_on_at_once(nursery: trio.Nursery, jumping: Clock, busy: bool) -> None:
    waiting = Waiting(1)
    waiting.until[1] = ends = trio.current_time() + 1000
    queue = await _run(nursery, waiting.rows, waiting.work)
    await _until(lambda: waiting.tries)
    if busy:  # it has seen what was before, and will say that it waits
        queue.release(1)
        await _until(lambda: len(waiting.tries) > 1)
    await trio.sleep(5)
    del waiting.until[1]
    queue.release(1)
    await _until(lambda: not waiting.rows.keys)
    assert trio.current_time() < ends - 900
    nursery.cancel_scope.cancel()


async def test_in_an_outage_a_key_that_waits_is_no_trial(nursery: trio.Nursery, jumping: Clock) -> None:
    """Else it would be tried again and again without a pause: it neither fails nor succeeds."""
    proxy, ends = Proxy(Rows(*range(1, OUTAGE + 2))), trio.current_time() + 300
    proxy.down = True
    waits = False

    async def work(key: int) -> None:
        if waits and trio.current_time() < ends:
            proxy.tries.append((key, trio.current_time()))
            raise NotBefore(ends)
        await proxy.work(key)

    queue = await _run(nursery, proxy.rows, work)
    await trio.sleep(30)
    assert queue.breaker.is_open
    waits, proxy.down = True, False
    tries = len(proxy.tries)
    await trio.sleep(200)
    assert len(proxy.tries) - tries <= OUTAGE + 2
    await _until(lambda: not proxy.rows.keys)
    assert trio.current_time() - ends < 40
    nursery.cancel_scope.cancel()


async def test_a_key_that_waits_is_no_failure(nursery: trio.Nursery, jumping: Clock) -> None:
    waiting = Waiting(*range(1, 3 * OUTAGE))
    waiting.until = dict.fromkeys(waiting.rows.keys, trio.current_time() + 100)
    queue = await _run(nursery, waiting.rows, waiting.work)
    await trio.sleep(50)
    assert not queue.breaker.is_open
    assert not queue.resting
    waiting.rows.keys.clear()
    await trio.sleep(200)
    assert len(waiting.tries) < 3 * OUTAGE
    nursery.cancel_scope.cancel()
