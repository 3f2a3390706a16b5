"""Serves the console on 127.0.0.1 (in a container: on what reaches its port), inside the caller's Trio run.

Owns the port, the connections, and the tasks that hear of changes. Leaving `open_console` closes all connections
without waiting for anybody.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import trio

from wa_worker.dev import loopback
from wa_worker.dev.console.actions import Actions
from wa_worker.dev.console.app import LARGEST_FORM, create_app
from wa_worker.dev.console.conversation import Conversations
from wa_worker.dev.console.files import Files
from wa_worker.dev.console.live import ChangeCounter
from wa_worker.dev.console.view import View
from wa_worker.dev.console.worker_state import WorkerState
from wa_worker.dev.proxy import ReferenceProxy
from wa_worker.monitoring.http_server import HttpServer

if TYPE_CHECKING:
    from wa_worker.dev.world.people import SimulatedUsers
    from wa_worker.dev.world.worker_process import WorkerProcess

PORT = 8765
"""The usual port: a page that one can find again."""

_KEEP_ALIVE = 75.0

_PATIENCE = 2.0
"""Seconds for an answer of the worker, which takes a millisecond."""

_AFTERMATH = 1.5
"""Seconds after a change in which the worker's state may still move: a session takes a moment to close."""


class Console:
    """Controls a running console.

    worker, token: the worker's process and its ADMIN_TOKEN, to be set once it was started.
    notice(): wants to be called when the worker has logged something: then its state may have changed.
    """

    def __init__(self, port: int, notice: Callable[[], None]) -> None:
        self.port = port
        self.url = f"http://{loopback.HOST}:{port}"
        self.notice = notice
        self.worker: WorkerProcess | None = None
        self.token = ""


def bind(port: int | None, host: str = loopback.HOST) -> socket.socket:
    """Takes the port and listens; None is the usual one or, if it is taken, any. Raises OSError."""
    try:
        return loopback.bind(PORT if port is None else port, host=host, listen=True)
    except OSError as error:
        if port is not None or error.errno != errno.EADDRINUSE:
            raise
        return loopback.bind(0, host=host, listen=True)


@asynccontextmanager
async def open_console(
    bound: socket.socket, proxy: ReferenceProxy, users: SimulatedUsers | None
) -> AsyncIterator[Console]:
    """Yields a console, served until the block is left. What the block raises leaves it in an exception group."""
    changes = ChangeCounter()
    worker = WorkerState(changes.note_change)
    port = bound.getsockname()[1]
    files, url = Files(proxy.storage), f"http://{loopback.HOST}:{port}"
    app = create_app(
        View(proxy.store, worker, users, Conversations(proxy.store, files, url)),
        Actions(proxy.store, users, changes.note_change, url),
        changes,
        files,
        port=port,
    )
    connections = loopback.OpenConnections(HttpServer(app, keep_alive=_KEEP_ALIVE, max_body=LARGEST_FORM))
    listener = trio.SocketListener(trio.socket.from_stdlib_socket(bound))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(proxy.wait_for, changes.watch_store)
        if users is not None:
            nursery.start_soon(users.simulator.wait_for, changes.watch_simulator)
        logged = ChangeCounter()  # not each line of the log redraws the pages
        console = Console(port, logged.note_change)
        nursery.start_soon(_ask_worker, console, worker, logged)
        nursery.start_soon(trio.serve_listeners, connections.serve_connection, [listener])
        try:
            yield console
        finally:
            nursery.cancel_scope.cancel()
            connections.close_all()


async def _ask_worker(console: Console, worker: WorkerState, logged: ChangeCounter) -> None:
    """Asks the worker what it does after it has logged something, and once more when things have calmed down."""
    seen, calm = -1, False
    # Not through a proxy that the environment names: it would not find this machine's loopback.
    async with httpx.AsyncClient(trust_env=False) as http:
        while True:
            with trio.move_on_after(float("inf") if calm else _AFTERMATH) as aftermath:
                seen = await logged.wait(seen)
            calm = aftermath.cancelled_caught
            if console.worker is not None and console.worker.port:
                worker.take(await _instances(http, console.worker.port, console.token))


async def _instances(http: httpx.AsyncClient, port: int, token: str) -> dict[str, Any] | None:
    try:
        with trio.fail_after(_PATIENCE):
            url = f"http://{loopback.HOST}:{port}/instances"
            answer = await http.get(url, headers={"Authorization": f"Bearer {token}"})
            found: dict[str, Any] = answer.raise_for_status().json()
    except (httpx.HTTPError, trio.TooSlowError, ValueError):
        return None  # not yet, or not any more
    return found
