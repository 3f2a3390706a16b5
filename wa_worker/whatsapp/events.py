"""The library's lifecycle events as typed reports. Pure.

Which of them are final and which whatsmeow recovers from is in connection.py's table, not here.
"""

from __future__ import annotations

import attrs
from neonize.proto import Neonize_pb2 as pb

from wa_worker.states import Event

MESSAGE = 17
OFFLINE_SYNC_COMPLETED = 27
UNDECRYPTABLE = 44

CODES = [
    3,
    4,
    6,
    7,
    8,
    9,
    10,
    11,
    12,
    MESSAGE,
    OFFLINE_SYNC_COMPLETED,
    UNDECRYPTABLE,
]
"""What a session subscribes to (numbers: EVENT_TO_INT in neonize/events.py)."""


DEAF_AFTER = 2
"""Unanswered keepalives in a row that make a session deaf. whatsmeow sends one every 20-30 s and waits 10 s for the
answer, so this is 60-80 s; by itself it would reconnect after 3 minutes (keepalive.go)."""


@attrs.frozen
class Report:
    """Something happened to a session. `detail` is for the log; `seconds` is how long a ban lasts."""

    event: Event
    detail: str = ""
    seconds: float | None = None


def report(code: int, data: bytes) -> Report | None:
    """The report of an event, None for codes that are no lifecycle events. Raises DecodeError on bad protobuf."""
    match code:
        case 3:
            return Report(Event.CONNECTED)
        case 4:
            missed = pb.KeepAliveTimeout.FromString(data).ErrorCount
            return Report(Event.DEAF, f"{missed} keepalives without an answer") if missed >= DEAF_AFTER else None
        case 6:
            out = pb.LoggedOut.FromString(data)
            when = "at login" if out.OnConnect else "while connected"
            return Report(Event.LOGGED_OUT, f"{_reason(out.Reason)} {when}")
        case 7:
            return Report(Event.REPLACED)
        case 8:
            ban = pb.TemporaryBan.FromString(data)
            name = pb.TemporaryBan.TempBanReason.Name(ban.Code).lower() if ban.Code else "no reason given"
            return Report(Event.BANNED, name, _ban_seconds(ban.Expire))
        case 9:
            failure = pb.ConnectFailure.FromString(data)
            return Report(Event.REFUSED, f"{_reason(failure.Reason)} {failure.Message}".strip())
        case 10:
            return Report(Event.OUTDATED)
        case 11:
            return Report(Event.DISCONNECTED, f"stream error {pb.StreamError.FromString(data).Code or '?'}")
        case 12:
            return Report(Event.DISCONNECTED)
    return None


def _reason(number: int) -> str:
    try:
        return str(pb.ConnectFailureReason.Name(number)).lower()
    except ValueError:
        return f"reason {number}"


def _ban_seconds(expire: int) -> float | None:
    """None where WhatsApp names no end. 0.5.2 hands a Go duration over; what is larger than a century of seconds is in
    nanoseconds."""
    if expire <= 0:
        return None
    return expire / 1e9 if expire > 3_200_000_000 else float(expire)
