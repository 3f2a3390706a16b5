"""The command line: `wa-worker run`, `dev`, ... Each command is imported when it is used."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from pathlib import Path

import click

from wa_worker import __version__
from wa_worker.cli.backup import backup, restore


class _Commands(click.Group):
    """In the order in which one meets them."""

    _ORDER = ("run", "check", "instances", "journal", "backup", "restore", "state", "dev", "bench")

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(self.commands, key=self._ORDER.index)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="wa-worker")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Keeps many WhatsApp sessions alive for a SaaS back end and moves its messages.

    Try it without a phone or a back end:  wa-worker dev --simulate
    """
    ctx.obj = os.environ


cli.add_command(backup)
cli.add_command(restore)


@cli.command()
def run() -> None:
    """Run the worker until SIGTERM or SIGINT.

    Settings come from the environment: EDGE_BASE_URL and WORKER_SECRET are required; PORT, AUTH_DIR,
    INSTANCE_POLL_MS, MSG_POLL_MS and more have defaults (see the README). Each may be given as NAME_FILE, the path
    of a file that holds the value.

    \b
    Exit codes: 0 stopped as told, 1 could not start, 2 settings are wrong.
    """
    from wa_worker.process import run_worker
    from wa_worker.whatsapp.pairing import HOST_COMMAND

    run_worker(HOST_COMMAND)


_SIMULATION = ("zxingcpp", "trustme", "wsproto")


def _need_extra(modules: Sequence[str]) -> None:
    """Ends with 1 and what to do, unless these modules of the `dev` extra are there."""
    try:
        for module in modules:
            import_module(module)
    except ModuleNotFoundError as error:
        click.echo(
            f"error: {error.name} is not installed. Do: pip install 'wa-worker[dev]' "
            "(in a clone of the repository: pip install '.[dev]')",
            err=True,
        )
        sys.exit(1)


@cli.command()
@click.option("--simulate", is_flag=True, help="A simulated WhatsApp, phone and contacts: no phone, no internet.")
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keeps the session and the proxy's database there.  [default: a temporary one]",
)
@click.option(
    "--proxy-port", type=click.IntRange(0, 65535), default=0, help="Port of the proxy.  [default: any free one]"
)
@click.option(
    "--console-port",
    type=click.IntRange(0, 65535),
    help="Port of the console, a web page for this machine.  [default: 8765, or any free one]",
)
@click.option(
    "--console-host",
    metavar="ADDRESS",
    default="127.0.0.1",
    help="Address it listens on: 0.0.0.0 in a container, whose port you publish on 127.0.0.1.  [default: 127.0.0.1]",
)
@click.option("--once", is_flag=True, help="With --simulate: exit 0 once a message and its answer were seen, else 1.")
@click.option("--verbose", is_flag=True, help="Show the worker's log, too.")
def dev(
    simulate: bool,
    folder: Path | None,
    proxy_port: int,
    console_port: int | None,
    console_host: str,
    once: bool,
    verbose: bool,
) -> None:
    """Try it on this machine, with a proxy and a console.

    Runs a reference proxy and the worker until Ctrl-C. Draws the QR code to scan, says what happens, and prints the
    curl line that queues a message. Its console, a web page, does the same for any number of instances. With
    --simulate it needs no phone: one is simulated, and every contact answers.

    \b
    Exit codes: 0 ended by Ctrl-C (with --once: the loop was seen), 1 the worker died or could not start.
    """
    if once and not simulate:
        raise click.UsageError("--once needs --simulate")
    _need_extra(_SIMULATION if simulate else ("zxingcpp",))
    if simulate and sys.platform != "linux":
        click.echo("error: the simulated WhatsApp works on Linux only. Without --simulate this works here.", err=True)
        sys.exit(1)
    import trio

    from wa_worker.dev.command.narration import Options
    from wa_worker.dev.command.session import run_dev
    from wa_worker.dev.command.terminal import Terminal
    from wa_worker.dev.errors import CannotStartError

    os.umask(0o077)
    terminal = Terminal(sys.stdout, colours="NO_COLOR" not in os.environ)
    try:
        options = Options(folder, proxy_port, console_port, console_host, simulate, once, verbose)
        code = trio.run(run_dev, options, os.environ, terminal)
    except CannotStartError as error:
        click.echo(f"error: {error}", err=True)
        code = 1
    except KeyboardInterrupt:  # before or after the time in which the session takes signals itself
        code = 0
    sys.exit(code)


