"""The command line: `wa-worker run`, `dev`, ... Each command is imported when it is used."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from functools import partial
from typing import NoReturn

import click

from wa_worker import __version__
from wa_worker.errors import ConfigError, StartupError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="wa-worker")
def cli() -> None:
    """Keeps many WhatsApp sessions alive for a SaaS back end and moves its messages.

    Try it without a phone or a back end:  wa-worker dev --simulate
    """


@cli.command()
def run() -> None:
    """Run the worker until SIGTERM or SIGINT.

    Settings come from the environment: EDGE_BASE_URL and WORKER_SECRET are required; PORT, AUTH_DIR,
    INSTANCE_POLL_MS, MSG_POLL_MS and more have defaults (see the README). Each may be given as NAME_FILE, the path
    of a file that holds the value.

    \b
    Exit codes: 0 stopped as told, 1 could not start, 2 settings are wrong.
    """
    from wa_worker.whatsapp.pairing import HOST_COMMAND

    run_worker(HOST_COMMAND)


def run_worker(pairing_command: Sequence[str]) -> NoReturn:
    """`wa-worker run`, with a choice of what hosts the pairings. Ends the process."""
    import trio

    from wa_worker.app import main
    from wa_worker.config import Settings
    from wa_worker.logs import set_up_logs

    try:
        settings = Settings.from_environ(os.environ)
    except ConfigError as error:
        for fault in error.faults:
            click.echo(f"error: {fault}", err=True)
        sys.exit(2)
    os.umask(0o077)
    set_up_logs(settings.log_level, settings.log_format)
    code = 0
    try:
        trio.run(partial(main, settings, os.environ, pairing_command))
    except* StartupError as group:
        code = 1
        for problem in _leaves(group):
            click.echo(f"error: {problem}", err=True)
    # not sys.exit: a native thread that was abandoned must not be there when the interpreter takes itself down
    logging.shutdown()
    sys.stdout.flush()
    os._exit(code)


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in group.exceptions:
        found.extend(_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    return found
