"""The library's events, one row each: its code, its name, and who handles it. Pure.

Which of them are final and which whatsmeow recovers from is in states.py's table, not here.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

from neonize.proto import Neonize_pb2 as pb

from wa_worker.states import Event, Report
from wa_worker.whatsapp.parsing import parsed

DEAF_AFTER = 2
"""Unanswered keepalives in a row that make a session deaf. whatsmeow sends one every 20-30 s and waits 10 s for the
answer, so this is 60-80 s; by itself it would reconnect after 3 minutes (keepalive.go)."""


UNKNOWN = "unknown reason"
"""What the log says of a reason that WhatsApp did not give, or that the library has no name for. The default of its
protobufs is a name like any other, and would be an accusation."""


class Code(enum.IntEnum):
    """Says what a session subscribes to (numbers: EVENT_TO_INT in neonize/events.py)."""

    CONNECTED = 3
    KEEPALIVE_TIMEOUT = 4
    LOGGED_OUT = 6
    STREAM_REPLACED = 7
    TEMPORARY_BAN = 8
    CONNECT_FAILURE = 9
    CLIENT_OUTDATED = 10
    STREAM_ERROR = 11
    DISCONNECTED = 12
    MESSAGE = 17
    RECEIPT = 18
    JOINED_GROUP = 21
    GROUP_INFO_EVENT = 22
    OFFLINE_SYNC_COMPLETED = 27
    CALL_OFFER = 36
    CALL_ACCEPT = 37
    CALL_OFFER_NOTICE = 40
    CALL_TERMINATE = 42
    UNDECRYPTABLE_MESSAGE = 44


class Listener(Protocol):
    """Who is told of events, on the library's thread: a session. What is returned is nothing to the library."""

    def on_report(self, report: Report) -> None:
        """Something happened to the session."""

    def on_message(self, data: bytes) -> object:
        """A message came: a serialised event."""

    def on_receipt(self, event: pb.Receipt) -> object:
        """Messages of ours have arrived, or were read or played, or a device asks for them once more."""

    def on_group_change(self, event: pb.GroupInfoEvent | pb.JoinedGroup) -> object:
        """Something has changed in a group, or the account was added to one."""

    def on_call(self, news: CallNews) -> object:
        """A call rings, was taken, or has ended."""

    def on_undecryptable(self, data: bytes) -> object:
        """A message came that could not be decrypted, or without its content: a serialised event."""

    def on_offline_synced(self) -> None:
        """What waited at WhatsApp has all been sent."""


Handler = Callable[[Listener, bytes], object]

CallNews: TypeAlias = pb.CallOffer | pb.CallOfferNotice | pb.CallAccept | pb.CallTerminate
"""What is heard of a call. The library has no event for one that a device of the account refuses: that ends it, too."""


def _reported(read: Callable[[bytes], Report | None]) -> Handler:
    def handle(listener: Listener, data: bytes) -> None:
        if report := read(data):
            listener.on_report(report)

    return handle


def _keepalive(data: bytes) -> Report | None:
    missed = parsed(pb.KeepAliveTimeout, data).ErrorCount
    return Report(Event.DEAF, f"{missed} keepalives without an answer") if missed >= DEAF_AFTER else None


def _logged_out(data: bytes) -> Report:
    out = parsed(pb.LoggedOut, data)
    return Report(Event.LOGGED_OUT, f"{_reason(out)} {'at login' if out.OnConnect else 'while connected'}")


def _ban(data: bytes) -> Report:
    ban = parsed(pb.TemporaryBan, data)
    name = pb.TemporaryBan.TempBanReason.Name(ban.Code).lower() if ban.HasField("Code") else UNKNOWN
    return Report(Event.BANNED, name, ban_seconds(ban.Expire))


def _connect_failure(data: bytes) -> Report:
    failure = parsed(pb.ConnectFailure, data)
    return Report(Event.REFUSED, f"{_reason(failure)} {failure.Message}".strip())


def _stream_error(data: bytes) -> Report:
    return Report(Event.DISCONNECTED, f"stream error {parsed(pb.StreamError, data).Code or '?'}")


def _called(kind: type[Any]) -> Handler:
    return lambda listener, data: listener.on_call(parsed(kind, data))


HANDLERS: dict[int, Handler] = {
    Code.CONNECTED: _reported(lambda _data: Report(Event.CONNECTED)),
    Code.KEEPALIVE_TIMEOUT: _reported(_keepalive),
    Code.LOGGED_OUT: _reported(_logged_out),
    Code.STREAM_REPLACED: _reported(lambda _data: Report(Event.REPLACED)),
    Code.TEMPORARY_BAN: _reported(_ban),
    Code.CONNECT_FAILURE: _reported(_connect_failure),
    Code.CLIENT_OUTDATED: _reported(lambda _data: Report(Event.OUTDATED)),
    Code.STREAM_ERROR: _reported(_stream_error),
    Code.DISCONNECTED: _reported(lambda _data: Report(Event.DISCONNECTED)),
    Code.MESSAGE: lambda listener, data: listener.on_message(data),
    Code.RECEIPT: lambda listener, data: listener.on_receipt(parsed(pb.Receipt, data)),
    Code.JOINED_GROUP: lambda listener, data: listener.on_group_change(parsed(pb.JoinedGroup, data)),
    Code.GROUP_INFO_EVENT: lambda listener, data: listener.on_group_change(parsed(pb.GroupInfoEvent, data)),
    Code.OFFLINE_SYNC_COMPLETED: lambda listener, _data: listener.on_offline_synced(),
    Code.CALL_OFFER: _called(pb.CallOffer),
    Code.CALL_ACCEPT: _called(pb.CallAccept),
    Code.CALL_OFFER_NOTICE: _called(pb.CallOfferNotice),
    Code.CALL_TERMINATE: _called(pb.CallTerminate),
    Code.UNDECRYPTABLE_MESSAGE: lambda listener, data: listener.on_undecryptable(data),
}

CODES = [int(code) for code in HANDLERS]
"""What a session subscribes to."""

RECEIPTS = frozenset({Code.RECEIPT})
GROUPS = frozenset({Code.JOINED_GROUP, Code.GROUP_INFO_EVENT})
"""What it does without for a while after one of them has ended the library's loop."""


def dispatch(listener: Listener, code: int, data: bytes) -> None:
    """Hands an event to `listener`. A code that is not in the table is nothing to us. Raises DecodeError on bad
    protobuf."""
    if handler := HANDLERS.get(code):
        handler(listener, data)


def _reason(event: pb.LoggedOut | pb.ConnectFailure) -> str:
    return str(pb.ConnectFailureReason.Name(event.Reason)).lower() if event.HasField("Reason") else UNKNOWN


def ban_seconds(expire: int) -> float | None:
    """Returns how long a ban lasts, None where WhatsApp names no end. 0.5.2 hands a Go duration over; what is larger
    than a century of seconds is in nanoseconds."""
    if expire <= 0:
        return None
    return expire / 1e9 if expire > 3_200_000_000 else float(expire)
