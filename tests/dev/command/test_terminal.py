from __future__ import annotations

from io import StringIO

import attrs
import pytest
import zxingcpp
from PIL import Image

from wa_worker.dev.command.terminal import Line, Terminal, half_blocks, printable

CODE = "https://wa.me/settings/linked_devices#2@" + ",".join(["kV8x0ab+/dEfG" * 3] * 4)


class Screen(StringIO):
    encoding = "utf-8"

    def __init__(self, *, tty: bool) -> None:
        super().__init__()
        self._tty = tty

    def isatty(self) -> bool:
        return self._tty


def test_a_camera_reads_what_is_drawn() -> None:
    """Each character is two modules, upper and lower; a light one is printed, a dark one left out."""
    light = {"█": (255, 255), "▀": (255, 0), "▄": (0, 255), " ": (0, 0), "\u00a0": (0, 0)}
    rows = half_blocks(CODE)
    picture = Image.new("L", (len(rows[0]), 2 * len(rows)))
    for y, row in enumerate(rows):
        for x, char in enumerate(row):
            picture.putpixel((x, 2 * y), light[char][0])
            picture.putpixel((x, 2 * y + 1), light[char][1])
    codes = zxingcpp.read_barcodes(picture.resize((picture.width * 4, picture.height * 4), Image.Resampling.NEAREST))
    assert [code.text for code in codes] == [CODE]


def test_a_new_code_takes_the_place_of_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINES", "80")
    monkeypatch.setenv("COLUMNS", "120")
    screen = Screen(tty=True)
    terminal = Terminal(screen)
    assert terminal.can_draw(CODE)
    terminal.draw(CODE, "first")
    height = screen.getvalue().count("\n")
    terminal.draw(CODE, "second")
    assert f"first\n\x1b[{height}A\x1b[J" in screen.getvalue()
    terminal.say("worker", "something that is to stay")
    terminal.draw(CODE, "third")
    assert screen.getvalue().count("\x1b[J") == 1


def test_a_code_is_not_drawn_where_it_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    assert not Terminal(Screen(tty=True)).can_draw(CODE)
    assert not Terminal(Screen(tty=False)).can_draw("short")


@attrs.frozen
class Case:
    text: str
    shown: str


@pytest.mark.parametrize(
    "case",
    [
        Case("olá 👩‍👧", "olá 👩‍👧"),
        Case("two\nlines\r\nor three", "two / lines / or three"),
        Case("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        Case("\u202eback", "\\u202eback"),
        Case("x" * 301, "x" * 300 + "... (301 characters)"),
    ],
)
def test_texts_from_outside_are_harmless(case: Case) -> None:
    assert printable(case.text) == case.shown


def test_lines_are_aligned_and_plain_in_a_pipe() -> None:
    screen = Screen(tty=False)
    terminal = Terminal(screen)
    terminal.show(Line("in", "one", colour="green"))
    terminal.show(Line("contact", "two"))
    assert [line[8:] for line in screen.getvalue().splitlines()] == ["  in        one", "  contact   two"]
