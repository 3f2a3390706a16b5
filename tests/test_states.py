"""The state table: every row of it, and every pair that is none."""

from __future__ import annotations

import itertools

import pytest

from wa_worker.models import NextStep, ProxyStatus, Reason
from wa_worker.states import (
    AT_ONCE,
    CONDITIONS,
    ONCE_MORE,
    QUICK,
    REASONS,
    RESTRICTED,
    TABLE,
    TROUBLE,
    Action,
    Event,
    Health,
    IllegalMove,
    State,
    held_for,
    step,
    why,
)

LIVE = {State.OPENING, State.CONNECTED, State.RECONNECTING}
"""A native session is open in these."""

CLOSED = {State.RETRYING, State.LOGGED_OUT, State.HELD}

FINAL = {Event.LOGGED_OUT, Event.REPLACED, Event.BANNED, Event.OUTDATED, Event.REFUSED}
"""whatsmeow does not recover from these: it disconnects, and does not reconnect by itself."""

REPORTED = FINAL | {
    *(Event.CONNECTED, Event.DISCONNECTED, Event.OPEN_FAILED, Event.LOOP_ENDED, Event.VOLUME_FAILED),
    *(Event.STORE_FAILED, Event.STORE_LOST),
}
"""What a session may report at any moment."""

PAIRS = list(itertools.product(State, Event))


def named(value: object) -> str:
    return value.name if isinstance(value, State | Event) else repr(value)


@pytest.mark.parametrize(("state", "event"), list(TABLE), ids=named)
def test_a_row(state: State, event: Event) -> None:
    move = step(state, event)
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
            quick = AT_ONCE if event in (Event.LOOP_ENDED, Event.PROXY_CHANGED) else QUICK
            assert move.pause is (ONCE_MORE if event is Event.OVERTAKEN else quick)
        case Action.LEAVE:
            assert (move.to, event, move.pause) == (State.RETRYING, Event.STORE_LOST, QUICK)
        case Action.REPAIR:
            assert (move.to, event) == (State.LOGGED_OUT, Event.LOGGED_OUT)
            assert move.pause is None
        case Action.HOLD:
            assert move.to is State.HELD
            assert event in FINAL | {Event.STILL_HELD, Event.PASSKEY}
            assert move.pause is not None
            assert move.pause.first >= 60


STAYS = {
    (State.PAIRING, Event.QR): State.PAIRING,
    (State.PAIRING, Event.QUEUED): State.PAIRING,
    (State.OPENING, Event.CONNECTED): State.CONNECTED,
    (State.OPENING, Event.DISCONNECTED): State.RECONNECTING,
    (State.OPENING, Event.DEAF): State.OPENING,
    (State.CONNECTED, Event.CONNECTED): State.CONNECTED,
    (State.CONNECTED, Event.DISCONNECTED): State.RECONNECTING,
    (State.RECONNECTING, Event.CONNECTED): State.CONNECTED,
    (State.RECONNECTING, Event.DISCONNECTED): State.RECONNECTING,
    (State.RECONNECTING, Event.DEAF): State.RECONNECTING,
    **{(state, event): state for state in LIVE for event in (Event.RESTRICTED, Event.UNRESTRICTED)},
}
"""The rows in which the session, or the pairing, goes on, and what state that is."""

PAIRED_ANEW = {(State.PAIRING, event) for event in (Event.PAIRING_ENDED, Event.DEADLINE, Event.PROXY_CHANGED)}

OPENED_ANEW = {
    *((state, Event.CRASHED) for state in State),
    *((state, Event.OPEN_FAILED) for state in State),
    *((state, event) for state in LIVE for event in (Event.VOLUME_FAILED, Event.LOOP_ENDED, Event.STORE_FAILED)),
    *((state, Event.PROXY_CHANGED) for state in LIVE),
    *((state, Event.OVERTAKEN) for state in LIVE),
    *((state, Event.PROXY_FAILED) for state in LIVE | {State.PAIRING, State.RETRYING}),
    (State.PAIRING, Event.VOLUME_FAILED),
    (State.OPENING, Event.DEADLINE),
    (State.CONNECTED, Event.DEAF),
    (State.RECONNECTING, Event.DEADLINE),
}

KEPT_AWAY = {
    *((state, event) for state in LIVE for event in FINAL - {Event.LOGGED_OUT}),
    (State.PAIRING, Event.OUTDATED),
    (State.PAIRING, Event.PASSKEY),
    (State.RETRYING, Event.STILL_HELD),
}


def rows(*actions: Action) -> set[tuple[State, Event]]:
    return {pair for pair, move in TABLE.items() if move.action in actions}


