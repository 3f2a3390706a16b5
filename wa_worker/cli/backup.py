"""`wa-worker backup` and `restore`: where a backup goes or comes from, its key, and what is said meanwhile.

What they do is in wa_worker/backup/, which is imported when one of them is used.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NoReturn

import click

from wa_worker.cli.settings import faults_told
from wa_worker.config import auth_dir_from, lookup
from wa_worker.errors import BackupError, ConfigError, JournalError, StateError, TransferError
from wa_worker.models import InstanceId, Secret, instance_id

if TYPE_CHECKING:
    from wa_worker.backup.making import Sink
    from wa_worker.backup.restoring import Contents

PATIENCE = 2.0
"""Seconds after which it says what it does, and again whenever as much has passed."""

SHORT_KEY = 16
"""Characters: of fewer, a backup that somebody else gets hold of is soon tried open."""

_auth_dir = click.option(
    "--auth-dir", type=click.Path(path_type=Path), help="The worker's AUTH_DIR.  [default: from the environment]"
)


class _Instance(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.5; older ones will do
    name = "id"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> InstanceId:
        try:
            return instance_id(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command()
@click.argument("file", required=False)
@click.option("--instance", "instances", multiple=True, type=_Instance(), help="Only this one; may be repeated.")
@click.option("--move", is_flag=True, help="Close this volume for good: the worker moves house with the backup.")
@click.option("--list", "listing", is_flag=True, help="Show what is in FILE, which is read through and checked.")
@click.option("--take-back", is_flag=True, help="Undo --move: only if no copy runs, and none ever will.")
@_auth_dir
@click.pass_obj
def backup(
    environ: Mapping[str, str],
    file: str | None,
    instances: tuple[InstanceId, ...],
    move: bool,
    listing: bool,
    take_back: bool,
    auth_dir: Path | None,
) -> None:
    """Copy sessions and journal into FILE, encrypted.

    The worker may run meanwhile. FILE must not exist; - is standard output. BACKUP_KEY (or BACKUP_KEY_FILE) is a
    passphrase of yours: who has it and the file can read and write as your customers, and without it the file is lost.

    With --move nothing that comes later is missing: it waits until the worker has stopped, and no worker runs on this
    volume any more. `wa-worker restore` makes a volume of FILE.

    \b
    Exit codes: 0 done, 1 not, and nothing was left behind, 2 the command or the settings are wrong.
    """
    if sum((move, listing, take_back)) > 1 or (instances and (move or listing or take_back)):
        raise click.UsageError("--move takes all instances; --move, --list and --take-back exclude each other")
    if take_back == bool(file):
        raise click.UsageError("--take-back takes no FILE" if take_back else "FILE is missing")
    with signals_raised(), errors_told():
        if take_back:
            _take_back(environ, auth_dir)
        elif listing and file:
            with _source(file) as source:
                _list(environ, source)
        elif file:
            _make(environ, file, instances, auth_dir, move=move)


def _make(
    environ: Mapping[str, str], file: str, instances: tuple[InstanceId, ...], auth_dir: Path | None, *, move: bool
) -> None:
    from wa_worker.backup.making import make_backup

    with faults_told():
        folder, key = auth_dir or auth_dir_from(environ), _key(environ)
    with _sink(file) as sink:
        made = make_backup(folder, sink, key, frozenset(instances), move=move, progress=Progress())
    for instance in made.left_out:
        click.echo(f"{instance} is not paired: left out", err=True)
    closed = " No worker runs on this volume any more." if move else ""
    click.echo(f"{len(made.instances)} sessions, {made.size / 1e6:.1f} MB.{closed}", err=True)


def _take_back(environ: Mapping[str, str], auth_dir: Path | None) -> None:
    from wa_worker.ownership.closed import MOVED, closed_for, reopen_volume

    with faults_told():
        folder = auth_dir or auth_dir_from(environ)
    if closed_for(folder) != MOVED:
        raise BackupError(f"AUTH_DIR={folder} was not moved: there is nothing to take back")
    reopen_volume(folder)
    click.echo("A worker may run on this volume again. Never start the copy.", err=True)


def _list(environ: Mapping[str, str], source: BinaryIO) -> None:
    from wa_worker.backup.restoring import look_into
    from wa_worker.cli.table import columns, when

    with faults_told():
        key = _key(environ)
    found: Contents = look_into(source, key)
    about = found.about
    kind = "a move: its volume is closed" if about.moved else "its volume could go on"
    click.echo(f"made {when(about.made_at)} by wa-worker {about.worker}; {kind}")
    rows = [("SESSION", "MB"), *((name, f"{size / 1e6:.1f}") for name, size in sorted(found.sessions.items()))]
    for line in columns(rows, (64,)):
        click.echo(line)
    click.echo(
        f"{len(found.sessions)} sessions, journal {found.journal / 1e6:.1f} MB, files {found.files / 1e6:.1f} MB"
    )


@click.command()
@click.argument("file")
@click.option("--into", type=click.Path(path_type=Path), help="An empty folder.  [default: AUTH_DIR]")
@click.option(
    "--the-source-is-stopped",
    "source_is_stopped",
    is_flag=True,
    help="The worker of the copied volume is stopped, for good. Not needed for a move.",
)
@click.pass_obj
def restore(environ: Mapping[str, str], file: str, into: Path | None, source_is_stopped: bool) -> None:
    """Make a volume of a backup: all of it, or nothing.

    FILE is what `wa-worker backup` wrote; - is standard input. Needs its BACKUP_KEY. The folder must be empty or not
    there. The backup is checked, and so is each database, before anything has its place.

    Two workers with copies of one session take it from each other. So a backup that was not made with --move needs
    your word that its worker is stopped. What it sent after the backup is not in the ledger: what the proxy lists of
    that is uncertain, see ON_UNCERTAIN_SEND.

    \b
    Exit codes: 0 done, 1 not, and the folder is as it was, 2 the command or the settings are wrong.
    """
    from wa_worker.backup import restoring

    with signals_raised(), errors_told(), _source(file) as source:
        with faults_told():
            folder, key = into or auth_dir_from(environ), _key(environ)
        contents = restoring.restore(source, key, folder, source_is_stopped=source_is_stopped, progress=Progress())
    click.echo(f"{len(contents.sessions)} sessions are in {folder}.", err=True)
    if not contents.about.moved:
        click.echo("What the proxy lists at first is uncertain: it may have been sent after the backup.", err=True)


class Progress:
    """Says on stderr what is done, when it takes longer."""

    def __init__(self) -> None:
        self._began = self._told = time.monotonic()

    def __call__(self, what: str) -> None:
        now = time.monotonic()
        if now - self._told >= PATIENCE:
            self._told = now
            click.echo(f"{now - self._began:.0f} s: {what}", err=True)


def _key(environ: Mapping[str, str]) -> Secret:
    """Raises ConfigError."""
    try:
        text = lookup(environ, "BACKUP_KEY")
    except ValueError as error:
        raise ConfigError([f"BACKUP_KEY {error}."]) from None
    if text is None:
        raise ConfigError(
            ["BACKUP_KEY is not set: a passphrase of yours. Make one (openssl rand -hex 32), and keep it elsewhere."]
        )
    if len(text) < SHORT_KEY:
        raise ConfigError(
            [f"BACKUP_KEY has fewer than {SHORT_KEY} characters: make a long one (openssl rand -hex 32)."]
        )
    return Secret(text)


@contextmanager
def _sink(file: str) -> Iterator[Sink]:
    """Yields where the backup goes: a file that has its name only when it is whole, or standard output."""
    from wa_worker.backup.making import Sink
    from wa_worker.durable import flush

    if file == "-":
        if sys.stdout.isatty():
            raise click.UsageError("standard output is a terminal: name a FILE, or put a pipe there")
        yield Sink(sys.stdout.buffer, sys.stdout.buffer.flush)
        return
    path = Path(file)
    if path.exists():
        raise BackupError(f"{path} exists: a backup is never written over")
    part = path.with_name(f"{path.name}.part")
    with os.fdopen(os.open(part, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "wb") as out:

        def keep() -> None:
            out.flush()
            os.fsync(out.fileno())
            part.rename(path)
            flush(path.absolute().parent)

        try:
            yield Sink(out, keep)
        finally:
            with suppress(FileNotFoundError):  # it has its name
                part.unlink()


@contextmanager
def _source(file: str) -> Iterator[BinaryIO]:
    if file == "-":
        yield sys.stdin.buffer
        return
    with Path(file).open("rb") as source:
        yield source


@contextmanager
def errors_told() -> Iterator[None]:
    """Ends the process with 1 after an error for people, and says it."""
    try:
        yield
    except (BackupError, TransferError, StateError, JournalError, OSError) as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)


@contextmanager
def signals_raised() -> Iterator[None]:
    """Has a signal end the command as an error does: with what it began cleared away, and 128 and its number."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _raise)
    yield


def _raise(number: int, _frame: object) -> NoReturn:
    for ignored in (signal.SIGTERM, signal.SIGINT):  # a second one does not cut the clearing away
        signal.signal(ignored, signal.SIG_IGN)
    sys.exit(128 + number)
