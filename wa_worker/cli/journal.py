"""`wa-worker journal`: list, show, retry, discard, stats. What it prints and asks; the decisions are in journal/review.

Runs beside the worker or without it, and needs AUTH_DIR only, or STATE_URL if it is set. Numbers are masked and
bodies hidden unless asked for; what came from outside never reaches the terminal as control characters.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import NoReturn

import click

from wa_worker.cli import journal_text as text
from wa_worker.cli.opening import opened_review
from wa_worker.cli.settings import faults_told, setting_from
from wa_worker.config import auth_dir_from
from wa_worker.errors import JournalError
from wa_worker.journal.items import DISCARDED_AS, LISTED, RETRIED_AS, ItemId, Outcome
from wa_worker.journal.review import Review
from wa_worker.journal.states import InboxState, SendState, State, state_of


class _Id(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.5; older ones will do
    name = "id"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> ItemId:
        try:
            return ItemId.parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _states(*states: State) -> click.Choice[str]:
    return click.Choice([state.value for state in states])


_auth_dir = click.option(
    "--auth-dir", type=click.Path(path_type=Path), help="The worker's AUTH_DIR.  [default: from the environment]"
)
_numbers = click.option("--numbers", is_flag=True, help="Show phone numbers and names.")
_as_json = click.option("--json", "as_json", is_flag=True, help="JSON, for programs. Times are unix seconds.")
_yes = click.option("--yes", "-y", is_flag=True, help="Do not ask.")
_instance = click.option("--instance", metavar="ID", help="Only this instance's.")


@click.command("list")
@click.option(
    "--state", "states", multiple=True, type=_states(*LISTED), help="Only these; may be repeated.  [default: all]"
)
@_instance
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="How many at most.")
@_numbers
@_as_json
@_auth_dir
@click.pass_obj
def list_(
    environ: Mapping[str, str],
    states: tuple[str, ...],
    instance: str | None,
    limit: int,
    numbers: bool,
    as_json: bool,
    auth_dir: Path | None,
) -> None:
    """List what needs attention or waits.

    What needs attention comes first, and of each state the oldest.

    \b
    Received (in:...)   dead       the proxy refused it for good
                        pending    the proxy does not have it yet
    To send (out:...)   uncertain  it may or may not have left; it is held for you
                        failed     it will not be sent
                        waiting    to be sent
                        intent     is being sent
                        sent       WhatsApp has it, the proxy has not heard so yet
    """
    with _journal(environ, auth_dir) as journal:
        chosen = {state_of(state) for state in states} or set(LISTED)
        items = journal.items(chosen, instance, limit + 1)
    shown, now = items[:limit], time.time()
    if as_json:
        click.echo(text.array(text.as_dict(item, now, numbers=numbers, body=False) for item in shown))
    elif shown:
        for line in text.table(shown, now, numbers=numbers):
            click.echo(line)
    else:
        click.echo("Nothing." if states or instance else "Nothing needs attention, nothing waits.")
    if len(items) > limit:
        click.echo(f"There are more than {limit}: use --limit, --state or --instance.", err=True)


@click.command()
@click.argument("id", type=_Id())
@click.option("--body", is_flag=True, help="Show the message's text.")
@_numbers
@_as_json
@_auth_dir
@click.pass_obj
def show(
    environ: Mapping[str, str],
    id: ItemId,  # noqa: A002 - the argument's name in the help
    body: bool,
    numbers: bool,
    as_json: bool,
    auth_dir: Path | None,
) -> None:
    """Show one message.

    ID is in:SEQ or out:SEQ, as `list` shows it. The body of a message to send is in the proxy's queue, not here.
    """
    with _journal(environ, auth_dir) as journal:
        item = journal.item(id)
    if item is None:
        _fail(f"{id}: there is no such message (settled ones are forgotten after a week)")
    now = time.time()
    if as_json:
        click.echo(json.dumps(text.as_dict(item, now, numbers=numbers, body=body)))
    else:
        for line in text.details(item, now, numbers=numbers, body=body):
            click.echo(line)


def _decision(
    decide: Callable[[Review, Sequence[ItemId]], Iterator[Outcome]], verb: str, decided_as: Mapping[State, State]
) -> Callable[[Callable[[_Outcomes], None]], click.Command]:
    """Returns a command that decides about messages. The function under it only says what comes of the outcomes."""

    def decorate(tell: Callable[[_Outcomes], None]) -> click.Command:
        @click.command()
        @click.argument("ids", nargs=-1, type=_Id())
        @click.option("--state", "states", multiple=True, type=_states(*decided_as), help="All of these; asks first.")
        @_instance
        @_yes
        @_auth_dir
        @click.pass_obj
        @wraps(tell)
        def command(
            environ: Mapping[str, str],
            ids: tuple[ItemId, ...],
            states: tuple[str, ...],
            instance: str | None,
            yes: bool,
            auth_dir: Path | None,
        ) -> None:
            outcomes = _Outcomes(bulk=bool(states))
            with _journal(environ, auth_dir, write=True) as journal:
                outcomes.show(decide(journal, _chosen(journal, verb, ids, states, instance, yes=yes)))
            tell(outcomes)
            sys.exit(1 if outcomes.refused else 0)

        return command

    return decorate


@_decision(Review.retry, "Retry", RETRIED_AS)
def retry(outcomes: _Outcomes) -> None:
    """Try messages again.

    IDS are in:SEQ or out:SEQ, as `list` shows them; or take all with --state.

    A dead one becomes pending: it is posted to the proxy again. It comes after what its chat has had since.

    A failed or uncertain one becomes waiting: it is sent when the proxy next lists it, for its body is in the proxy's
    queue. If the proxy was told that it failed, put it back into the queue there. An uncertain one may have arrived:
    then it arrives twice.

    A running worker notices within a minute. Exit code 1 if any of them could not be retried.
    """
    if outcomes.done[InboxState.DEAD]:
        click.echo("A running worker posts what is pending within a minute.")
    if outcomes.done[SendState.FAILED] or outcomes.done[SendState.UNCERTAIN]:
        click.echo("They go out when the proxy lists them: their bodies are in its queue, not here.")
    if outcomes.reported:
        click.echo(f"The proxy was told that {outcomes.reported} had failed: put them back into the queue there.")


@_decision(Review.discard, "Discard", DISCARDED_AS)
def discard(outcomes: _Outcomes) -> None:
    """Give messages up, for good.

    IDS are in:SEQ or out:SEQ, as `list` shows them; or take all with --state.

    Of a pending or dead one the content is erased and the proxy never gets it, unless it is being posted at this
    moment. Its id is remembered as posted for a week, so that it is not taken for new when WhatsApp delivers it again.

    An uncertain one is settled as failed, and the proxy is told: "discarded by a person". It may have arrived.

    A running worker notices within a minute. Exit code 1 if any of them could not be discarded.
    """
    if outcomes.done[SendState.UNCERTAIN]:
        click.echo("A running worker tells the proxy within a minute that they failed, if it has /mark-failed.")


@click.command()
@_as_json
@_auth_dir
@click.pass_obj
def stats(environ: Mapping[str, str], as_json: bool, auth_dir: Path | None) -> None:
    """Count messages.

    By instance and state, with the age of what has waited longest and the size of the file.
    """
    with _journal(environ, auth_dir) as journal:
        found = journal.stats()
    now = time.time()
    if as_json:
        click.echo(json.dumps(text.stats_as_dict(found, now)))
    else:
        for line in text.stats_table(found, now):
            click.echo(line)


COMMANDS: dict[str, click.Command] = {
    "list": list_,
    "show": show,
    "retry": retry,
    "discard": discard,
    "stats": stats,
}


class _Outcomes:
    """Prints what became of decisions, one by one or, in bulk, as sums; and counts."""

    def __init__(self, *, bulk: bool) -> None:
        self._bulk = bulk
        self.done: Counter[State] = Counter()
        self.reported = 0
        self.refused = 0

    def show(self, outcomes: Iterable[Outcome]) -> None:
        became: dict[State, State] = {}
        for outcome in outcomes:
            if outcome.now is None or outcome.was is None:
                self.refused += 1
                click.echo(f"error: {outcome.id}: {outcome.refused}", err=True)
                continue
            self.done[outcome.was] += 1
            self.reported += outcome.reported
            became[outcome.was] = outcome.now
            if not self._bulk:
                click.echo(f"{outcome.id}: {outcome.was.value} -> {outcome.now.value}")
        if self._bulk:
            for was, now in became.items():
                click.echo(f"{self.done[was]} {was.value} -> {now.value}")


def _chosen(
    journal: Review,
    verb: str,
    ids: tuple[ItemId, ...],
    states: tuple[str, ...],
    instance: str | None,
    *,
    yes: bool,
) -> list[ItemId]:
    if bool(ids) == bool(states):
        raise click.UsageError("give either ids or --state")
    if ids:
        if instance:
            raise click.UsageError("--instance goes with --state, not with ids")
        return list(dict.fromkeys(ids))
    found = journal.ids({state_of(state) for state in states}, instance)
    if not found:
        click.echo("Nothing.")
    elif not yes:
        counts = ", ".join(f"{count} {state.value}" for state, count in Counter(found.values()).items())
        click.confirm(f"{verb} {counts}?", abort=True, err=True)
    return list(found)


@contextmanager
def _journal(environ: Mapping[str, str], auth_dir: Path | None, *, write: bool = False) -> Iterator[Review]:
    try:
        with faults_told():
            folder = auth_dir or auth_dir_from(environ)
            url = None if auth_dir else setting_from(environ, "STATE_URL")
        with opened_review(folder, url, write=write) as review:
            yield review
    except JournalError as error:
        _fail(str(error))


def _fail(problem: str) -> NoReturn:
    click.echo(f"error: {problem}", err=True)
    sys.exit(1)
