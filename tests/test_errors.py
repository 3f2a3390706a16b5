"""What an error says to its caller: whether it speaks of the proxy as a whole, and what a person reads."""

from __future__ import annotations

from wa_worker.errors import ConfigError, EdgeError, SendDelayed, SessionNotOpen


def test_the_text_names_the_endpoint() -> None:
    assert str(EdgeError("mark-sent", "answered 500", 500)) == "mark-sent: answered 500"


def test_every_fault_of_the_settings_is_told() -> None:
    error = ConfigError(["PORT is not a number.", "AUTH_DIR is empty."])
    assert error.faults == ["PORT is not a number.", "AUTH_DIR is empty."]
    assert str(error) == "PORT is not a number.\nAUTH_DIR is empty."


def test_a_session_that_is_not_open_is_a_delay_with_its_pause() -> None:
    error: SendDelayed = SessionNotOpen("closed", pause=2.0)
    assert (error.pause, str(error)) == (2.0, "closed")
