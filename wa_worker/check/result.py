"""What a check found: a frozen value, its line and its JSON. Nothing from outside gets here but through `quoted`."""

from __future__ import annotations

import enum
import os
import socket
import ssl
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import attrs
import click

from wa_worker.jid import masked
from wa_worker.models import Secret

QUOTED = 120
"""Characters of an answer that are shown: enough for an error message, too few for a web page."""


class Grade(enum.Enum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@attrs.frozen
class Result:
    """`found` is for a person; `remedy` says what to do, and is there unless all is well or nothing was checked."""

    name: str
    grade: Grade
    found: str
    remedy: str | None = None


def ok(name: str, found: str) -> Result:
    return Result(name, Grade.OK, found)


def warn(name: str, found: str, remedy: str) -> Result:
    return Result(name, Grade.WARN, found, remedy)


def fail(name: str, found: str, remedy: str) -> Result:
    return Result(name, Grade.FAIL, found, remedy)


def not_checked(name: str, why: str) -> Result:
    """Neither good nor bad: something before it has to be mended."""
    return Result(name, Grade.WARN, f"not checked: {why}")


def quoted(text: object, secret: Secret | None = None, longest: int = QUOTED) -> str:
    """Text from outside in one short line: without control characters, numbers in full, and the secret, which a proxy
    may well repeat. longest: characters of it."""
    line = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    if secret is not None:
        line = line.replace(secret.reveal(), "***")
    return masked(line[:longest] + ("..." if len(line) > longest else ""))


def reason(error: BaseException) -> str:
    """Says why a connection failed. Of several addresses that were tried, each kind of failure once."""
    causes: list[BaseException] = [error]
    said: dict[str, None] = {}
    for cause in causes:
        if isinstance(cause, BaseExceptionGroup):
            causes.extend(cause.exceptions)
        elif inner := cause.__cause__ or cause.__context__:
            causes.append(inner)
        else:
            said[_words(cause)] = None
    return ", ".join(filter(None, said))


def _words(error: BaseException) -> str:
    if not isinstance(error, OSError):
        return str(error)
    if error.errno and not isinstance(error, ssl.SSLError | socket.gaierror):  # these have numbers of their own
        return os.strerror(error.errno)
    return error.strerror or str(error)


_COLOURS = {Grade.OK: "green", Grade.WARN: "yellow", Grade.FAIL: "red"}


def lines(results: Sequence[Result], *, colour: bool = False) -> Iterator[str]:
    """Returns a line for each result, and one with the remedy below it; the last one counts them."""
    width = max((len(result.name) for result in results), default=0)
    for result in results:
        grade = f"{result.grade.value:<4}"
        if colour:
            grade = click.style(grade, fg=_COLOURS[result.grade])
        yield f"{grade}  {result.name:<{width}}  {result.found}"
        if result.remedy is not None:
            yield f"{'':<4}  {'':<{width}}  -> {result.remedy}"
    yield _summary(results)


def _summary(results: Sequence[Result]) -> str:
    grades = Counter(result.grade for result in results)
    open_ones = sum(result.grade is Grade.WARN and result.remedy is None for result in results)  # not_checked()
    warnings = grades[Grade.WARN] - open_ones
    text = f"{grades[Grade.OK]} passed, {warnings} warning{'' if warnings == 1 else 's'}, {grades[Grade.FAIL]} failed"
    return f"{text}, {open_ones} not checked" if open_ones else text


def as_dict(result: Result) -> dict[str, Any]:
    return {"check": result.name, "result": result.grade.value, "found": result.found, "remedy": result.remedy}
