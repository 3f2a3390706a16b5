"""The bell: no ring is lost between arming and waiting, and one that comes too late harms nobody."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from wa_worker.wakeup import Wakeup


async def test_a_ring_from_another_thread_wakes_who_waits() -> None:
    bell = Wakeup()
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bell.wait)
            await trio.to_thread.run_sync(bell.ring)


async def test_a_ring_before_the_wait_is_not_lost() -> None:
    bell = Wakeup()
    bell.arm()
    bell.ring()
    with trio.fail_after(10):
        await bell.wait()


async def test_arming_forgets_earlier_rings(autojump_clock: trio.abc.Clock) -> None:
    bell = Wakeup()
    bell.ring()
    await bell.wait()
    bell.arm()
    with trio.move_on_after(60) as silence:
        await bell.wait()
    assert silence.cancelled_caught


async def test_until_it_is_armed_again_every_wait_returns() -> None:
    bell = Wakeup()
    bell.ring()
    with trio.fail_after(10):
        for _ in range(3):
            await bell.wait()


async def test_all_who_wait_wake_up() -> None:
    bell, woken = Wakeup(), 0

    async def wait() -> None:
        nonlocal woken
        await bell.wait()
        woken += 1

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        bell.ring()
    assert woken == 5


async def test_every_ring_after_a_wait_wakes_again(autojump_clock: trio.abc.Clock) -> None:
    bell = Wakeup()
    for _ in range(3):
        bell.arm()
        bell.ring()
        bell.ring()
        with trio.fail_after(10):
            await bell.wait()


async def test_of_what_threads_add_before_they_ring_nothing_is_left_lying() -> None:
    bell, rows, seen = Wakeup(), 0, 0

    def add() -> None:
        nonlocal rows
        for _ in range(2000):
            rows += 1
            bell.ring()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.to_thread.run_sync, add)
        with trio.fail_after(20):
            while seen < 2000:
                bell.arm()
                seen = rows
                if seen < 2000:
                    await bell.wait()


async def test_waiting_is_a_checkpoint_even_if_it_has_rung() -> None:
    bell = Wakeup()
    bell.ring()
    await bell.wait()
    with trio.CancelScope() as scope:
        scope.cancel()
        await bell.wait()
    assert scope.cancelled_caught


def test_a_ring_after_the_run_has_ended_does_nothing() -> None:
    async def make() -> Wakeup:
        return Wakeup()

    bell = trio.run(make)
    bell.ring()


def test_it_is_made_on_the_trio_thread() -> None:
    with pytest.raises(RuntimeError):
        Wakeup()
