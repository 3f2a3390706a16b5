"""The rules of ownership, one by one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wa_worker.ownership.lease import (
    CLAIMS_WINDOW,
    CUT_OFF,
    MOST_CLAIMS,
    SAFE,
    SLACK,
    TTL,
    Health,
    Lease,
    Peer,
    fair_share,
    is_uneven,
    judge,
)

NUMBERS = st.integers(0, 40)
ELSEWHERE = [Peer(100, 5, through=True, draining=False)]
NOWHERE = [Peer(100, 5, through=False, draining=False)]


def test_the_deadline_counts_from_the_start_of_the_renewal_and_never_goes_back() -> None:
    lease = Lease()
    assert not lease.holds(0.0)
    lease.renew(100.0)
    assert lease.holds(100.0 + SAFE - 0.001)
    assert not lease.holds(100.0 + SAFE)
    lease.renew(99.0)
    assert lease.deadline == 100.0 + SAFE


def test_clocks_may_differ_by_a_fifth_each() -> None:
    assert SAFE / 0.8 <= TTL / 1.2


@given(NUMBERS, st.lists(NUMBERS, min_size=1, max_size=6))
def test_the_fair_share_is_the_least_that_leaves_nothing(wanted: int, capacities: list[int]) -> None:
    share = fair_share(wanted, capacities)

    def room(each: int) -> int:
        return sum(min(each, capacity) for capacity in capacities)

    if sum(capacities) < wanted:
        assert share == -(-wanted // len(capacities))
    else:
        assert room(share) >= wanted
        assert share == 0 or room(share - 1) < wanted


def test_uneven_is_more_than_a_tenth_from_the_share_on_each_side() -> None:
    assert SLACK == 0.1
    assert not is_uneven(110, [Peer(1000, 91, through=True, draining=False)], 100)
    assert is_uneven(110, [Peer(1000, 90, through=True, draining=False)], 100)
    assert is_uneven(2, [Peer(1000, 0, through=True, draining=False)], 1)
    assert not is_uneven(1, [Peer(1000, 0, through=True, draining=False)], 1)
    for full in (Peer(0, 0, through=True, draining=False), Peer(1000, 0, through=True, draining=True)):
        assert not is_uneven(110, [full], 100)


def test_an_instance_that_ends_its_workers_is_held() -> None:
    claims = 0
    pauses: list[float] = []
    for _ in range(MOST_CLAIMS):
        verdict = judge(claims, 30.0)
        assert verdict.claim
        claims, pauses = verdict.claims, [*pauses, verdict.pause]
    assert pauses == [2.0, 4.0, 8.0, 16.0, 32.0]
    held = judge(claims, 30.0)
    assert not held.claim
    assert held.pause == CLAIMS_WINDOW

    once = judge(held.claims, CLAIMS_WINDOW + 30)
    assert once.claim, "it is not given up for good"
    assert not judge(once.claims, 30.0).claim, "but it has one try, not five"


def test_claims_that_lie_apart_do_not_add_up() -> None:
    assert judge(0, None).claims == 1
    for claims in range(MOST_CLAIMS + 1):
        verdict = judge(claims, CLAIMS_WINDOW)
        assert verdict.claim
        assert verdict.claims == 1


def test_a_worker_is_cut_off_when_it_reaches_nobody_and_a_peer_does() -> None:
    health = Health()
    health.observe(0.0, 3, 0)
    health.judge(CUT_OFF - 0.1, 3, ELSEWHERE)
    assert not health.cut_off
    health.judge(CUT_OFF, 3, NOWHERE)
    assert not health.cut_off, "WhatsApp is down for everybody: moving helps nobody"
    health.judge(CUT_OFF, 3, ELSEWHERE)
    assert health.cut_off
    assert health.capacity(100) == 0


def test_a_moment_of_connection_begins_the_time_anew() -> None:
    health = Health()
    health.observe(0.0, 3, 0)
    health.observe(30.0, 3, 1)
    assert health.through
    health.observe(31.0, 3, 0)
    health.judge(CUT_OFF + 1, 3, ELSEWHERE)
    assert not health.cut_off
    health.judge(CUT_OFF + 31, 3, ELSEWHERE)
    assert health.cut_off


def test_a_worker_that_was_cut_off_tries_one_instance_and_then_the_rest() -> None:
    health = Health()
    health.observe(0.0, 3, 0)
    health.judge(CUT_OFF, 3, ELSEWHERE)
    health.observe(CUT_OFF + 5, 0, 0)
    health.judge(2 * CUT_OFF - 1, 0, ELSEWHERE)
    assert health.capacity(100) == 0
    health.judge(2 * CUT_OFF, 0, ELSEWHERE)
    assert health.capacity(100) == 1

    health.observe(2 * CUT_OFF + 1, 1, 0)
    health.judge(3 * CUT_OFF + 1, 1, ELSEWHERE)
    assert health.capacity(100) == 0
    health.observe(3 * CUT_OFF + 2, 0, 0)
    health.judge(4 * CUT_OFF + 2, 0, ELSEWHERE)
    assert health.capacity(100) == 0, "the second pause is longer"
    health.judge(5 * CUT_OFF + 2, 0, ELSEWHERE)
    assert health.capacity(100) == 1
    health.observe(5 * CUT_OFF + 3, 1, 1)
    assert health.capacity(100) == 100


def test_nobody_is_cut_off_once_no_peer_is_better_off() -> None:
    health = Health()
    health.observe(0.0, 3, 0)
    health.judge(CUT_OFF, 3, ELSEWHERE)
    health.judge(CUT_OFF + 2, 3, [])
    assert health.capacity(100) == 100


def test_a_worker_with_nothing_to_connect_is_not_cut_off() -> None:
    health = Health()
    for at in (0.0, CUT_OFF, 2 * CUT_OFF):
        health.observe(at, 0, 0)
        health.judge(at, 3, ELSEWHERE)
    assert not health.cut_off
