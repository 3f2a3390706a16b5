"""When a refusal of a received file is believed."""

from __future__ import annotations

from itertools import pairwise

import pytest
import trio
from trio.testing import MockClock

from wa_worker.delivery.media_refusals import QUICK, SPREAD, TRIES, WITHOUT_WITNESS, HostRefusals
from wa_worker.messages import MediaError


async def refused_until_believed(refusals: HostRefusals, error: MediaError, *, served_at: float | None) -> list[float]:
    """Returns the moments of the tries, the last of which was believed. served_at: when the host gives another file."""
    began, tries = trio.current_time(), []
    while True:
        at = trio.current_time() - began
        if served_at is not None and at >= served_at:
            refusals.served(2)
            served_at = None
        tries.append(at)
        if refusals.refused(1, error):
            return tries
        assert refusals.lasts(1) is (len(tries) >= QUICK)
        assert refusals.begins_to_last(1) is (len(tries) == QUICK)
        await trio.sleep_until(refusals.next_try(1))


@pytest.mark.parametrize("error", [MediaError.EXPIRED, MediaError.DAMAGED])
async def test_it_is_believed_after_ten_minutes(autojump_clock: MockClock, error: MediaError) -> None:
    tries = await refused_until_believed(HostRefusals(), error, served_at=60.0)
    assert tries[:3] == pytest.approx([0.0, 2.0, 4.0])
    assert tries[-1] == pytest.approx(SPREAD)
    assert TRIES <= len(tries) <= 12
    pauses = [after - before for before, after in pairwise(tries[2:-1])]
    assert pauses == sorted(pauses), "they grow"
    assert max(pauses) <= 240.0


async def test_a_host_that_gives_no_file_at_all_is_not_believed_for_an_hour(autojump_clock: MockClock) -> None:
    refusals = HostRefusals()
    refusals.served(2)
    await trio.sleep(1)
    tries = await refused_until_believed(refusals, MediaError.EXPIRED, served_at=None)
    assert WITHOUT_WITNESS * SPREAD <= tries[-1] <= WITHOUT_WITNESS * SPREAD + 240.0


async def test_a_host_that_gives_a_file_at_last_is_believed_then(autojump_clock: MockClock) -> None:
    tries = await refused_until_believed(HostRefusals(), MediaError.EXPIRED, served_at=1000.0)
    assert 1000.0 <= tries[-1] <= 1240.0


async def test_damage_needs_no_witness(autojump_clock: MockClock) -> None:
    tries = await refused_until_believed(HostRefusals(), MediaError.DAMAGED, served_at=None)
    assert tries[-1] == pytest.approx(SPREAD)


async def test_what_is_measured_here_is_believed_after_three_tries(autojump_clock: MockClock) -> None:
    tries = await refused_until_believed(HostRefusals(), MediaError.TOO_LARGE, served_at=None)
    assert tries == pytest.approx([0.0, 2.0, 4.0])


async def test_few_words_that_lie_far_apart_are_not_enough(autojump_clock: MockClock) -> None:
    refusals = HostRefusals()
    for _ in range(TRIES - 1):
        assert not refusals.refused(1, MediaError.DAMAGED)
        await trio.sleep(SPREAD)
    assert refusals.refused(1, MediaError.DAMAGED)


async def test_a_file_that_was_given_meanwhile_begins_anew(autojump_clock: MockClock) -> None:
    refusals = HostRefusals()
    for _ in range(TRIES - 1):
        refusals.refused(1, MediaError.DAMAGED)
    await trio.sleep(SPREAD)
    refusals.served(1)
    assert not refusals.lasts(1)
    assert not refusals.refused(1, MediaError.DAMAGED)
