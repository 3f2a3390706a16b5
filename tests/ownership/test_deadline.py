"""How long is left until a deadline."""

from __future__ import annotations

import math

import pytest

from wa_worker.ownership.deadline import boottime, left


@pytest.mark.parametrize(
    ("deadline", "seconds"),
    [(110.0, 10.0), (100.0, 0.0), (99.9, 0.0), (-math.inf, 0.0), (math.nan, 0.0), (math.inf, math.inf)],
)
def test_what_is_left(deadline: float, seconds: float) -> None:
    assert left(deadline, 100.0) == seconds


def test_the_clock_goes_on() -> None:
    assert 0 < boottime() <= boottime()
