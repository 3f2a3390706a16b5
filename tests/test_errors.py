"""What an error says to its caller: whether it speaks of the proxy as a whole, and what a person reads."""

from __future__ import annotations

import pytest

from wa_worker.errors import ConfigError, EdgeError, EdgeRejected, EdgeUnavailable, SendDelayed, SessionNotOpen


@pytest.mark.parametrize("status", [None, 401, 403, 408, 429, 500, 502, 503, 504, 599])
def test_an_outage(status: int | None) -> None:
    assert EdgeUnavailable("inbound", "x", status).is_outage


@pytest.mark.parametrize("status", [302, 400, 404, 405, 409, 410, 422, 425, 499])
def test_a_trouble_of_this_call_alone(status: int) -> None:
    assert not EdgeRejected("inbound", "x", status).is_outage


def test_the_text_names_the_endpoint() -> None:
    assert str(EdgeError("mark-sent", "answered 500", 500)) == "mark-sent: answered 500"


def test_every_fault_of_the_settings_is_told() -> None:
    error = ConfigError(["PORT is not a number.", "AUTH_DIR is empty."])
    assert error.faults == ["PORT is not a number.", "AUTH_DIR is empty."]
    assert str(error) == "PORT is not a number.\nAUTH_DIR is empty."


def test_a_session_that_is_not_open_is_a_delay_with_its_pause() -> None:
    error: SendDelayed = SessionNotOpen("closed", pause=2.0)
    assert (error.pause, str(error)) == (2.0, "closed")
