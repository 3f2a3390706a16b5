"""The library's events: what each becomes, and whom it is handed to."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from neonize.events import EVENT_TO_INT
from neonize.proto import Neonize_pb2 as pb

from wa_worker.states import TABLE, Event, Report, State
from wa_worker.whatsapp.events import CODES, DEAF_AFTER, CallNews, Code, dispatch


@attrs.define
class Heard:
    """A session's ears."""

    calls: list[Any] = attrs.Factory(list)

    def on_report(self, report: Report) -> None:
        self.calls.append(report)

    def on_message(self, data: bytes) -> None:
        self.calls.append(data)

    def on_group_change(self, event: pb.GroupInfoEvent | pb.JoinedGroup) -> None:
        self.calls.append(type(event))

    def on_call(self, news: CallNews) -> None:
        self.calls.append(news)

    def on_undecryptable(self, data: bytes) -> None:
        self.calls.append(("undecryptable", data))

    def on_receipt(self, event: pb.Receipt) -> None:
        self.calls.append((list(event.MessageIDs), event.Type))

    def on_offline_synced(self) -> None:
        self.calls.append("offline synced")


def heard(code: int, data: bytes = b"") -> list[Any]:
    listener = Heard()
    dispatch(listener, code, data)
    return listener.calls


def made(message: Any) -> bytes:
    data: bytes = message.SerializePartialToString()
    return data


OUT = pb.ConnectFailureReason.Value("LOGGED_OUT")
BLOCKED = 2
BAN = pb.TemporaryBan.TempBanReason.Name(BLOCKED).lower()
REPORTS = [
    (Code.CONNECTED, pb.Connected(), Report(Event.CONNECTED)),
    (Code.DISCONNECTED, pb.Disconnected(), Report(Event.DISCONNECTED)),
    (Code.STREAM_REPLACED, pb.StreamReplaced(), Report(Event.REPLACED)),
    (Code.CLIENT_OUTDATED, pb.ClientOutdated(), Report(Event.OUTDATED)),
    (Code.STREAM_ERROR, pb.StreamError(Code="503"), Report(Event.DISCONNECTED, "stream error 503")),
    (Code.STREAM_ERROR, pb.StreamError(), Report(Event.DISCONNECTED, "stream error ?")),
    (Code.KEEPALIVE_TIMEOUT, pb.KeepAliveTimeout(ErrorCount=DEAF_AFTER - 1), None),
    (
        Code.KEEPALIVE_TIMEOUT,
        pb.KeepAliveTimeout(ErrorCount=DEAF_AFTER),
        Report(Event.DEAF, f"{DEAF_AFTER} keepalives without an answer"),
    ),
    (
        Code.LOGGED_OUT,
        pb.LoggedOut(OnConnect=True, Reason=OUT),
        Report(Event.LOGGED_OUT, "logged_out at login"),
    ),
    (Code.LOGGED_OUT, pb.LoggedOut(OnConnect=False), Report(Event.LOGGED_OUT, "unknown reason while connected")),
    (Code.TEMPORARY_BAN, pb.TemporaryBan(Code=BLOCKED, Expire=3600), Report(Event.BANNED, BAN, 3600.0)),
    (Code.TEMPORARY_BAN, pb.TemporaryBan(Code=BLOCKED, Expire=90 * 10**9), Report(Event.BANNED, BAN, 90.0)),
    (Code.TEMPORARY_BAN, pb.TemporaryBan(Code=BLOCKED), Report(Event.BANNED, BAN, None)),
    (Code.TEMPORARY_BAN, pb.TemporaryBan(Expire=60), Report(Event.BANNED, "unknown reason", 60.0)),
    (Code.TEMPORARY_BAN, pb.TemporaryBan(), Report(Event.BANNED, "unknown reason", None)),
    (Code.CONNECT_FAILURE, pb.ConnectFailure(Message="why"), Report(Event.REFUSED, "unknown reason why")),
]


@pytest.mark.parametrize(("code", "message", "report"), REPORTS, ids=lambda value: getattr(value, "name", None))
def test_what_a_session_reports(code: Code, message: Any, report: Report | None) -> None:
    assert heard(code, made(message)) == ([] if report is None else [report])


@pytest.mark.parametrize("code", [Code.CONNECT_FAILURE, Code.TEMPORARY_BAN, Code.LOGGED_OUT])
def test_a_reason_that_has_no_name_is_not_taken_for_the_first_one_that_has(code: Code) -> None:
    (report,) = heard(code, bytes([16 if code is Code.LOGGED_OUT else 8, 0x8F, 0x4E]))
    assert report.detail.startswith("unknown reason")


def test_what_is_no_report() -> None:
    assert heard(Code.MESSAGE, b"as it came") == [b"as it came"]
    assert heard(Code.UNDECRYPTABLE_MESSAGE, b"as it came") == [("undecryptable", b"as it came")]
    assert heard(Code.OFFLINE_SYNC_COMPLETED) == ["offline synced"]
    assert heard(Code.GROUP_INFO_EVENT) == [pb.GroupInfoEvent]
    assert heard(Code.JOINED_GROUP) == [pb.JoinedGroup]


@pytest.mark.parametrize(
    ("code", "news"),
    [
        (Code.CALL_OFFER, pb.CallOffer(basicCallMeta={"callID": "C1"})),
        (Code.CALL_OFFER_NOTICE, pb.CallOfferNotice(basicCallMeta={"callID": "C1"}, media="video")),
        (Code.CALL_ACCEPT, pb.CallAccept(basicCallMeta={"callID": "C1"})),
        (Code.CALL_TERMINATE, pb.CallTerminate(basicCallMeta={"callID": "C1"}, reason="timeout")),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_what_is_heard_of_a_call(code: Code, news: CallNews) -> None:
    assert heard(code, made(news)) == [news]


@pytest.mark.parametrize("kind", pb.Receipt.ReceiptType.keys())
def test_a_receipt_is_handed_on_as_it_is(kind: str) -> None:
    receipt = pb.Receipt(MessageIDs=["A", "B"], Type=kind)
    assert heard(Code.RECEIPT, made(receipt)) == [(["A", "B"], receipt.Type)]


def test_what_nobody_subscribed_to_is_nothing_to_us() -> None:
    assert heard(99, b"\xff") == []


def test_what_is_no_protobuf_raises() -> None:
    with pytest.raises(Exception, match="parsing"):
        heard(Code.LOGGED_OUT, b"\xff\xff\xff")


def test_every_code_is_handled_and_is_the_librarys() -> None:
    assert sorted(CODES) == sorted(Code)
    names = {number: kind.__name__.removesuffix("Ev").upper() for kind, number in EVENT_TO_INT.items()}
    assert {code: code.name.replace("_", "") for code in Code}.items() <= names.items()


@pytest.mark.parametrize("state", [State.OPENING, State.CONNECTED, State.RECONNECTING])
def test_whatever_a_session_reports_has_a_row_in_the_table(state: State) -> None:
    assert {(state, report.event) for _, _, report in REPORTS if report is not None} <= TABLE.keys()
