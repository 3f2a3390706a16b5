"""What it means that the library's loop ended: the texts are neonize's and whatsmeow's own."""

from __future__ import annotations

import pytest

from wa_worker.states import Event, Report
from wa_worker.whatsapp.loop_end import Refusal, loop_ended, refusal

BAN = "proto: required field neonize.TemporaryBan.Code not set"
FAILURE = "proto: required field neonize.ConnectFailure.Reason not set"
RECEIPT = "proto: required field neonize.Receipt.Type not set"

LINES = [
    ('Temporary ban connect failure: <failure code="999" expire="60" reason="402"/>', Refusal(402, 999, 60)),
    ('Temporary ban connect failure: <failure location="x" reason="402"/>', Refusal(402, None, None)),
    ('Temporary ban connect failure: <failure expire="-5" reason="402"/>', Refusal(402, None, None)),
    ('Unknown connect failure: <failure location="cln" reason="418"/>', Refusal(418, None, None)),
    ("Unknown connect failure: <failure/>", None),
    ('Unknown connect failure: <failure x="1"/>', Refusal()),
    ('Got <failure reason="402"/>', None),
]


@pytest.mark.parametrize(("line", "read"), LINES)
def test_a_line_of_the_log(line: str, read: Refusal | None) -> None:
    assert refusal(line) == read


ENDS = [
    (BAN, Refusal(402, 999, 60), Report(Event.BANNED, "reason 999", 60.0)),
    (BAN, Refusal(402, None, None), Report(Event.BANNED, "unknown reason", None)),
    (BAN, None, Report(Event.BANNED, "unknown reason", None)),
    (FAILURE, Refusal(418), Report(Event.REFUSED, "reason 418")),
    (FAILURE, None, Report(Event.REFUSED, "unknown reason")),
    (RECEIPT, Refusal(402, 999, 60), Report(Event.LOOP_ENDED, RECEIPT)),
    ("whatever", None, Report(Event.LOOP_ENDED, "whatever")),
]


@pytest.mark.parametrize(("error", "told", "report"), ENDS)
def test_an_end_after_the_login(error: str, told: Refusal | None, report: Report) -> None:
    assert loop_ended(error, told, logged_in=True) == report


def test_before_it_the_session_could_not_be_opened() -> None:
    assert loop_ended("no such host", None, logged_in=False) == Report(Event.OPEN_FAILED, "no such host")
    assert loop_ended(RECEIPT, None, logged_in=False).event is Event.LOOP_ENDED
    assert loop_ended(BAN, None, logged_in=False).event is Event.BANNED
