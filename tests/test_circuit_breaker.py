"""Who may try while nobody succeeds."""

from __future__ import annotations

import trio

from wa_worker.backoff import ProportionalBackoff
from wa_worker.circuit_breaker import CircuitBreaker

PAUSES = ProportionalBackoff(share=0.25, shortest=3.0, longest=60.0)


async def test_one_key_with_a_trouble_of_its_own_holds_up_nobody(autojump_clock: trio.abc.Clock) -> None:
    breaker = CircuitBreaker[str](2, PAUSES)
    for _ in range(10):
        breaker.record_failure("a")
    assert not breaker.is_open
    assert breaker.allows("a")
    assert breaker.allows("b")


async def test_it_counts_as_closed_while_something_works(autojump_clock: trio.abc.Clock) -> None:
    works = True
    breaker = CircuitBreaker[str](2, PAUSES, works=lambda: works)
    breaker.record_failure("a")
    breaker.record_failure("b")
    assert all(breaker.allows(key) for key in "abc")
    works = False
    assert [breaker.allows(key) for key in "abc"] == [True, False, False]


async def test_one_at_a_time_with_growing_pauses_and_the_first_success_closes_it(
    autojump_clock: trio.abc.Clock,
) -> None:
    breaker = CircuitBreaker[str](2, PAUSES)
    breaker.record_failure("a")
    breaker.record_failure("b")
    tries = []
    for _ in range(36_000):
        for key in "abc":
            if breaker.allows(key):
                assert breaker.allows(key), "it may ask again, and still be the trial"
                tries.append(trio.current_time())
                breaker.record_failure(key)
        await trio.sleep(0.1)
    assert 60 <= len(tries) <= 150, "in an hour"
    assert tries[3] - tries[0] < 3 * PAUSES.shortest + 1, "at first they are quick"
    breaker.record_success()
    assert all(breaker.allows(key) for key in "abc")
    breaker.record_failure("a")
    breaker.record_failure("b")
    assert breaker.allows("c"), "the pauses have started anew"


async def test_a_trial_that_never_reports_is_replaced(autojump_clock: trio.abc.Clock) -> None:
    breaker = CircuitBreaker[str](2, PAUSES)
    breaker.record_failure("a")
    breaker.record_failure("b")
    assert breaker.allows("a")
    await trio.sleep(PAUSES.shortest)
    assert breaker.allows("b")
    assert not breaker.allows("a")


async def test_what_the_far_side_asks_for_is_waited_for(autojump_clock: trio.abc.Clock) -> None:
    breaker = CircuitBreaker[str](2, PAUSES)
    breaker.record_failure("a", retry_after=50)
    assert breaker.allows("b"), "it is closed"
    breaker.record_failure("b", retry_after=50)
    assert not breaker.allows("c")
    await trio.sleep(49)
    assert not breaker.allows("c")
    await trio.sleep(2)
    assert breaker.allows("c")


async def test_keys_that_have_nothing_left_do_not_keep_it_open(autojump_clock: trio.abc.Clock) -> None:
    breaker = CircuitBreaker[str](2, PAUSES)
    breaker.record_failure("a")
    breaker.record_failure("b")
    breaker.forget({"a"})
    assert not breaker.is_open
    assert set(breaker.failed) == {"b"}


async def test_a_trial_that_has_nothing_left_makes_room_for_no_other_at_once(autojump_clock: trio.abc.Clock) -> None:
    """The pause goes on; the key itself may come again as any other."""
    breaker = CircuitBreaker[str](2, PAUSES)
    for key in "abc":
        breaker.record_failure(key)
    assert breaker.allows("a")
    breaker.forget({"a"})
    assert not breaker.allows("a"), "it is the trial no more"
    breaker.record_failure("d")
    assert not breaker.allows("b")
