"""Tables and facts for a terminal: what all commands print is cut, cleaned and dated here. Pure.

What comes from outside never reaches a terminal as control characters.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

WIDTH = 100
"""Characters of a line of a table. What does not fit is cut; `show` has all of it."""


def columns(rows: Sequence[Sequence[str]], widest: Sequence[int]) -> Iterator[str]:
    """Returns a line a row, within WIDTH. `widest`: to how many characters each column but the last may grow."""
    widths = [min(max(len(clean(row[n])) for row in rows), most) for n, most in enumerate(widest)]
    for row in rows:
        cells = [cut(cell, width).ljust(width) for cell, width in zip(row, widths, strict=False)]
        line = "  ".join(cells)
        yield f"{line}  {cut(row[-1], WIDTH - len(line) - 2)}".rstrip()


def age(seconds: float) -> str:
    """`12 s`, `3 m`, `5 h`, `2 d`."""
    seconds = max(seconds, 0.0)
    for unit, length in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{int(seconds // length)} {unit}"
    return f"{int(seconds)} s"


def when(at: float) -> str:
    """Writes unix seconds as a date and a time."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at))


def clean(words: str) -> str:
    """Replaces what cannot be printed."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in words)


def cut(words: str, width: int) -> str:
    """Cleans words and cuts them to a width."""
    words = clean(words)
    return words if len(words) <= width else words[: width - 1] + "\N{HORIZONTAL ELLIPSIS}"
