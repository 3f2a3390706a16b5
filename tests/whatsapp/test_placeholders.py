"""Which of the messages that come without their content stay so."""

from __future__ import annotations

import pytest

from wa_worker.whatsapp.placeholders import MOST, Placeholders

LINE = 'Unavailable message 3EB0 from 5511988880005@s.whatsapp.net in 120363041234567890@g.us (type: "view_once")'


def test_what_the_library_logs_tells() -> None:
    placeholders = Placeholders()
    assert not placeholders.is_view_once("3EB0")
    placeholders.on_log(LINE)
    assert placeholders.is_view_once("3EB0")
    assert placeholders.is_view_once("3EB0"), "it may be handed over twice"
    assert not placeholders.is_view_once("3EB")


@pytest.mark.parametrize(
    "line",
    [
        LINE.replace("view_once", ""),
        LINE.replace("view_once", "view_once_of_tomorrow"),
        f"Failed to parse: {LINE}",
        f"{LINE} and more",
        LINE.replace("3EB0", "3EB0" * 1000),
    ],
)
def test_other_lines_do_not(line: str) -> None:
    placeholders = Placeholders()
    placeholders.on_log(line)
    assert not placeholders.is_view_once("3EB0")


def test_few_are_kept() -> None:
    placeholders = Placeholders()
    for number in range(MOST + 1):
        placeholders.on_log(LINE.replace("3EB0", f"ID{number}"))
    assert not placeholders.is_view_once("ID0")
    assert placeholders.is_view_once("ID1")