@cli.command()
@click.option(
    "--instance", metavar="ID", help="Check the calls that write, too, with this instance. THIS WRITES at the proxy."
)
@click.option("--json", "as_json", is_flag=True, help="JSON, for programs.")
def check(instance: str | None, as_json: bool) -> None:
    """Look for what is wrong with a set-up.

    Looks at the settings, the volume, the native libraries, the way to WhatsApp, the clock and the worker-proxy: a
    line each, with what to do below it where all is not well. Takes the settings that `run` takes, and may run beside
    it. Changes nothing, unless --instance is given. Secrets are not shown.

    With --instance it also posts, at the proxy: DISCONNECTED for that instance, if the proxy lists it as one to
    connect and no worker runs here (a QR code that is shown vanishes until the next one); and /mark-sent and
    /mark-failed for a message that does not exist. Best done with an instance made for it.

    \b
    Exit codes: 0 nothing failed (there may be warnings), 1 something failed, 2 settings are wrong.
    """
    import trio

    from wa_worker.check.runner import main
    from wa_worker.models import instance_id

    try:
        chosen = None if instance is None else instance_id(instance)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    _say_so_when_killed()
    sys.exit(trio.run(partial(main, os.environ, chosen, as_json=as_json)))


def _say_so_when_killed() -> None:
    """Has a signal end the process with 128 and its number: the entry point's 0 would say that all is well."""
    if threading.current_thread() is not threading.main_thread():
        return  # a program that calls the command line on another thread keeps its own way to end
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _frame: os._exit(128 + number))


class _Imported(click.Group):
    """A group whose commands are in `wa_worker/cli/NAME.py`: imported when one of them, or their list, is asked for."""

    def _commands(self) -> dict[str, click.Command]:
        commands: dict[str, click.Command] = import_module(f"wa_worker.cli.{self.name}").COMMANDS
        return commands

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._commands())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return self._commands().get(cmd_name)


@cli.group(cls=_Imported)
@click.pass_context
def instances(ctx: click.Context) -> None:
    """See what each instance of a running worker is doing, and why.

    Asks the worker at GET /instances, so ADMIN_TOKEN has to be set, to the same value, for the worker and here. The
    worker is looked for on this machine at PORT; --url names another place. Numbers are masked.

    \b
    Exit codes: 0 done, 1 no such instance, or trouble and --fail, 2 the command or the settings are wrong, 3 the worker
    cannot be asked.
    """
    _say_so_when_killed()
    ctx.obj = os.environ


@cli.group(cls=_Imported)
@click.pass_context
def journal(ctx: click.Context) -> None:
    """See and decide what became of messages; the worker may run.

    Needs AUTH_DIR (or AUTH_DIR_FILE, or --auth-dir) and the right to read it. Numbers are masked and bodies hidden
    unless asked for.

    \b
    Exit codes: 0 done, 1 not (or not all of it), 2 the command or the settings are wrong.
    """
    ctx.obj = os.environ


@cli.group(cls=_Imported)
@click.pass_context
def state(ctx: click.Context) -> None:
    """Move instances from a volume to PostgreSQL, or back.

    Needs STATE_URL (or STATE_URL_FILE), the database that several workers share, and the `postgres` extra.

    \b
    Exit codes: 0 done, 1 not (or not all of it), 2 the command or the settings are wrong.
    """
    ctx.obj = os.environ


@cli.command()
@click.option(
    "--size",
    "sizes",
    multiple=True,
    type=click.IntRange(1, 1000),
    help="Idle instances (repeatable). Default: 1, 10, 50, 100 and 200. 500 and 1000 take a while to pair.",
)
@click.option(
    "--contract",
    "contracts",
    multiple=True,
    type=click.Choice(["1", "2"]),
    help="Version of the contract that the proxy speaks (repeatable: each scenario with both, one right after the "
    "other). Default: 2.",
)
@click.option(
    "--only",
    multiple=True,
    type=click.Choice(["idle", "outbound", "inbound", "latency", "recovery", "media-in", "media-out", "backlog"]),
    help="Measure only this (repeatable).",
)
@click.option("--quick", is_flag=True, help="Few messages, short waits: to see that it works.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures here, as JSON.")
def bench(
    sizes: tuple[int, ...], contracts: tuple[str, ...], only: tuple[str, ...], quick: bool, output: Path | None
) -> None:
    """Measure the worker on the simulated WhatsApp.

    Memory, CPU, calls to the proxy, throughput, latency and recovery. Takes about fifteen minutes for each version of
    the contract; progress goes to stderr, the table to stdout. Needs the `dev` extra, and Linux.
    """
    _need_extra(_SIMULATION)
    import trio

    from wa_worker.dev.bench.run import run_bench
    from wa_worker.dev.proxy.polling import CONTRACTS

    default = (1, 10) if quick else (1, 10, 50, 100, 200)
    versions = [contract for contract in CONTRACTS if str(contract) in (contracts or ("2",))]
    trio.run(partial(run_bench, sorted(sizes or default), only, output, contracts=versions, quick=quick))
