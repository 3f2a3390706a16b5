"""`wa-worker state`: the tables in PostgreSQL, and instances that move there from a volume, and back.

What the commands do is in wa_worker/transfer/ and wa_worker/postgres/, which are imported when one of them is used.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wa_worker.cli.backup import Progress, errors_told, signals_raised
from wa_worker.cli.settings import faults_told, setting_from
from wa_worker.errors import ConfigError

if TYPE_CHECKING:
    from wa_worker.postgres.url import StateUrl


@click.command("import")
@click.argument("auth_dir", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Only look whether it can be done, and at how much there is.")
@click.pass_obj
def import_(environ: Mapping[str, str], auth_dir: Path, dry_run: bool) -> None:
    """Move all instances of a volume to PostgreSQL.

    Takes sessions, journal and proxies, one transaction an instance. The worker must have stopped, and no worker runs
    on the volume again: what is left of it is renamed, and can be deleted later. Workers that run on PostgreSQL may go
    on.

    Was it cut off, by kill -9 or a power cut, run it again: it goes on where it was.

    \b
    Exit codes: 0 done, 1 not, or not all of it, 2 the command or the settings are wrong.
    """
    with _prepared(environ) as url:
        from wa_worker.transfer.importing import import_volume

        done = import_volume(auth_dir, url, environ, dry_run=dry_run, progress=Progress())
    said = "would move to" if dry_run else "have moved to"
    before = f" {done.before} were there before." if done.before else ""
    what = f"{done.sessions} sessions, {done.rows} rows"
    click.echo(f"{done.instances} instances {said} PostgreSQL {url.place}: {what}.{before}")
    for instance in done.behind:
        click.echo(f"{instance} was in PostgreSQL: what only the volume's journal has of it stays there.", err=True)
    if not done.contacts:
        click.echo(
            "Left behind: whom each instance has written to first, and its limits for new contacts, for PostgreSQL "
            "keeps them under another key. New contacts are counted from now on.",
            err=True,
        )
    if not dry_run:
        click.echo("No worker runs on this volume any more. Now start workers with STATE_URL.", err=True)


@click.command()
@click.argument("auth_dir", type=click.Path(path_type=Path))
@click.pass_obj
def export(environ: Mapping[str, str], auth_dir: Path) -> None:
    """Move all instances from PostgreSQL to a volume.

    AUTH_DIR must be empty or not there. All workers on PostgreSQL must have stopped, and none there runs these
    instances again: their keys are archived, and the journal's rows deleted.

    Was it cut off, run it again, with the same AUTH_DIR: it goes on.

    \b
    Exit codes: 0 done, 1 not, or not all of it, 2 the command or the settings are wrong.
    """
    with _prepared(environ) as url:
        from wa_worker.transfer.exporting import export_state

        done = export_state(auth_dir, url, environ, progress=Progress())
    click.echo(f"{done.instances} instances are in {auth_dir}: {done.sessions} sessions.")
    click.echo("Nothing in PostgreSQL runs them any more. Now start one worker without STATE_URL.", err=True)


@click.command()
@click.pass_obj
def migrate(environ: Mapping[str, str]) -> None:
    """Make the tables in PostgreSQL, or upgrade them.

    A worker that starts does it, too.

    \b
    Exit codes: 0 done, 1 not, 2 the settings are wrong.
    """
    with _prepared(environ) as url:
        from wa_worker.postgres.connecting import connect, state_errors
        from wa_worker.postgres.migrations import FORMAT, format_of, upgrade

        with state_errors(url), closing(connect(url, "state migrate", statement_timeout=600.0)) as sql:
            found = format_of(sql)
            upgrade(sql)
    was = f", was {found}" if found != FORMAT else ""
    click.echo(f"PostgreSQL {url.place}: format {FORMAT}{was}.")


@contextmanager
def _prepared(environ: Mapping[str, str]) -> Iterator[StateUrl]:
    """Yields STATE_URL, if it is set and the driver is there. Ends the process with what an error says."""
    with signals_raised(), errors_told():
        with faults_told():
            url: StateUrl | None = setting_from(environ, "STATE_URL")
            if url is None:
                raise ConfigError(
                    ["STATE_URL is not set: it looks like postgres://wa_worker:PASSWORD@HOST:5432/wa_state"]
                )
        try:
            import_module("psycopg")
        except ImportError as error:
            click.echo(f"error: psycopg cannot be used ({error}). Do: pip install 'wa-worker[postgres]'", err=True)
            sys.exit(1)
        yield url


COMMANDS = {"import": import_, "export": export, "migrate": migrate}
