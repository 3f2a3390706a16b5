"""What `wa-worker dev` prints: aligned lines, and QR codes in half blocks on a terminal.

Owns the output stream and nothing else. Texts from outside lose their control characters here. A reader that goes
away (`| head`, a closed window) is no error: the terminal writes no more and sets `gone`.
"""

from __future__ import annotations

import os
import shutil
import time
from io import StringIO
from typing import TextIO

import attrs
import click
import trio

_SUBJECT_WIDTH = 8
_MOST = 300
"""Characters of a message that are shown."""

_QUIET_ZONE = 2
"""Light modules around a drawn code. The standard asks for 4; cameras do with 2, and the window is small."""

_JOINER = "\u200d"  # a format character like those we escape, but families of emoji are made with it


@attrs.frozen
class Line:
    """Describes one thing that happened. `at` is in unix seconds, `colour` one of click's, shown on a terminal only."""

    subject: str
    text: str
    at: float = attrs.field(factory=time.time)
    colour: str | None = None


class Terminal:
    """Writes to a stream, at once. `colours` and drawings only if it is a terminal."""

    def __init__(self, stream: TextIO, *, colours: bool = True) -> None:
        self.gone = trio.Event()
        self.is_tty = stream.isatty()
        self._stream = stream
        self._colours = colours and self.is_tty
        self._unicode = stream.encoding.lower().startswith("utf")
        self._drawn = 0  # lines of a picture, if nothing was printed after it

    def say(self, subject: str, text: str, colour: str | None = None) -> None:
        self.show(Line(subject, text, colour=colour))

    def show(self, line: Line) -> None:
        clock = time.strftime("%H:%M:%S", time.localtime(line.at))
        subject = line.subject.ljust(_SUBJECT_WIDTH)
        text = printable(line.text)
        if self._colours:
            clock, subject = click.style(clock, dim=True), click.style(subject, fg="cyan")
            text = click.style(text, fg=line.colour) if line.colour else text
        self.write(f"{clock}  {subject}  {text}\n")

    def write(self, text: str) -> None:
        """As it is. The caller has made sure that a terminal can take it."""
        self._drawn = 0
        if not self._unicode:
            text = text.encode(self._stream.encoding, "replace").decode(self._stream.encoding)
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:
            self._stop_writing()

    def can_draw(self, code: str) -> bool:
        """Says whether this code can be drawn: on a terminal that is wide enough."""
        width = max(map(len, half_blocks(code)))
        return self.is_tty and self._unicode and shutil.get_terminal_size().columns >= width

    def draw(self, code: str, caption: str) -> None:
        """The code in half blocks, and a caption below. It takes the place of the last one if that is still in view."""
        rows = half_blocks(code)
        height = shutil.get_terminal_size().lines
        back = f"\x1b[{self._drawn}A\x1b[J" if 0 < self._drawn < height else ""
        # White on black whatever the theme: a code with dark and light swapped is one that most phones refuse.
        drawing = "".join(f"\x1b[48;5;232m\x1b[38;5;255m{row}\x1b[0m\n" for row in rows)
        self.write(f"{back}{drawing}{caption}\n")
        self._drawn = len(rows) + caption.count("\n") + 1

    def interrupted(self) -> None:
        """Ctrl-C was pressed: the terminal has echoed `^C` in front of whatever comes next."""
        if self.is_tty:
            self.write("\r\x1b[K")

    def _stop_writing(self) -> None:
        self.gone.set()
        # What is left in the buffer must go somewhere, or the interpreter complains when it exits.
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, self._stream.fileno())
        os.close(null)


def half_blocks(code: str) -> list[str]:
    """Returns the QR code, two rows of modules in a line of text; to be shown light on dark."""
    import qrcode
    from qrcode.constants import ERROR_CORRECT_L

    picture = qrcode.QRCode(error_correction=ERROR_CORRECT_L, border=_QUIET_ZONE)
    picture.add_data(code)
    text = StringIO()
    picture.print_ascii(out=text, invert=True)
    return text.getvalue().rstrip("\n").split("\n")


def printable(text: str) -> str:
    """Returns the text on one line, not too long, and without anything that a terminal would obey."""
    text = text if len(text) <= _MOST else f"{text[:_MOST]}... ({len(text)} characters)"
    text = text.replace("\r\n", " / ").replace("\n", " / ")
    return "".join(
        char if char.isprintable() or char == _JOINER else char.encode("unicode_escape").decode() for char in text
    )
