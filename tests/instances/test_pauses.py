"""How long an instance stays away: whose word counts, and what makes it longer."""

from __future__ import annotations

import time

import pytest

from wa_worker.instances.pauses import BAN_MARGIN, LONGEST_BAN, Pauses
from wa_worker.journal import Hold
from wa_worker.states import POLITE, QUICK, REFUSAL, TABLE, Event, Move, State

BANNED = TABLE[State.CONNECTED, Event.BANNED]
REPLACED = TABLE[State.CONNECTED, Event.REPLACED]
STILL_HELD = TABLE[State.RETRYING, Event.STILL_HELD]
OPEN_FAILED = TABLE[State.OPENING, Event.OPEN_FAILED]


def draw(pauses: Pauses, event: Event, move: Move, lasts: float | None = None, *, anew: bool = False) -> float:
    pause = pauses.draw(event, move, lasts, anew=anew)
    assert pause is not None
    return pause


def held(reason: str, count: int, *, ended: float = 0.0) -> Pauses:
    """Of an instance that was held `count` times in a row, the last time until `ended` seconds ago."""
    pauses = Pauses()
    until = time.time() - ended
    pauses.held = Hold(reason, until, count, until - 1)
    return pauses


def test_a_ban_lasts_as_long_as_whatsapp_says_and_a_moment() -> None:
    assert 100 < draw(Pauses(), Event.BANNED, BANNED, 100.0) <= 100 + 1.2 * BAN_MARGIN
    assert draw(held("BANNED", 9), Event.BANNED, BANNED, 0.0) <= 1.2 * BAN_MARGIN, "its own word, not our policy"


def test_a_ban_without_end_is_asked_about() -> None:
    assert LONGEST_BAN < draw(Pauses(), Event.BANNED, BANNED, 1e12) <= LONGEST_BAN + 1.2 * BAN_MARGIN


def test_a_ban_of_which_nothing_is_said_follows_the_policy() -> None:
    assert REFUSAL.first / 2 <= draw(Pauses(), Event.BANNED, BANNED) <= REFUSAL.first


def test_what_is_left_of_a_hold_is_waited_to_the_second() -> None:
    assert draw(held("BANNED", 3), Event.STILL_HELD, STILL_HELD, 12.5) == 12.5


def test_each_further_hold_for_the_same_reason_is_longer() -> None:
    assert POLITE.first / 2 <= draw(Pauses(), Event.REPLACED, REPLACED) <= POLITE.first
    assert 2 * POLITE.first <= draw(held("REPLACED", 2), Event.REPLACED, REPLACED) <= 4 * POLITE.first


@pytest.mark.parametrize(
    "pauses", [held("BANNED", 2), held("REPLACED", 2, ended=90_000)], ids=["another reason", "long ago"]
)
def test_one_that_does_not_count_makes_it_no_longer(pauses: Pauses) -> None:
    assert draw(pauses, Event.REPLACED, REPLACED) <= POLITE.first


def test_nor_does_one_before_success_that_was_proven() -> None:
    assert draw(held("REPLACED", 2), Event.REPLACED, REPLACED, anew=True) <= POLITE.first


def test_pauses_between_tries_grow_until_they_are_reset() -> None:
    pauses = Pauses()
    for whole in (1, 2, 4):
        assert whole / 2 <= draw(pauses, Event.OPEN_FAILED, OPEN_FAILED) <= whole
    pauses.reset()
    assert draw(pauses, Event.OPEN_FAILED, OPEN_FAILED) <= QUICK.first


@pytest.mark.parametrize("pair", [pair for pair, move in TABLE.items() if move.pause is None], ids=str)
def test_what_does_not_stay_away_has_no_pause(pair: tuple[State, Event]) -> None:
    assert Pauses().draw(pair[1], TABLE[pair], 5.0, anew=False) is None
