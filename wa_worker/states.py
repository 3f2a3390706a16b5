"""What state an instance is in, and what each event makes of it: one table, no I/O, no trio, no neonize.

`step()` is the only way from one state to another; a pair that is not in the table raises. `docs/states.md` is made
from here. Retry policies are a column of the table: how long to stay away is a property of how it ended.
"""

from __future__ import annotations

import enum

import attrs

from wa_worker.backoff import Backoff
from wa_worker.models import NextStep, ProxyStatus, Reason, Why


class Health(enum.Enum):
    """Names the bucket an instance counts in at `GET /health`."""

    CONNECTED = "connected"
    CONNECTING = "connecting"
    RECONNECTING = "reconnecting"


class State(enum.Enum):
    PAIRING = "pairing"
    """No device in the store: QR codes are shown until one is scanned."""
    OPENING = "opening"
    """Paired: the session logs in."""
    CONNECTED = "connected"
    """WhatsApp says so."""
    RECONNECTING = "reconnecting"
    """The connection broke; whatsmeow is getting it back by itself."""
    RETRYING = "retrying"
    """The session is closed and will be opened again after a short pause."""
    LOGGED_OUT = "logged out"
    """The phone removed this device; the store is archived before pairing starts."""
    HELD = "held"
    """WhatsApp told us to keep away (replaced, banned, outdated...): closed for minutes or longer."""


UNOWNED = "unowned"
"""What is said in the place of a state of an instance that is to run and that no worker has, where several share."""


class Event(enum.Enum):
    UNPAIRED = "no device in the store"
    PAIRED = "a device is in the store"
    QUEUED = "others show QR codes, as many as may at once: it waits its turn"
    QR = "a new QR code"
    PAIRING_ENDED = "the QR codes ran out or their host died"
    CONNECTED = "WhatsApp accepted the login"
    DISCONNECTED = "the connection broke"
    LOGGED_OUT = "the phone removed this device"
    REPLACED = "another client took the session over"
    OVERTAKEN = "a login of a former worker took the session over"
    BANNED = "temporary ban"
    OUTDATED = "WhatsApp refuses this client version"
    REFUSED = "WhatsApp refused the login for another reason"
    OPEN_FAILED = "the session could not be opened"
    LOOP_ENDED = "the library stopped handing over what comes"
    DEADLINE = "nothing happened in time"
    DEAF = "connected, but nothing is heard"
    PROXY_FAILED = "its proxy lets nothing through, or is none"
    PROXY_CHANGED = "it has another proxy now"
    VOLUME_FAILED = "the volume cannot be written or is full"
    STORE_FAILED = "the session store cannot be reached"
    STORE_LOST = "another worker has taken the session store"
    STILL_HELD = "held since before the start"
    PASSKEY = "WhatsApp asks for a passkey to link this account"
    RESTRICTED = "WhatsApp does not let this account write first to people (error 463)"
    UNRESTRICTED = "it writes to people again, or was not refused for an hour"
    CRASHED = "an error nobody expected"


@attrs.frozen
class Report:
    """An event and what is known of it. `detail` is for the log; `seconds` is how long a ban lasts."""

    event: Event
    detail: str = ""
    seconds: float | None = None


class Action(enum.Enum):
    """Says what the instance does about the session."""

    STAY = "keep the session"
    OPEN = "open the session"
    PAIR = "show QR codes"
    REOPEN = "close it, pause, open it again"
    REPAIR = "close it, archive the store, pair anew"
    HOLD = "close it and keep away"
    LEAVE = "close it without a word, pause, look whose it is"


@attrs.frozen
class Condition:
    """Says what a state means to the outside. `deadline`: seconds after which it ends with DEADLINE, None for never."""

    status: ProxyStatus
    health: Health
    deadline: float | None


@attrs.frozen
class Move:
    """Describes a row of the table. `pause` is the retry policy; for a ban the expiry counts if it is longer."""

    to: State
    action: Action
    pause: Backoff | None = None


CONDITIONS = {
    # whatsmeow shows the first code for 60 s and each other for 20 s; a pairing host needs a moment to start
    State.PAIRING: Condition(ProxyStatus.CONNECTING, Health.CONNECTING, 75.0),
    # its handshake gives up after 20 s, and the start gate may be taken for a while at boot
    State.OPENING: Condition(ProxyStatus.CONNECTING, Health.CONNECTING, 60.0),
    State.CONNECTED: Condition(ProxyStatus.CONNECTED, Health.CONNECTED, None),
    # whatsmeow tries after 0, 2, 4, 6... s: by then it has tried five times
    State.RECONNECTING: Condition(ProxyStatus.CONNECTING, Health.RECONNECTING, 30.0),
    State.RETRYING: Condition(ProxyStatus.CONNECTING, Health.RECONNECTING, None),
    State.LOGGED_OUT: Condition(ProxyStatus.DISCONNECTED, Health.RECONNECTING, None),
    State.HELD: Condition(ProxyStatus.DISCONNECTED, Health.RECONNECTING, None),
}

