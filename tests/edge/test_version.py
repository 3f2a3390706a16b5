"""Which version of the contract the proxy is taken to speak, after each kind of answer."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from wa_worker.edge.version import ASK_AGAIN, MALFORMED, SECOND_LOOK, ContractVersion


async def test_it_is_one_until_a_poll_has_shown_two(autojump_clock: MockClock) -> None:
    version, changes = ContractVersion(), []
    version.on_change.append(lambda: changes.append(version.two))
    assert version.try_two
    assert not version.two
    assert not version.events
    version.is_two()
    version.is_two()
    assert version.events
    assert changes == [True]


async def test_a_proxy_of_version_1_is_asked_again_after_a_while(autojump_clock: MockClock) -> None:
    version = ContractVersion()
    version.is_one()
    assert not version.try_two
    await trio.sleep(0.9 * ASK_AGAIN - 1)
    assert not version.try_two
    await trio.sleep(0.2 * ASK_AGAIN + 2)
    assert version.try_two


async def test_a_proxy_that_goes_back_is_followed(autojump_clock: MockClock) -> None:
    version, changes = ContractVersion(), []
    version.on_change.append(lambda: changes.append(version.two))
    version.is_two()
    version.is_one()
    assert not version.two
    assert not version.events
    assert not version.try_two
    assert changes == [True, False]
    await trio.sleep(1.2 * SECOND_LOOK)
    assert version.try_two, "it may have been one odd answer"
    version.is_one()
    await trio.sleep(1.2 * SECOND_LOOK)
    assert not version.try_two


async def test_what_says_nothing_is_tried_again_soon_and_then_less_often(autojump_clock: MockClock) -> None:
    version = ContractVersion()
    pauses: list[float] = []
    for _ in range(14):
        version.says_nothing()
        assert not version.try_two
        began = trio.current_time()
        while not version.try_two:  # noqa: ASYNC110 - nothing tells
            await trio.sleep(0.5)
        pauses.append(trio.current_time() - began)
    assert pauses[0] <= 2.5
    assert ASK_AGAIN / 2 <= pauses[-1] <= ASK_AGAIN + 1
    version.is_two()
    version.says_nothing()
    assert not version.two
    await trio.sleep(2.5)
    assert version.try_two, "it has been seen to speak version 2"


async def test_the_end_of_an_outage_makes_it_try_at_once(autojump_clock: MockClock) -> None:
    version = ContractVersion()
    version.is_one()
    version.proxy_is_back()
    assert version.try_two


async def test_a_proxy_without_events_gets_its_events_by_version_1(autojump_clock: MockClock) -> None:
    version = ContractVersion()
    version.is_two()
    version.no_events()
    assert version.two
    assert not version.events
    await trio.sleep(31)
    assert version.events
    version.no_events()
    await trio.sleep(31)
    assert not version.events or trio.current_time() > 60, "less often each time"
    version.is_one()
    version.is_two()
    assert version.events, "it has changed since"


async def test_calls_that_were_under_way_together_are_one_word(autojump_clock: MockClock) -> None:
    """Several are, and a proxy that had no /events for a moment is not left alone for many minutes."""
    version = ContractVersion()
    version.is_two()
    for _ in range(5):
        version.no_events()
    await trio.sleep(31)
    assert version.events


async def test_answers_that_are_no_results_are_like_no_events(autojump_clock: MockClock) -> None:
    version = ContractVersion()
    version.is_two()
    for _ in range(MALFORMED - 1):
        version.events_answered(well_formed=False)
    version.events_answered(well_formed=True)
    for _ in range(MALFORMED - 1):
        version.events_answered(well_formed=False)
    assert version.events, "only in a row"
    version.events_answered(well_formed=False)
    assert not version.events