def test_what_each_row_is_about() -> None:
    """Event by event: what goes on, what is opened or paired anew, and what is kept away from."""
    assert {pair: TABLE[pair].to for pair in rows(Action.STAY)} == STAYS
    closed = CLOSED | {State.PAIRING}
    assert rows(Action.PAIR) == PAIRED_ANEW | {(state, Event.UNPAIRED) for state in closed}
    assert rows(Action.OPEN) == {(state, Event.PAIRED) for state in closed}
    assert rows(Action.REOPEN) == OPENED_ANEW
    assert rows(Action.REPAIR) == {(state, Event.LOGGED_OUT) for state in LIVE}
    assert rows(Action.HOLD) == KEPT_AWAY
    assert rows(Action.LEAVE) == {(state, Event.STORE_LOST) for state in State}


@pytest.mark.parametrize(("state", "event"), [pair for pair in PAIRS if pair not in TABLE], ids=named)
def test_an_illegal_move(state: State, event: Event) -> None:
    with pytest.raises(IllegalMove, match=f"{event.name}.*{state.name}"):
        step(state, event)


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


def test_the_less_we_can_do_about_it_the_longer_we_keep_away() -> None:
    pauses = {event: step(State.OPENING, event).pause for event in FINAL - {Event.LOGGED_OUT}}
    first = {event: pause.first for event, pause in pauses.items() if pause is not None}
    assert first[Event.REFUSED] == first[Event.BANNED] < first[Event.REPLACED] < first[Event.OUTDATED]


REACHED = {(move.to, event) for (_, event), move in TABLE.items()}


def test_every_move_has_a_reason_and_no_reason_is_of_no_move() -> None:
    assert set(REASONS) == REACHED


SAID_LAST = {Reason.WORKER_STOPPING, Reason.RELEASED}
"""What no state has: the end of an instance."""


def test_every_reason_is_of_some_state() -> None:
    assert {why.reason for why in REASONS.values()} == set(Reason) - SAID_LAST


@pytest.mark.parametrize(("state", "event"), sorted(REACHED, key=repr), ids=named)
def test_a_reason(state: State, event: Event) -> None:
    """What each has to be, by the state it is of: the table cannot name a hold for a log-out."""
    found = why(state, event)
    allowed = {
        State.PAIRING: {Reason.SCAN, Reason.WAITING},
        State.OPENING: {Reason.OPENING},
        State.CONNECTED: {Reason.CONNECTED, Reason.RESTRICTED},
        State.RECONNECTING: {Reason.RECONNECTING},
        State.RETRYING: {Reason.RETRYING, Reason.VOLUME_FULL, Reason.CRASHED, Reason.PROXY_FAILED},
        State.LOGGED_OUT: {Reason.LOGGED_OUT},
        State.HELD: {Reason.REPLACED, Reason.BANNED, Reason.OUTDATED, Reason.REFUSED, Reason.PASSKEY},
    }
    assert found.reason in allowed[state]
    assert (found.action is None) == (found.reason is Reason.CONNECTED), "all else is something to wait for, or to do"
    assert (found.reason is Reason.SCAN) == (event is Event.QR), "only then there is a code"


ASKED = {
    Reason.SCAN: NextStep.SCAN,
    Reason.LOGGED_OUT: NextStep.SCAN,
    Reason.OUTDATED: NextStep.UPGRADE,
    Reason.REPLACED: NextStep.CHECK_PHONE,
    Reason.REFUSED: NextStep.CHECK_PHONE,
    Reason.PASSKEY: NextStep.PASSKEY,
    Reason.PROXY_FAILED: NextStep.CHECK_PROXY,
}
"""The reasons about which somebody can do something; all others pass."""


def test_what_somebody_has_to_do() -> None:
    for found in REASONS.values():
        if found.reason is not Reason.CONNECTED:
            assert found.action is ASKED.get(found.reason, NextStep.WAIT)
    assert RESTRICTED in REASONS.values()


@pytest.mark.parametrize("event", [event for event in TROUBLE if (State.HELD, event) in REASONS], ids=named)
def test_what_is_held_since_before_the_start_says_what_for(event: Event) -> None:
    assert held_for(event.name) is event
    assert why(State.HELD, Event.STILL_HELD, event.name) == REASONS[State.HELD, event]


@pytest.mark.parametrize("name", ["LOGGED_OUT", "a reason of a later version", ""])
def test_what_it_is_held_for_may_be_unknown(name: str) -> None:
    assert held_for(name) is None
    assert why(State.HELD, Event.STILL_HELD, name) == REASONS[State.HELD, Event.STILL_HELD]
