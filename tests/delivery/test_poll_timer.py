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


@pytest.mark.parametrize(
    ("last_in", "last_out", "idle"),
    [(None, None, 0), (100, None, 100), (None, 100, 100), (100, 300, 100), (300, 100, 100), (-50, None, 0)],
)
def test_an_instance_is_idle_since_its_last_message_in_either_direction(
    last_in: float | None, last_out: float | None, idle: float
) -> None:
    """Seconds ago; one from the future was noted before the clock was set back."""
    now = time.time()
    activity = Activity(*(None if ago is None else now - ago for ago in (last_in, last_out)))
    assert activity.idle() == pytest.approx(idle, abs=5)
    if not idle:
        assert activity.idle() == 0


async def test_messages_are_noted_for_who_asks_when_the_last_one_was() -> None:
    activity, before = Activity(), time.time()
    timer = PollTimer(2.0, 0.0, activity)
    timer.received()
    assert activity.last_in is not None
    assert (before <= activity.last_in, activity.last_out) == (True, None)
    timer.sent()
    assert activity.last_out is not None
    assert before <= activity.last_out


async def test_an_idle_instance_waits_for_its_interval(autojump_clock: trio.abc.Clock) -> None:
    """A tenth of its silence, the shortest interval within it, more or less a fifth."""
    timer = PollTimer(2.0, 100.0, Activity(last_out=time.time() - 500))
    started = trio.current_time()
    await timer.wait()
    assert 40 <= trio.current_time() - started <= 60
