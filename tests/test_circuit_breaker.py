"""Who may try while no session gets through."""

from __future__ import annotations

import trio

from wa_worker.circuit_breaker import PAUSES, Scouts
from wa_worker.models import InstanceId

A, B, C = (InstanceId(name) for name in "abc")


async def test_one_instance_with_a_trouble_of_its_own_bars_nobody(autojump_clock: trio.abc.Clock) -> None:
    scouts = Scouts(lambda: False)
    for _ in range(10):
        scouts.failed(A)
    assert scouts.barred(A) is None
    assert scouts.barred(B) is None


async def test_two_bar_nobody_while_somebody_is_connected(autojump_clock: trio.abc.Clock) -> None:
    connected = True
    scouts = Scouts(lambda: connected)
    scouts.failed(A)
    scouts.failed(B)
    assert all(scouts.barred(instance) is None for instance in (A, B, C))
    connected = False
    assert [scouts.barred(instance) is None for instance in (A, B, C)] == [True, False, False]


async def test_one_at_a_time_with_growing_pauses_and_the_first_success_frees_all(
    autojump_clock: trio.abc.Clock,
) -> None:
    scouts = Scouts(lambda: False)
    scouts.failed(A)
    scouts.failed(B)
    tries = []
    for _ in range(36_000):
        for instance in (A, B, C):
            if scouts.barred(instance) is None:
                assert scouts.barred(instance) is None, "it may ask again, and still be the one"
                tries.append(trio.current_time())
                scouts.failed(instance)
        await trio.sleep(0.1)
    assert 60 <= len(tries) <= 150, "in an hour"
    assert tries[3] - tries[0] < 3 * PAUSES.first * PAUSES.factor**2, "at first they are quick"
    scouts.got_through()
    assert all(scouts.barred(instance) is None for instance in (A, B, C))
    scouts.failed(A)
    scouts.failed(B)
    assert scouts.barred(C) is None, "the pauses have started anew"


async def test_a_scout_that_never_comes_back_is_replaced(autojump_clock: trio.abc.Clock) -> None:
    scouts = Scouts(lambda: False)
    scouts.failed(A)
    scouts.failed(B)
    assert scouts.barred(A) is None
    await trio.sleep(PAUSES.first)
    assert scouts.barred(B) is None
    assert scouts.barred(A) is not None
