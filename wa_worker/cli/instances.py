"""`wa-worker instances`: list, show, watch. What they print, and when; asking.py asks the worker."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import click

from wa_worker.cli import instances_text as text
from wa_worker.cli.asking import CannotAsk, RunningWorker
from wa_worker.cli.settings import faults_told

TROUBLE, UNASKED = 1, 3

_url = click.option("--url", metavar="URL", help="Where the worker's health port is.  [default: this machine, PORT]")
_as_json = click.option("--json", "as_json", is_flag=True, help="JSON, for programs. Times are unix seconds.")
_state = click.option(
    "--state", "states", multiple=True, type=click.Choice(text.STATES), help="Only these; may be repeated."
)
_worker = click.option(
    "--worker", metavar="NAME", default="", help="Only those of a worker: its host, its id, or a part of either."
)
_trouble = click.option("--trouble", is_flag=True, help="Only those that are in trouble.")


class _Asking(click.Command):
    """A command that asks the worker: exits with UNASKED when it cannot be asked."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except CannotAsk as error:
            _fail(str(error), UNASKED)


@click.command("list", cls=_Asking)
@_state
@_trouble
@_worker
@click.option("--fail", is_flag=True, help="Exit with 1 if one of those shown is in trouble: for scripts.")
@_as_json
@_url
@click.pass_obj
def list_(
    environ: Mapping[str, str],
    states: tuple[str, ...],
    trouble: bool,
    worker: str,
    fail: bool,
    as_json: bool,
    url: str | None,
) -> None:
    """List the instances, those in trouble first.

    In trouble is what WhatsApp or its phone keeps away (held, logged out), whose line is down (reconnecting,
    retrying), or that may not write first (restricted). One that waits for its first scan is not.
    """
    rows = _ask(environ, url).instances()
    shown = text.chosen(rows, states, trouble=trouble, worker=worker)
    if as_json:
        click.echo(text.array(shown))
    else:
        if shown:
            _table(environ, shown, sys.stdout.isatty())
        click.echo(text.summary(rows) if len(shown) == len(rows) else f"{len(shown)} of {text.summary(rows)}")
    sys.exit(TROUBLE if fail and any(text.is_in_trouble(row) for row in shown) else 0)


@click.command(cls=_Asking)
@click.argument("id")
@_as_json
@_url
@click.pass_obj
def show(environ: Mapping[str, str], id: str, as_json: bool, url: str | None) -> None:  # noqa: A002
    """Show one instance, with its last changes."""
    row = next((row for row in _ask(environ, url).instances() if row["id"] == id), None)
    if row is None:
        _fail(f"{id}: the worker runs no such instance (`wa-worker instances list` has those it runs)", TROUBLE)
    if as_json:
        click.echo(json.dumps({**row, "trouble": text.is_in_trouble(row)}))
        return
    for line in text.details(row, time.time()):
        click.echo(line)


@click.command(cls=_Asking)
@_state
@_trouble
@click.option("--every", type=click.IntRange(1, 3600), default=2, show_default=True, help="Seconds between looks.")
@_as_json
@_url
@click.pass_obj
def watch(
    environ: Mapping[str, str], states: tuple[str, ...], trouble: bool, every: int, as_json: bool, url: str | None
) -> None:
    """Show the instances, and what changes, until Ctrl-C.

    On a terminal the list is drawn anew. In a pipe each change is a line, with --json an object; the first ones say
    how it is now. What changes and changes back between two looks is not seen. A worker that is started again is
    waited for. Ctrl-C ends it with 0.
    """
    for number in (signal.SIGINT, signal.SIGTERM):  # that is how it is meant to end
        signal.signal(number, lambda *_: os._exit(0))
    worker = _ask(environ, url)
    draw = sys.stdout.isatty() and not as_json and environ.get("TERM") != "dumb"
    watching = Watching(lambda rows: text.chosen(rows, states, trouble=trouble))
    rows = worker.instances()
    while True:
        changed = watching.changes(rows)
        if draw:
            click.clear()
            _table(environ, watching.shown, True)
            click.echo(text.summary(rows))
        elif not draw:
            _tell(changed, as_json=as_json)
        rows = _next(worker, every)


class Watching:
    """Tells what has changed since the last look. `choose` picks what is looked at."""

    def __init__(self, choose: Callable[[Sequence[text.Row]], list[text.Row]]) -> None:
        self._choose = choose
        self.shown: list[text.Row] = []

    def changes(self, rows: Sequence[text.Row]) -> list[tuple[str, text.Row | None]]:
        """Returns the instances that are new, are gone (None), or whose state or its reason is another."""
        before = {row["id"]: row for row in self.shown}
        self.shown = self._choose(rows)
        changed: list[tuple[str, text.Row | None]] = [
            (row["id"], row) for row in self.shown if _told(row) != _told(before.pop(row["id"], None))
        ]
        return [*changed, *((id, None) for id in before)]  # noqa: A001 - that is what it is


def _told(row: text.Row | None) -> tuple[Any, ...] | None:
    return None if row is None else tuple(row.get(name) for name in ("state", "reason", "logged_out", "until"))


def _tell(changed: Sequence[tuple[str, text.Row | None]], *, as_json: bool) -> None:
    now = time.time()
    for instance, row in changed:
        if as_json:
            said = {"id": instance, "state": "gone"} if row is None else {**row, "trouble": text.is_in_trouble(row)}
            click.echo(json.dumps({"at": int(now), **said}))
        else:
            click.echo(text.change(row, instance, now))


def _next(worker: RunningWorker, every: int) -> list[dict[str, Any]]:
    """Returns the next answer. Says once when there is none for a while. Raises CannotAsk for what does not pass."""
    silent = False
    while True:
        time.sleep(every)
        try:
            rows = worker.instances()
        except CannotAsk as error:
            if not error.passing:
                raise
            if not silent:
                click.echo(f"waiting: {error}", err=True)
            silent = True
        else:
            if silent:
                click.echo("the worker answers again", err=True)
            return rows


def _table(environ: Mapping[str, str], rows: Sequence[text.Row], terminal: bool) -> None:
    colour = terminal and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
    for line in text.lines(rows, time.time(), colour=colour):
        click.echo(line, color=colour)


def _ask(environ: Mapping[str, str], url: str | None) -> RunningWorker:
    with faults_told():
        return RunningWorker.of(environ, url)


def _fail(problem: str, code: int) -> NoReturn:
    click.echo(f"error: {problem}", err=True)
    sys.exit(code)


COMMANDS: dict[str, click.Command] = {"list": list_, "show": show, "watch": watch}
