"""Delays grow, are capped, and are drawn from the upper half of what the policy says."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wa_worker.backoff import PROXY_OUTAGE, Backoff, jittered

POLICIES = st.builds(
    Backoff,
    first=st.floats(0.001, 1000),
    ceiling=st.floats(0.001, 10_000),
    factor=st.floats(1.0, 10.0),
)


def within(delay: float, whole: float) -> bool:
    return whole / 2 * (1 - 1e-9) <= delay <= whole * (1 + 1e-9)


@given(POLICIES, st.randoms(use_true_random=False))
def test_delays_are_drawn_from_half_to_whole(policy: Backoff, rng: random.Random) -> None:
    whole = min(policy.first, policy.ceiling)
    for delay in itertools.islice(policy.delays(rng), 40):
        assert within(delay, whole)
        whole = min(whole * policy.factor, policy.ceiling)


@given(POLICIES, st.integers(0, 100_000), st.randoms(use_true_random=False))
def test_a_count_gives_the_same_as_the_iterator(policy: Backoff, attempt: int, rng: random.Random) -> None:
    delay = policy.delay(attempt, rng)
    assert 0 < delay <= policy.ceiling
    if attempt < 50:
        assert within(delay, min(policy.first * policy.factor**attempt, policy.ceiling))


def test_the_growth_of_a_policy() -> None:
    policy = Backoff(first=1.0, ceiling=60.0)
    most = [max(policy.delay(n, random.Random(seed)) for seed in range(200)) for n in range(8)]
    assert [round(delay) for delay in most] == [1, 2, 4, 8, 16, 32, 60, 60]


def test_two_workers_drift_apart() -> None:
    one, other = (list(itertools.islice(Backoff(1, 60).delays(), 10)) for _ in range(2))
    assert one != other


def test_a_fresh_iterator_is_a_reset() -> None:
    policy = Backoff(first=1.0, ceiling=600.0)
    delays = policy.delays()
    assert [next(delays) for _ in range(9)][-1] > 100
    assert next(policy.delays()) <= 1.0


@given(st.floats(0, 3600), st.floats(0, 1))
def test_jitter_stays_within_its_spread(interval: float, spread: float) -> None:
    assert interval * (1 - spread) - 1e-6 <= jittered(interval, spread) <= interval * (1 + spread) + 1e-6


@pytest.mark.parametrize(("age", "most"), [(0, 0.5), (12, 0.5), (60, 1.2), (600, 12.0), (10**6, 12.0)])
def test_the_end_of_an_outage_is_noticed_soon(age: float, most: float) -> None:
    for _ in range(100):
        assert 0.75 * most <= PROXY_OUTAGE.pause(age) <= most
