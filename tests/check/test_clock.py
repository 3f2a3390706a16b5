"""What `wa-worker check` makes of the clocks of others."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest

from wa_worker.check.clock import Clock
from wa_worker.check.result import Grade


@pytest.mark.parametrize(
    ("ahead", "grade"),
    [(0, Grade.OK), (-25, Grade.OK), (25, Grade.OK), (40, Grade.WARN), (-40, Grade.WARN), (400, Grade.FAIL)],
)
def test_of_the_clock(ahead: int, grade: Grade) -> None:
    clock = Clock()
    clock.saw("the proxy", formatdate(time.time() - ahead, usegmt=True), time.time())
    assert clock.result().grade is grade
    if grade is not Grade.OK:
        assert ("ahead of" if ahead > 0 else "behind") in clock.result().found


def test_the_clock_of_whatsapp_counts_most_and_caches_do_not() -> None:
    clock = Clock()
    clock.saw("the proxy", formatdate(time.time() - 900, usegmt=True), time.time(), age="900")
    clock.saw("the proxy", "yesterday", time.time())
    clock.saw("the proxy", None, time.time())
    assert "not checked" in clock.result().found
    clock.saw("the proxy", formatdate(time.time() - 900, usegmt=True), time.time())
    clock.saw("WhatsApp", formatdate(time.time(), usegmt=True), time.time())
    assert clock.result().grade is Grade.OK


def test_a_slow_answer_does_not_look_like_a_wrong_clock() -> None:
    for written in (time.time() - 60, time.time()):  # it may have been dated at once, or at the end
        clock = Clock()
        clock.saw("the proxy", formatdate(written, usegmt=True), time.time() - 60)
        assert clock.result().grade is Grade.OK
