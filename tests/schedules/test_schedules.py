"""10^5 seeded schedules of faults for the simulated fleet: `pytest -m schedules`.

All but some are small: 2 to 4 workers, up to 5 instances, up to 5 faults, 20 to 45 virtual seconds, and each fourth is
played until all instances are owned again. Those of full size have 50 workers, 5000 instances and 60 faults.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

import pytest

from tests.ownership.planted import PLANTED, found_by
from tests.ownership.schedules import FULL, calm, play, settle
from tests.ownership.world import Violated

AT_ONCE = 500
"""Schedules that a process plays in one go."""

PARTS = 10
"""Tests that the schedules are divided into: each is done before pytest takes it for one that hangs."""

FAIR_WITHIN = 900.0
"""Virtual seconds after which a fleet of full size is fair again, from whatever the faults left."""


def _small(seeds: Sequence[int]) -> tuple[int, list[str]]:
    """Returns how many events there were, and what did not hold."""
    events, wrong = 0, []
    for seed in seeds:
        try:
            events += play(seed).events
        except Violated as error:
            wrong.append(f"seed {seed}: {error}")
    return events, wrong


def _full(seed: int) -> str | None:
    try:
        world = play(seed, FULL)
        calm(world)
        settle(world, FAIR_WITHIN)
    except Violated as error:
        return f"seed {seed}: {error}"
    return None


@pytest.mark.parametrize("part", range(PARTS))
def test_at_most_one_worker_owns_an_instance(part: int, pytestconfig: pytest.Config) -> None:
    count = pytestconfig.getoption("--schedules") // PARTS
    first = pytestconfig.getoption("--schedule-seed") + part * count
    seeds = range(first, first + count)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        done = list(pool.map(_small, [seeds[at : at + AT_ONCE] for at in range(0, count, AT_ONCE)]))
    print(f"{count} schedules, {sum(events for events, _ in done)} events")
    assert not [each for _, wrong in done for each in wrong]


def test_fleets_of_full_size(pytestconfig: pytest.Config) -> None:
    first, count = pytestconfig.getoption("--schedule-seed"), pytestconfig.getoption("--schedules")
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        assert not [each for each in pool.map(_full, range(first, first + max(1, count // 5000))) if each]


@pytest.mark.parametrize("name", sorted(PLANTED))
def test_what_is_planted_is_found_from_another_seed(name: str) -> None:
    assert found_by(name, first=50_000) is not None
