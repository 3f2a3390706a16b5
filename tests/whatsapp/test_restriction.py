"""What a session's own sends say of error 463: one at a time, and only those that can know."""

from __future__ import annotations

import pytest

from wa_worker.errors import Failure, SendDelayed, SendRefused, SendUncertain
from wa_worker.models import Jid
from wa_worker.states import Event, Report
from wa_worker.whatsapp.restriction import Restriction
from wa_worker.whatsapp.send_errors import send_error

ANA, BIA = Jid("5511988880001@s.whatsapp.net"), Jid("5511988880002@s.whatsapp.net")
LIMITED = "server returned error 463"


@pytest.fixture
def reports() -> list[Report]:
    return []


@pytest.fixture
def followed(reports: list[Report]) -> Restriction:
    return Restriction(reports.append)


def send(followed: Restriction, chat: Jid, error: str | None = None) -> None:
    """A send that ends like this; what it raises is raised on."""
    if error is None:
        with followed.watching(chat):
            return
    raised = send_error(error)
    with pytest.raises(type(raised)) as caught, followed.watching(chat):
        raise raised
    assert caught.value is raised


def events(reports: list[Report]) -> list[Event]:
    return [report.event for report in reports]


def test_a_refusal_is_reported_with_its_words(followed: Restriction, reports: list[Report]) -> None:
    send(followed, ANA, LIMITED)
    (report,) = reports
    assert report.event is Event.RESTRICTED
    assert LIMITED in report.detail


def test_two_hundred_of_them_are_no_news(followed: Restriction, reports: list[Report]) -> None:
    for number in range(200):
        send(followed, Jid(f"55119888{number:05}@s.whatsapp.net"), LIMITED)
    assert events(reports) == [Event.RESTRICTED]


def test_after_a_while_one_is(reports: list[Report]) -> None:
    followed = Restriction(reports.append, said_again=0.0)
    send(followed, ANA, LIMITED)
    send(followed, ANA, LIMITED)
    assert events(reports) == [Event.RESTRICTED] * 2


def test_only_who_was_refused_can_tell_that_it_is_over(followed: Restriction, reports: list[Report]) -> None:
    send(followed, BIA)
    assert reports == []
    send(followed, ANA, LIMITED)
    send(followed, BIA)
    assert events(reports) == [Event.RESTRICTED], "somebody who wrote to the account is written to as before"
    send(followed, ANA)
    assert events(reports) == [Event.RESTRICTED, Event.UNRESTRICTED]
    send(followed, ANA)
    assert len(reports) == 2
    send(followed, ANA, LIMITED)
    assert events(reports)[2:] == [Event.RESTRICTED], "and at once, if it begins anew"


@pytest.mark.parametrize(
    "text", ["server returned error 429", "server returned error 400", "info query timed out", "?"]
)
def test_other_errors_say_nothing_of_it(followed: Restriction, reports: list[Report], text: str) -> None:
    assert isinstance(send_error(text), SendDelayed | SendRefused | SendUncertain)
    send(followed, ANA, text)
    assert reports == []
    send(followed, ANA, LIMITED)
    send(followed, ANA, text)
    assert events(reports) == [Event.RESTRICTED], "nor that it is over"


def test_what_is_remembered_is_bounded(reports: list[Report]) -> None:
    followed = Restriction(reports.append, most_chats=1)
    send(followed, ANA, LIMITED)
    send(followed, BIA, LIMITED)
    send(followed, BIA)
    assert events(reports) == [Event.RESTRICTED]
    send(followed, ANA)
    assert events(reports) == [Event.RESTRICTED, Event.UNRESTRICTED]


def test_463_is_what_is_meant() -> None:
    error = send_error(LIMITED)
    assert isinstance(error, SendDelayed)
    assert error.failure is Failure.LIMITED
