"""`wa-worker dev`: the reference proxy, the worker, a console and, if asked for, a simulated WhatsApp, until Ctrl-C.

`run_dev()` is the task tree. Proxy, simulator, console and narrator outlive the worker, so that its last lines are
seen. It ends on SIGINT, SIGTERM or SIGHUP, when nobody reads the output any more, when the worker dies, and with `once`
when the loop was seen. What it shows is in narration.py, the simulated users are in world/people.py, the web
page is in console/.
"""

from __future__ import annotations

import secrets
import shutil
import signal
import socket
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio

from wa_worker.dev import loopback
from wa_worker.dev.command.narration import Narrator, Options
from wa_worker.dev.command.terminal import Terminal
from wa_worker.dev.console import Console, bind, open_console
from wa_worker.dev.console.server import PORT
from wa_worker.dev.errors import CannotStartError
from wa_worker.dev.proxy import ReferenceProxy, open_proxy
from wa_worker.dev.world.worker_process import LAST_LINES, REAL_COMMAND, environment, open_worker
from wa_worker.models import RESERVED_FOLDER
from wa_worker.whatsapp.probe import ReachabilityProbe, target

if TYPE_CHECKING:
    from wa_worker.dev.world.people import SimulatedUsers


_SETTINGS = {"FORWARD_KINDS": "all", "MEDIA_ALLOW_PRIVATE": "1"}
"""Of its worker, unless the environment says otherwise: the console shows all kinds, and has files on this machine."""


async def run_dev(options: Options, environ: Mapping[str, str], terminal: Terminal) -> int:
    """Runs it all. Returns the exit code: 0 it ended as asked, 1 the worker died or the loop was not seen.

    Raises CannotStartError. Takes up to 13 s to end, cancelled or not.
    """
    secret = environ.get("WORKER_SECRET", "").strip() or secrets.token_hex(12)
    with (
        trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals,
        _folder(options) as folder,
        _console_port(options) as bound,
    ):
        async with (
            _proxy(folder, secret, options.proxy_port) as proxy,
            _users(options) as users,
            _console(bound, proxy, users) as console,
            trio.open_nursery() as services,
        ):
            reach = None if users else ReachabilityProbe(*target(environ))
            narrator = Narrator(options, folder, proxy, users, reach, terminal)
            narrator.introduce()
            if console is not None:
                narrator.introduce_console(console.url)
            narrator.introduce_worker()
            services.start_soon(narrator.narrate)
            services.start_soon(narrator.show_codes)
            simulated = (users.worker_command, users.environment(folder)) if users else None
            command, simulation = simulated or (REAL_COMMAND, None)
            variables = environment(
                environ, url=proxy.url, secret=secret, auth_dir=folder / "auth", simulation=simulation
            )
            variables["ADMIN_TOKEN"] = token = secrets.token_hex(12)
            variables.pop("ADMIN_TOKEN_FILE", None)
            variables = {**_SETTINGS, **variables}
            log = folder / "worker.log"

            def on_log(event: dict[str, Any]) -> None:
                narrator.take_log(event)
                if console is not None:
                    console.notice()

            async with open_worker(command, variables, log=log, on_log=on_log, keep=LAST_LINES) as worker:
                if console is not None:
                    console.worker, console.token = worker, token
                services.start_soon(narrator.handle_signals, signals, worker)
                with narrator.running:
                    await narrator.run(worker)
                if runs := worker.process.returncode is None:
                    narrator.say("worker", "stopping")
            if runs:
                narrator.say("worker", "stopped")
            services.cancel_scope.cancel()
        narrator.say_goodbye()
        return narrator.exit_code


@contextmanager
def _folder(options: Options) -> Iterator[Path]:
    """Yields where everything is kept. A simulation has a place of its own in a given folder: it would log out sessions
    of the real WhatsApp that it finds."""
    if options.folder is None:
        with tempfile.TemporaryDirectory(prefix="wa-worker-dev-", ignore_cleanup_errors=True) as name:
            yield Path(name)
        return
    folder = options.folder / "simulated" if options.simulate else options.folder
    folder = folder.absolute()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise CannotStartError(f"cannot make the folder {folder}: {error.strerror}. Give another --folder.") from error
    try:
        yield folder
    finally:
        if options.simulate:  # the server that knew these devices is gone
            for session in (folder / "auth").glob("*"):
                if session.name != RESERVED_FOLDER:
                    shutil.rmtree(session, ignore_errors=True)


@contextmanager
def _console_port(options: Options) -> Iterator[socket.socket | None]:
    """Yields the console's port, if there is anybody to look at one."""
    if options.once:
        yield None
        return
    try:
        bound = bind(options.console_port, options.console_host)
    except OSError as error:
        if options.console_host != loopback.HOST:
            at = f"{options.console_host} port {options.console_port or PORT}"
            raise CannotStartError(
                f"cannot listen on {at}: {error.strerror}. Give another --console-host or --console-port."
            ) from error
        raise CannotStartError(
            f"cannot listen on port {options.console_port}: {error.strerror}. Give another --console-port."
        ) from error
    with bound:
        yield bound


@asynccontextmanager
async def _proxy(folder: Path, secret: str, port: int) -> AsyncIterator[ReferenceProxy]:
    async with AsyncExitStack() as stack:
        try:
            proxy = await stack.enter_async_context(open_proxy(folder / "proxy.db", secret=secret, port=port))
        except OSError as error:
            raise CannotStartError(
                f"cannot listen on port {port}: {error.strerror}. Give another --proxy-port."
            ) from error
        except sqlite3.Error as error:
            raise CannotStartError(f"cannot use {folder / 'proxy.db'}: {error}. Give another --folder.") from error
        yield proxy


@asynccontextmanager
async def _users(options: Options) -> AsyncIterator[SimulatedUsers | None]:
    if not options.simulate:
        yield None
        return
    from wa_worker.dev.simulator import open_simulator
    from wa_worker.dev.world.people import SimulatedUsers

    async with open_simulator() as simulator:
        yield SimulatedUsers(simulator)


@asynccontextmanager
async def _console(
    bound: socket.socket | None, proxy: ReferenceProxy, users: SimulatedUsers | None
) -> AsyncIterator[Console | None]:
    if bound is None:
        yield None
    else:
        async with open_console(bound, proxy, users) as console:
            yield console