QUICK = Backoff(first=1.0, ceiling=60.0)
"""Trouble that passes: networks, servers, ourselves."""
AT_ONCE = Backoff(first=0.2, ceiling=60.0, factor=4.0)
"""The session was healthy, and what WhatsApp has for it waits: unless it ends like that again and again."""
ONCE_MORE = Backoff(first=2.0, ceiling=2.0)
"""The lease says that the session is ours: a login of its former worker slipped through, and that worker ends."""
POLITE = Backoff(first=180.0, ceiling=3600.0)
"""Someone else holds the session: no fight."""
SLOW = Backoff(first=900.0, ceiling=6 * 3600.0)
"""Only a person can help, by upgrading or asking WhatsApp; the retry finds out when one has."""
REFUSAL = Backoff(first=60.0, ceiling=3600.0)
"""WhatsApp says no without a time: it may change its mind."""

PROVEN = 60.0
"""Seconds CONNECTED after which backoff starts anew: success resets it, an attempt never does."""

TROUBLE = (Event.LOGGED_OUT, Event.REPLACED, Event.BANNED, Event.OUTDATED, Event.REFUSED, Event.PASSKEY)
"""Events after which an instance stays away until a person has helped or a long time has passed."""

_PAIR = Move(State.PAIRING, Action.PAIR)
_OPEN = Move(State.OPENING, Action.OPEN)
_REOPEN = Move(State.RETRYING, Action.REOPEN, QUICK)
_LEAVE = Move(State.RETRYING, Action.LEAVE, QUICK)

_CLOSED = (State.PAIRING, State.RETRYING, State.LOGGED_OUT, State.HELD)
_LIVE = (State.OPENING, State.CONNECTED, State.RECONNECTING)
_CUT = (State.OPENING, State.RECONNECTING)
"""Live, but for the moment without a connection: what happened before it broke may be heard of now."""
_RESTRICTION = (Event.RESTRICTED, Event.UNRESTRICTED)
_ENDINGS = {
    Event.LOGGED_OUT: Move(State.LOGGED_OUT, Action.REPAIR),
    Event.REPLACED: Move(State.HELD, Action.HOLD, POLITE),
    Event.OVERTAKEN: Move(State.RETRYING, Action.REOPEN, ONCE_MORE),
    Event.BANNED: Move(State.HELD, Action.HOLD, REFUSAL),
    Event.OUTDATED: Move(State.HELD, Action.HOLD, SLOW),
    Event.REFUSED: Move(State.HELD, Action.HOLD, REFUSAL),
    Event.OPEN_FAILED: _REOPEN,
    Event.LOOP_ENDED: Move(State.RETRYING, Action.REOPEN, AT_ONCE),
    Event.PROXY_FAILED: _REOPEN,
    Event.PROXY_CHANGED: Move(State.RETRYING, Action.REOPEN, AT_ONCE),
    Event.VOLUME_FAILED: _REOPEN,
    Event.STORE_FAILED: _REOPEN,
    Event.STORE_LOST: _LEAVE,
}

TABLE: dict[tuple[State, Event], Move] = {
    **{(state, Event.UNPAIRED): _PAIR for state in _CLOSED},
    **{(state, Event.PAIRED): _OPEN for state in _CLOSED},
    **{(state, event): move for state in _LIVE for event, move in _ENDINGS.items()},
    **{(State.PAIRING, event): Move(State.PAIRING, Action.STAY) for event in (Event.QR, Event.QUEUED)},
    (State.PAIRING, Event.PAIRING_ENDED): _PAIR,
    (State.PAIRING, Event.DEADLINE): _PAIR,
    (State.PAIRING, Event.OUTDATED): Move(State.HELD, Action.HOLD, SLOW),
    (State.PAIRING, Event.PASSKEY): Move(State.HELD, Action.HOLD, REFUSAL),
    (State.PAIRING, Event.VOLUME_FAILED): _REOPEN,
    (State.PAIRING, Event.PROXY_FAILED): _REOPEN,
    (State.PAIRING, Event.PROXY_CHANGED): _PAIR,
    (State.RETRYING, Event.PROXY_FAILED): _REOPEN,
    (State.RETRYING, Event.STILL_HELD): Move(State.HELD, Action.HOLD, REFUSAL),
    **{(state, Event.CRASHED): _REOPEN for state in State},
    **{(state, Event.OPEN_FAILED): _REOPEN for state in _CLOSED},
    **{(state, Event.STORE_LOST): _LEAVE for state in _CLOSED},
    (State.OPENING, Event.CONNECTED): Move(State.CONNECTED, Action.STAY),
    (State.OPENING, Event.DISCONNECTED): Move(State.RECONNECTING, Action.STAY),
    (State.OPENING, Event.DEADLINE): _REOPEN,
    (State.CONNECTED, Event.CONNECTED): Move(State.CONNECTED, Action.STAY),
    (State.CONNECTED, Event.DISCONNECTED): Move(State.RECONNECTING, Action.STAY),
    (State.CONNECTED, Event.DEAF): _REOPEN,
    **{(State.CONNECTED, event): Move(State.CONNECTED, Action.STAY) for event in _RESTRICTION},
    **{(state, event): Move(state, Action.STAY) for state in _CUT for event in _RESTRICTION},
    **{(state, Event.DEAF): Move(state, Action.STAY) for state in _CUT},
    (State.RECONNECTING, Event.CONNECTED): Move(State.CONNECTED, Action.STAY),
    (State.RECONNECTING, Event.DISCONNECTED): Move(State.RECONNECTING, Action.STAY),
    (State.RECONNECTING, Event.DEADLINE): _REOPEN,
}


