"""The support report of an instance: plain text in English to be pasted into an issue or a mail. Pure.

It has no message, no whole number, and no name: an instance's id may be one, so its digits are masked, too.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator
from importlib import metadata

from wa_worker import __version__
from wa_worker.admin.rows import Row
from wa_worker.admin.texts import moment
from wa_worker.jid import masked
from wa_worker.journal import Change


def report(row: Row, detail: str, changes: Iterable[Change], not_ready: Iterable[str], at: float) -> str:
    """Returns the report of a moment. `changes`: the newest first."""
    return "\n".join(_lines(row, detail, changes, not_ready, at)) + "\n"


def versions() -> str:
    """Names what runs."""
    return f"wa-worker {__version__}, Python {platform.python_version()}, neonize {metadata.version('neonize')}"


def _lines(row: Row, detail: str, changes: Iterable[Change], not_ready: Iterable[str], at: float) -> Iterator[str]:
    yield f"Support report of {moment(at)}"
    yield f"{versions()}, {platform.system()} {platform.machine()}"
    yield f"worker: {'; '.join(masked(reason) for reason in not_ready) or 'ready'}"
    yield f"instance: {masked(row.id)}, number {row.number or 'not known'}"
    yield f"state: {row.state}, reason: {row.reason or 'none'}, since {moment(row.since)}"
    if row.until is not None:
        yield f"until: {moment(row.until)}"
    if detail:
        yield f"detail: {_line(detail)}"
    yield f"last in: {_moment(row.last_in)}, last out: {_moment(row.last_out)}"
    waits = row.backlog
    yield f"waiting: {waits.to_deliver} to deliver, {waits.to_send} to send, {waits.to_report} to report"
    yield f"set aside: {row.set_aside}"
    yield "last changes, the newest first:"
    for each in changes:
        until = f" until {moment(each.until)}" if each.until is not None else ""
        said = f": {_line(each.detail)}" if each.detail else ""
        yield f"  {moment(each.at)}  {each.state} ({each.reason}){until} by {each.by}{said}"


def _moment(at: float | None) -> str:
    return "not since the start" if at is None else moment(at)


def _line(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)
