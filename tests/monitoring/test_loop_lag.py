"""The event loop's lag: nothing when it is idle, and for as long as something blocks it."""

from __future__ import annotations

import time

import pytest
import trio
from trio.abc import Clock
from trio.testing import MockClock

from tests.test_metrics import scrape
from wa_worker.metrics import Metrics
from wa_worker.monitoring.loop_lag import LAG_INTERVAL, watch_lag

COUNT, SUM = "wa_worker_event_loop_lag_seconds_count", "wa_worker_event_loop_lag_seconds_sum"


async def test_an_idle_loop_has_none(nursery: trio.Nursery, autojump_clock: Clock) -> None:
    metrics = Metrics()
    nursery.start_soon(watch_lag, metrics)
    await trio.sleep(3.5 * LAG_INTERVAL)
    said = scrape(metrics)
    assert (said[COUNT], said[SUM]) == (3, 0)
    nursery.cancel_scope.cancel()


@pytest.fixture
def fast() -> Clock:
    """A second takes 20 ms on this clock. pytest-trio runs the test by the clock that is among its arguments."""
    return MockClock(rate=50.0)


async def test_what_blocks_the_loop_is_measured(nursery: trio.Nursery, fast: Clock) -> None:
    metrics = Metrics()
    nursery.start_soon(watch_lag, metrics)
    await trio.sleep(LAG_INTERVAL * 0.9)
    time.sleep(0.2)  # noqa: ASYNC251 - that is the point: ten seconds on this clock
    await trio.sleep(LAG_INTERVAL * 0.5)
    assert 5 <= scrape(metrics)[SUM] <= 60
    nursery.cancel_scope.cancel()
