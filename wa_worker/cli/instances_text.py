"""How the instances of a worker look on a terminal and as JSON. Pure.

Owns which of them are in trouble, and their order: what may need a person comes first.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from wa_worker.cli.table import age, clean, columns, when
from wa_worker.models import Reason
from wa_worker.states import UNOWNED, State

Row = Mapping[str, Any]

STATES = (*(state.name.lower() for state in State), UNOWNED)

_HEADING = ("INSTANCE", "STATE", "FOR", "NUMBER", "IN", "OUT", "WAITS", "WHY")

_WELL = (State.CONNECTED.name.lower(), State.OPENING.name.lower(), State.PAIRING.name.lower())

_ORDER = (State.HELD, State.LOGGED_OUT, State.RETRYING, State.RECONNECTING, State.PAIRING, State.OPENING)


def is_in_trouble(row: Row) -> bool:
    """Says whether something is wrong: WhatsApp or the phone keeps it away, its line is down, or it may not write
    first. One that waits for its first scan is not: nothing has gone wrong yet."""
    return row["state"] not in _WELL or row["logged_out"] or row.get("reason") == Reason.RESTRICTED.value


def ordered(rows: Sequence[Row]) -> list[Row]:
    """Returns them with trouble first; alike ones by their ids."""
    ranks = {state.name.lower(): rank for rank, state in enumerate(_ORDER)}
    return sorted(rows, key=lambda row: (not is_in_trouble(row), ranks.get(row["state"], len(ranks)), row["id"]))


def chosen(rows: Sequence[Row], states: Sequence[str], *, trouble: bool, worker: str = "") -> list[Row]:
    """Returns those of some states (none: of all), those in trouble only, or those of a worker, in order.

    worker: part of its name; "": of all.
    """
    return [
        row
        for row in ordered(rows)
        if (not states or row["state"] in states)
        and (not trouble or is_in_trouble(row))
        and worker in (row.get("worker") or "")
    ]


def lines(rows: Sequence[Row], now: float, *, colour: bool) -> Iterator[str]:
    """Returns a heading and a line an instance, in the order given."""
    table = [_HEADING, *(_cells(row, now) for row in rows)]
    widest: tuple[int, ...] = (24, 12, 6, 12, 6, 6, 6)
    if any("worker" in row for row in rows):  # they have several
        names = ["WORKER", *(row.get("worker") or "-" for row in rows)]
        table = [(*cells[:2], name, *cells[2:]) for cells, name in zip(table, names, strict=True)]
        widest = (*widest[:2], 24, *widest[2:])
    heading, *body = columns(table, widest)
    yield heading
    for row, line in zip(rows, body, strict=True):
        yield click.style(line, fg="red") if colour and is_in_trouble(row) else line


def _cells(row: Row, now: float) -> tuple[str, ...]:
    return (
        row["id"],
        row["state"],
        age(now - row["since"]),
        row.get("number") or "-",
        _ago(row.get("last_in"), now),
        _ago(row.get("last_out"), now),
        str(sum(row["backlog"].values())),
        why(row, now),
    )


def why(row: Row, now: float) -> str:
    """Says why it is so, and until when: `banned, for 3 h`."""
    words = str(row.get("reason") or row["because"])
    if row["logged_out"] and words != Reason.LOGGED_OUT.value:
        words = f"{Reason.LOGGED_OUT.value}: {words}"
    until = row.get("until")
    return words if until is None or until <= now else f"{words}, for {age(until - now)}"


def details(row: Row, now: float) -> Iterator[str]:
    """Returns a line a fact, then its last changes, if the worker tells of them."""
    yield f"{clean(row['id'])}  {clean(row['state'])}"
    facts = {
        "worker": row.get("worker"),
        "why": why(row, now),
        "happened": row["because"],
        "detail": row.get("detail"),
        "since": f"{when(row['since'])} ({age(now - row['since'])} ago)",
        "until": None if row.get("until") is None else when(row["until"]),
        "number": row.get("number"),
        "last in": None if row.get("last_in") is None else when(row["last_in"]),
        "last out": None if row.get("last_out") is None else when(row["last_out"]),
        **{name.replace("_", " "): str(count) for name, count in row["backlog"].items()},
    }
    for name, fact in facts.items():
        if fact:
            yield f"  {clean(name):<13} {clean(str(fact))}"
    if changes := row.get("changes"):
        yield "  last changes"
        for change in changes:
            words = " ".join(str(change[name]) for name in ("state", "reason", "detail") if change.get(name))
            yield f"    {when(change['at'])}  {clean(words)}"


def summary(rows: Sequence[Row]) -> str:
    """Counts them: `3 instances: 1 held, 2 connected`."""
    counts = Counter(row["state"] for row in ordered(rows))
    found = ", ".join(f"{count} {clean(state)}" for state, count in counts.items())
    return f"{len(rows)} instance{'' if len(rows) == 1 else 's'}{': ' if found else ''}{found}"


def change(row: Row | None, id: str, now: float) -> str:  # noqa: A002
    """Returns the line that tells of a change. `row` None: the worker has let go of the instance."""
    moment = when(now)
    return f"{moment}  {clean(id)}  " + ("gone" if row is None else clean(f"{row['state']}  {why(row, now)}"))


def array(rows: Sequence[Row]) -> str:
    """Returns a JSON array with an object a line: for a parser, and for grep."""
    found = ",".join(f"\n{json.dumps({**row, 'trouble': is_in_trouble(row)})}" for row in rows)
    return f"[{found}\n]" if found else "[]"


def _ago(at: float | None, now: float) -> str:
    return "-" if at is None else age(now - at)
