"""How often an idle instance polls, and that a message sets it back at once."""

from __future__ import annotations

import time

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from wa_worker.delivery.poll_timer import Activity, PollTimer, poll_interval

SECONDS = st.floats(0, 1e6)


@pytest.mark.parametrize(("idle", "interval"), [(0, 2), (5, 2), (20, 2), (30, 3), (300, 30), (600, 60), (1e9, 60)])
def test_a_tenth_of_the_silence_within_bounds(idle: float, interval: float) -> None:
    assert poll_interval(idle, 2.0, 60.0) == interval


@given(SECONDS, st.floats(0.05, 3600), st.floats(0, 3600))
def test_it_stays_within_bounds(idle: float, shortest: float, longest: float) -> None:
    interval = poll_interval(idle, shortest, longest)
    assert shortest <= interval <= max(shortest, longest)
    assert interval <= poll_interval(idle + 1, shortest, longest)


@given(SECONDS)
def test_off_by_default(idle: float) -> None:
    assert poll_interval(idle, 2.0, 0.0) == 2.0


async def test_a_message_from_another_thread_cuts_a_long_wait_short() -> None:
    timer = PollTimer(0.02, 100.0, Activity(last_in=time.time() - 1000))
    polled = trio.Event()

    async def poll() -> None:
        await timer.wait()
        polled.set()

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(poll)
            await trio.sleep(0.1)
            assert not polled.is_set(), "it was going to wait for a hundred seconds"
            await trio.to_thread.run_sync(timer.received)
        await timer.wait()  # and the next one is soon


async def test_messages_do_not_make_it_poll_more_often_than_the_shortest(autojump_clock: trio.abc.Clock) -> None:
    timer = PollTimer(2.0, 0.0)
    started = trio.current_time()
    for _ in range(10):
        timer.sent()
        await timer.wait()
    assert 16 <= trio.current_time() - started <= 24


async def test_polls_of_many_instances_share_wake_ups_and_are_spread(autojump_clock: trio.abc.Clock) -> None:
    moments: set[float] = set()

    async def poll() -> None:
        await PollTimer(2.0, 0.0).wait()
        moments.add(trio.current_time())

    async with trio.open_nursery() as nursery:
        for _ in range(200):
            nursery.start_soon(poll)
    assert 5 <= len(moments) <= 9, "1.6 to 2.4 s, in steps of 0.1 s"
