"""The state table: every row of it, and every pair that is none."""

from __future__ import annotations

import itertools

import attrs
import pytest

from wa_worker.models import ProxyStatus
from wa_worker.states import (
    CONDITIONS,
    POLITE,
    PROVEN,
    QUICK,
    REFUSAL,
    SLOW,
    TABLE,
    Action,
    Event,
    Health,
    IllegalMove,
    Move,
    State,
    step,
)

LIVE = {State.OPENING, State.CONNECTED, State.RECONNECTING}
"""A native session is open in these."""

CLOSED = {State.RETRYING, State.LOGGED_OUT, State.HELD}

FINAL = {Event.LOGGED_OUT, Event.REPLACED, Event.BANNED, Event.OUTDATED, Event.REFUSED}
"""whatsmeow does not recover from these (neonize-hazards 16)."""

REPORTED = FINAL | {Event.CONNECTED, Event.DISCONNECTED, Event.OPEN_FAILED, Event.VOLUME_FAILED}
"""What a session may report at any moment."""

PAIRS = list(itertools.product(State, Event))


def named(value: object) -> str:
    return value.name if isinstance(value, State | Event) else repr(value)


@pytest.mark.parametrize(("state", "event"), list(TABLE), ids=named)
def test_a_row(state: State, event: Event) -> None:
    move = step(state, event)
    assert move is TABLE[state, event]
    match move.action:
        case Action.STAY:
            assert move.to in LIVE | {State.PAIRING}
            assert state in LIVE | {State.PAIRING}, "what is closed cannot be kept"
            assert move.pause is None
        case Action.OPEN:
            assert (move.to, event) == (State.OPENING, Event.PAIRED)
            assert move.pause is None
        case Action.PAIR:
            assert move.to is State.PAIRING
            assert move.pause is None
        case Action.REOPEN:
            assert move.to is State.RETRYING
            assert move.pause is QUICK
        case Action.REPAIR:
            assert (move.to, event) == (State.LOGGED_OUT, Event.LOGGED_OUT)
            assert move.pause is None
        case Action.HOLD:
            assert move.to is State.HELD
            assert event in FINAL
            assert move.pause is not None
            assert move.pause.first >= 60


@pytest.mark.parametrize(("state", "event"), [pair for pair in PAIRS if pair not in TABLE], ids=named)
def test_an_illegal_move(state: State, event: Event) -> None:
    with pytest.raises(IllegalMove, match=f"{event.name}.*{state.name}"):
        step(state, event)


@attrs.frozen
class Row:
    """The design's section 4, a line each."""

    state: State
    event: Event
    move: Move


DESIGN = [
    Row(State.RETRYING, Event.UNPAIRED, Move(State.PAIRING, Action.PAIR)),
    Row(State.PAIRING, Event.QR, Move(State.PAIRING, Action.STAY)),
    Row(State.PAIRING, Event.PAIRING_ENDED, Move(State.PAIRING, Action.PAIR)),
    Row(State.PAIRING, Event.DEADLINE, Move(State.PAIRING, Action.PAIR)),
    Row(State.PAIRING, Event.PAIRED, Move(State.OPENING, Action.OPEN)),
    Row(State.OPENING, Event.CONNECTED, Move(State.CONNECTED, Action.STAY)),
    Row(State.OPENING, Event.DEADLINE, Move(State.RETRYING, Action.REOPEN, QUICK)),
    Row(State.OPENING, Event.OPEN_FAILED, Move(State.RETRYING, Action.REOPEN, QUICK)),
    Row(State.CONNECTED, Event.DISCONNECTED, Move(State.RECONNECTING, Action.STAY)),
    Row(State.CONNECTED, Event.DEAF, Move(State.RETRYING, Action.REOPEN, QUICK)),
    Row(State.RECONNECTING, Event.CONNECTED, Move(State.CONNECTED, Action.STAY)),
    Row(State.RECONNECTING, Event.DEADLINE, Move(State.RETRYING, Action.REOPEN, QUICK)),
    Row(State.CONNECTED, Event.LOGGED_OUT, Move(State.LOGGED_OUT, Action.REPAIR)),
    Row(State.LOGGED_OUT, Event.UNPAIRED, Move(State.PAIRING, Action.PAIR)),
    Row(State.CONNECTED, Event.REPLACED, Move(State.HELD, Action.HOLD, POLITE)),
    Row(State.OPENING, Event.BANNED, Move(State.HELD, Action.HOLD, REFUSAL)),
    Row(State.OPENING, Event.OUTDATED, Move(State.HELD, Action.HOLD, SLOW)),
    Row(State.PAIRING, Event.OUTDATED, Move(State.HELD, Action.HOLD, SLOW)),
    Row(State.OPENING, Event.REFUSED, Move(State.HELD, Action.HOLD, REFUSAL)),
    Row(State.HELD, Event.PAIRED, Move(State.OPENING, Action.OPEN)),
]


@pytest.mark.parametrize("row", DESIGN, ids=lambda row: f"{row.state.name}-{row.event.name}")
def test_the_design(row: Row) -> None:
    assert step(row.state, row.event) == row.move


@pytest.mark.parametrize("event", sorted(REPORTED, key=named), ids=named)
@pytest.mark.parametrize("state", sorted(LIVE, key=named), ids=named)
def test_a_session_may_report_anything_at_any_time(state: State, event: Event) -> None:
    move = step(state, event)
    if event in FINAL:
        assert move.to not in LIVE


@pytest.mark.parametrize("state", sorted(CLOSED | {State.PAIRING}, key=named), ids=named)
def test_from_every_closed_state_there_is_a_way_back(state: State) -> None:
    assert step(state, Event.PAIRED).action is Action.OPEN
    assert step(state, Event.UNPAIRED).action is Action.PAIR


@pytest.mark.parametrize("state", list(State), ids=named)
def test_a_condition(state: State) -> None:
    condition = CONDITIONS[state]
    assert ((state, Event.DEADLINE) in TABLE) == (condition.deadline is not None)
    if state in (State.PAIRING, State.OPENING, State.RECONNECTING):
        assert condition.deadline is not None, "what waits for WhatsApp waits with a deadline"
        assert 0 < condition.deadline <= 120
    assert (condition.status is ProxyStatus.CONNECTED) == (state is State.CONNECTED)
    assert (condition.health is Health.CONNECTED) == (state is State.CONNECTED)
    assert (condition.status is ProxyStatus.DISCONNECTED) == (state in (State.LOGGED_OUT, State.HELD))
    assert (condition.health is Health.CONNECTING) == (state in (State.PAIRING, State.OPENING))


def test_every_state_and_event_is_used() -> None:
    assert {state for state, _ in TABLE} == {move.to for move in TABLE.values()} == set(State)
    assert {event for _, event in TABLE} == set(Event)


def test_backoff_is_reset_by_more_than_a_moment_of_success() -> None:
    assert PROVEN >= 30