_SCAN = Why(Reason.SCAN, NextStep.SCAN)
_CODE_COMES = Why(Reason.WAITING, NextStep.WAIT)
_LOGS_IN = Why(Reason.OPENING, NextStep.WAIT)
_BROKEN = Why(Reason.RECONNECTING, NextStep.WAIT)
_TRIED_AGAIN = Why(Reason.RETRYING, NextStep.WAIT)

RESTRICTED = Why(Reason.RESTRICTED, NextStep.WAIT)
"""Why CONNECTED is not all well, for as long as the restriction is believed."""

REASONS: dict[tuple[State, Event], Why] = {
    (State.PAIRING, Event.QR): _SCAN,
    **{
        (State.PAIRING, event): _CODE_COMES
        for event in (Event.UNPAIRED, Event.QUEUED, Event.PAIRING_ENDED, Event.DEADLINE, Event.PROXY_CHANGED)
    },
    **{(State.OPENING, event): _LOGS_IN for event in (Event.PAIRED, Event.DEAF, *_RESTRICTION)},
    (State.CONNECTED, Event.CONNECTED): Why(Reason.CONNECTED, None),
    (State.CONNECTED, Event.RESTRICTED): RESTRICTED,
    (State.CONNECTED, Event.UNRESTRICTED): Why(Reason.CONNECTED, None),
    **{(State.RECONNECTING, event): _BROKEN for event in (Event.DISCONNECTED, Event.DEAF, *_RESTRICTION)},
    **{
        (State.RETRYING, event): _TRIED_AGAIN
        for event in (
            *(Event.OPEN_FAILED, Event.LOOP_ENDED, Event.DEADLINE, Event.DEAF, Event.PROXY_CHANGED),
            *(Event.OVERTAKEN, Event.STORE_FAILED, Event.STORE_LOST),  # nobody is told of the last
        )
    },
    (State.RETRYING, Event.PROXY_FAILED): Why(Reason.PROXY_FAILED, NextStep.CHECK_PROXY),
    (State.RETRYING, Event.VOLUME_FAILED): Why(Reason.VOLUME_FULL, NextStep.WAIT),
    (State.RETRYING, Event.CRASHED): Why(Reason.CRASHED, NextStep.WAIT),
    (State.LOGGED_OUT, Event.LOGGED_OUT): Why(Reason.LOGGED_OUT, NextStep.SCAN),
    (State.HELD, Event.REPLACED): Why(Reason.REPLACED, NextStep.CHECK_PHONE),
    (State.HELD, Event.BANNED): Why(Reason.BANNED, NextStep.WAIT),
    (State.HELD, Event.OUTDATED): Why(Reason.OUTDATED, NextStep.UPGRADE),
    (State.HELD, Event.REFUSED): Why(Reason.REFUSED, NextStep.CHECK_PHONE),
    (State.HELD, Event.PASSKEY): Why(Reason.PASSKEY, NextStep.PASSKEY),
    # and if it is known what it is held for, that
    (State.HELD, Event.STILL_HELD): Why(Reason.REFUSED, NextStep.CHECK_PHONE),
}
"""Why the status of a state is what it is, by the event that led to it or happened in it last."""


def why(state: State, event: Event, detail: str = "") -> Why:
    """Returns the reason of `state` after `event`. `detail`: of STILL_HELD, the name of what it is held for."""
    if event is Event.STILL_HELD:
        return REASONS[state, held_for(detail) or event]
    return REASONS[state, event]


def held_for(name: str) -> Event | None:
    """Returns the event that the journal says an instance is held for, None for one that is not known here."""
    return next((event for event in TROUBLE if event.name == name and (State.HELD, event) in REASONS), None)


class IllegalMove(Exception):
    """An event that cannot happen in this state: a bug of ours, caught by the instance's crash barrier."""


def step(state: State, event: Event) -> Move:
    """Returns the move that `event` causes in `state`. Raises IllegalMove if the table has none."""
    try:
        return TABLE[state, event]
    except KeyError:
        raise IllegalMove(f"{event.name} cannot happen while {state.name}") from None
