"""A running worker notices what `wa-worker journal` did: keys look again, and forget what is gone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio
from trio.abc import Clock
from trio.testing import MockClock

from wa_worker.delivery import keyed_queue
from wa_worker.delivery.keyed_queue import RESCAN, KeyedQueue
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


async def _run(nursery: trio.Nursery, rows: Rows, work: Callable[[int], Any]) -> KeyedQueue:
    found = KeyedQueue("test", rows.find, work, width=16)
    nursery.start_soon(found.run)
    return found


@pytest.fixture
def fast() -> Clock:
    """A second takes 5 ms on this clock. pytest-trio runs the test by the clock that is among its arguments."""
    return MockClock(rate=200.0)


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


async def test_idle_lanes_look_no_more_often_than_that(nursery: trio.Nursery, fast: Clock) -> None:
    rows = Rows()
    await _run(nursery, rows, _unavailable)
    await trio.sleep(20 * RESCAN)
    assert 0 < rows.looks <= 2 * 21


@pytest.mark.parametrize("lanes_failing", [1, keyed_queue.OUTAGE + 1])
async def test_lanes_whose_rows_were_taken_away_are_forgotten(
    nursery: trio.Nursery, fast: Clock, lanes_failing: int
) -> None:
    """Else the look for them would be repeated without a pause, for ever."""
    rows = Rows(*range(1, lanes_failing + 1))
    found = await _run(nursery, rows, _unavailable)
    await trio.sleep(2 * RESCAN)
    assert found.breaker.is_open == (lanes_failing > keyed_queue.OUTAGE)
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
