"""Text from outside, made fit to be looked at. HTML is the templates' business: they escape everything.

What cannot be seen is shown as its code point: a right-to-left override or a zero-width space could make a text look
like another one.
"""

from __future__ import annotations

import time
import unicodedata
from itertools import groupby

import attrs

_KEPT = "\n\t\u200d"  # families of emoji are made with the joiner

SHOWN = 2_000
"""Characters of a body that are shown at once."""

UNFOLDED = 50_000
"""Characters that can be unfolded; the proxy has the rest."""


@attrs.frozen
class Part:
    """Describes a piece of text. `code`: it stands for a character that cannot be seen."""

    text: str
    code: bool = False


def parts(text: str) -> list[Part]:
    """Returns the text, with the names of its invisible characters in their place."""
    found: list[Part] = []
    for visible, run in groupby(text, _can_be_seen):
        if visible:
            found.append(Part("".join(run)))
        else:
            found += [Part(f"U+{ord(char):04X}", code=True) for char in run]
    return found


def plain(text: str, most: int = 80) -> str:
    """On one line, not too long, and with the names of invisible characters in brackets."""
    text = " ".join(text.split()) if len(text) < SHOWN else " ".join(text[:SHOWN].split())
    shown = "".join(f"[{part.text}]" if part.code else part.text for part in parts(text[:most]))
    return shown if len(text) <= most else f"{shown}…"


def clock(at: float) -> str:
    """Returns the local time of day of a moment in unix seconds."""
    return time.strftime("%H:%M:%S", time.localtime(at))


def _can_be_seen(char: str) -> bool:
    return char.isprintable() or char in _KEPT or unicodedata.category(char) == "Zs"
