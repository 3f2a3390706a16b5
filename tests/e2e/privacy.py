"""P8: what must not be in a log, and whether it is. Each world of an end-to-end test is checked when it closes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import wa_worker

PHONE = re.compile(r"55\D{0,3}11\D{0,3}9\d{4}\D?\d{4}(?!\d)")
"""All phone numbers of the tests, as people and JIDs write them."""

PROGRAM = "\n".join(
    file.read_text("utf-8") for file in Path(wa_worker.__file__).parent.rglob("*.py") if "dev" not in file.parts
)
"""A short body such as 'before' may be a word of the program's own log lines: it proves nothing."""


def leaks(lines: Iterable[str], private: Mapping[str, Iterable[str]]) -> list[str]:
    """What of `private` (texts by kind) stands in the lines, and phone numbers; each with its line."""
    searched = {line: _searched(line) for line in lines}
    everything = "\n".join(searched.values())  # a plain look at all of it first: a long run has thousands of both
    patterns = [
        (kind, _as_pattern(text))
        for kind, texts in private.items()
        for text in set(texts)
        if text[:40] in everything and tells(text)
    ]
    patterns.append(("phone number", PHONE))
    return [
        f"{kind} in: {line}" for line, text in searched.items() for kind, pattern in patterns if pattern.search(text)
    ]


def tells(text: str) -> bool:
    """Whether finding this text in a log means that it was leaked."""
    return len(text) > 1 and text not in PROGRAM


def _as_pattern(text: str) -> re.Pattern[str]:
    """The text as a word, or what stands for it in JSON or a cut line: its start, if it is long."""
    return re.compile(rf"(?<!\w){re.escape(text[:40])}" + (r"(?!\w)" if len(text) <= 40 else ""))


def _searched(line: str) -> str:
    """Instance ids and times are not masked, and are not ours to search."""
    return re.sub(r'"(?:instance|timestamp|proxy)": "[^"]*"', "", line)
