"""What an error says to its caller: whether it speaks of the proxy as a whole, and what a person reads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from wa_worker.errors import ConfigError, EdgeError, Failure, RowError, SendDelayed, SendRefused, SessionNotOpen


def test_the_text_names_the_endpoint() -> None:
    assert str(EdgeError("mark-sent", "answered 500", 500)) == "mark-sent: answered 500"


def test_every_fault_of_the_settings_is_told() -> None:
    error = ConfigError(["PORT is not a number.", "AUTH_DIR is empty."])
    assert error.faults == ["PORT is not a number.", "AUTH_DIR is empty."]
    assert str(error) == "PORT is not a number.\nAUTH_DIR is empty."


def test_a_session_that_is_not_open_is_a_delay_with_its_pause() -> None:
    error: SendDelayed = SessionNotOpen("closed", pause=2.0)
    assert (error.pause, str(error)) == (2.0, "closed")


def test_the_contract_lists_every_text_that_the_proxy_may_hear() -> None:
    page = (Path(__file__).parents[1] / "docs" / "contract.md").read_text()
    table = page.partition("| `error` | when |\n|---|---|\n")[2].partition("\n\n")[0]
    listed = re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE)
    assert sorted(listed) == sorted(failure.value for failure in Failure)
    assert all(re.search("[0-9]", text) is None for text in listed), "what holds no digit holds no number"


@pytest.mark.parametrize("text", [None, "", "failed", "no LID found for 5511988880005@s.whatsapp.net from server"])
def test_what_is_not_on_the_list_is_not_told(text: str | None) -> None:
    """A ledger has what older versions wrote into it."""
    assert Failure.of(text) is Failure.OTHER


@pytest.mark.parametrize("failure", Failure)
def test_what_is_on_the_list_is_told_as_it_is(failure: Failure) -> None:
    assert Failure.of(failure.value) is failure
    assert RowError(failure).failure is SendRefused("words of a library", failure).failure is failure
