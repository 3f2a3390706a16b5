"""whatsmeow's error texts as errors of ours."""

from __future__ import annotations

import attrs
import pytest

from wa_worker.errors import Failure, SendDelayed, SendError, SendRefused, SendUncertain, SessionNotOpen
from wa_worker.whatsapp.send_errors import send_error


@attrs.frozen
class SendCase:
    text: str
    means: type[SendError]
    pause: float | None = None


# Texts of whatsmeow's errors.go, send.go, request.go, usync and group calls, as the library hands them over.
SENDS = [
    SendCase("no LID found for 5511988880005@s.whatsapp.net from server", SendRefused),
    SendCase("failed to get device list: no LID found for 5511988880005@s.whatsapp.net", SendRefused),
    SendCase("can't send message to unknown server broadcast", SendRefused),
    SendCase("message recipient must be a user JID with no device part", SendRefused),
    SendCase("failed to get group members: that group does not exist", SendRefused),
    SendCase("failed to get group members: you're not participating in that group", SendRefused),
    SendCase("failed to get group members: info query returned status 404: item-not-found", SendRefused),
    SendCase("server returned error 400", SendRefused),
    SendCase("server returned error 404", SendRefused),
    SendCase("server returned error 408", SendDelayed, 10),
    SendCase("server returned error 421", SendDelayed, 10),
    SendCase("server returned error 429", SendDelayed, 60),
    SendCase("server returned error 463", SendDelayed, 900),
    SendCase("server returned error 479", SendDelayed, 60),
    SendCase("server returned error 500", SendDelayed, 10),
    SendCase("server returned error 503", SendDelayed, 10),
    SendCase("client is nil", SessionNotOpen, 2),
    SendCase("the store doesn't contain a device JID", SessionNotOpen, 2),
    SendCase("websocket disconnected before info query returned response", SessionNotOpen, 2),
    SendCase("failed to send message node: websocket not connected", SessionNotOpen, 2),
    SendCase("failed to send message node: failed to write: use of closed network connection", SessionNotOpen, 2),
    SendCase("failed to send usync query: websocket disconnected before info query returned response", SessionNotOpen),
    SendCase("failed to get device list: failed to send usync query: info query timed out", SendDelayed, 10),
    SendCase("info query timed out", SendDelayed, 10),
    SendCase("failed to encrypt message for 1@s.whatsapp.net: no session", SendDelayed, 10),
    SendCase("can't encrypt message for device: no signal session established", SendDelayed, 10),
    SendCase("timed out waiting for message send response", SendUncertain),
    SendCase("message timed out", SendUncertain),
    SendCase("websocket disconnected before message send returned response", SendUncertain),
    SendCase("websocket not connected", SendUncertain),
    SendCase("context deadline exceeded", SendUncertain),
    SendCase("a text of a later version", SendUncertain),
    SendCase("", SendUncertain),
]


@pytest.mark.parametrize("case", SENDS, ids=lambda case: case.text or "nothing")
def test_send_errors(case: SendCase) -> None:
    error = send_error(case.text)
    assert type(error) is case.means
    assert str(error).startswith(case.text)
    if case.pause is not None:
        assert isinstance(error, SendDelayed)
        assert error.pause == case.pause


@pytest.mark.parametrize(
    ("text", "failure"),
    [
        (
            "failed to get device list: no LID found for 5511988880005@s.whatsapp.net from server",
            Failure.NOT_ON_WHATSAPP,
        ),
        ("can't send message to unknown server broadcast", Failure.BAD_SERVER),
        ("failed to get group members: you're not participating in that group", Failure.NO_SUCH_GROUP),
        ("server returned error 400", Failure.REFUSED),
        ("server returned error 463", Failure.LIMITED),
        ("failed to encrypt message for 5511988880005@s.whatsapp.net: no session", Failure.GIVEN_UP),
    ],
)
def test_what_the_proxy_hears_of_it(text: str, failure: Failure) -> None:
    error = send_error(text)
    assert isinstance(error, SendRefused | SendDelayed)
    assert error.failure is failure
