"""The queue of keys: nobody waits for what is not theirs, and what another process changed is noticed.

`find` and `work` are the test's own; tests/delivery/test_inbound.py has the journal and the proxy behind them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import attrs
import pytest
import trio
from trio.abc import Clock

from wa_worker.delivery.keyed_queue import OUTAGE, RESCAN, RETRY, KeyedQueue
from wa_worker.errors import EdgeUnavailable


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
    found = KeyedQueue("test", rows.find, work, width=16)
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
            raise EdgeUnavailable("inbound", f"answered {hopeless.later}", is_outage=hopeless.later >= 500)
        rows.discard(good)
        done.set()

    drained = KeyedQueue("test", lambda after, limit: sorted(r for r in rows if r > after)[:limit], work, width=4)
    nursery.start_soon(drained.run)
    await trio.sleep(hopeless.outage + 300)
    for _ in range(3):
        done = trio.Event()
        rows.add(good)
        drained.wakeup.ring()
        with trio.fail_after(2 * RETRY.ceiling):
            await done.wait()
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
