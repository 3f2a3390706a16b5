"""Serves the console on 127.0.0.1, inside the caller's Trio run.

Owns the port, the connections, and the tasks that hear of changes. Leaving `open_console` closes all connections
without waiting for anybody.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import trio

from wa_worker.dev import loopback
from wa_worker.dev.console.actions import Actions
from wa_worker.dev.console.app import LARGEST_FORM, create_app
from wa_worker.dev.console.live import ChangeCounter
from wa_worker.dev.console.view import View
from wa_worker.dev.console.worker_state import WorkerState
from wa_worker.dev.proxy import ReferenceProxy
from wa_worker.monitoring.http_server import HttpServer

if TYPE_CHECKING:
    from wa_worker.dev.world.people import SimulatedUsers

PORT = 8765
"""The usual port: a page that one can find again."""

_KEEP_ALIVE = 75.0

_PATIENCE = 2.0
"""Seconds for an answer of the worker's health endpoint, which takes a millisecond."""

_AFTERMATH = 1.5
"""Seconds after a change in which its counts may still move: a session takes a moment to close."""


class Console:
    """A running console. `take_log` wants each line of the worker's log."""

    def __init__(self, port: int, worker: WorkerState) -> None:
        self.port = port
        self.url = f"http://{loopback.HOST}:{port}"
        self.take_log = worker.take_log


def bind(port: int | None) -> socket.socket:
    """Takes the port and listens; None is the usual one or, if it is taken, any. Raises OSError."""
    try:
        return loopback.bind(PORT if port is None else port, listen=True)
    except OSError as error:
        if port is not None or error.errno != errno.EADDRINUSE:
            raise
        return loopback.bind(0, listen=True)


@asynccontextmanager
async def open_console(
    bound: socket.socket, proxy: ReferenceProxy, users: SimulatedUsers | None
) -> AsyncIterator[Console]:
    """A console that is served until the block is left. What the block raises leaves it in an exception group."""
    changes = ChangeCounter()
    worker = WorkerState(changes.note_change)
    port = bound.getsockname()[1]
    app = create_app(
        View(proxy.store, worker, users), Actions(proxy.store, users, changes.note_change), changes, port=port
    )
    connections = loopback.OpenConnections(HttpServer(app, keep_alive=_KEEP_ALIVE, max_body=LARGEST_FORM))
    listener = trio.SocketListener(trio.socket.from_stdlib_socket(bound))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(proxy.wait_for, changes.watch_store)
        if users is not None:
            nursery.start_soon(users.simulator.wait_for, changes.watch_simulator)
        nursery.start_soon(_ask_health, worker, changes)
        nursery.start_soon(trio.serve_listeners, connections.serve_connection, [listener])
        try:
            yield Console(port, worker)
        finally:
            nursery.cancel_scope.cancel()
            connections.close_all()


async def _ask_health(worker: WorkerState, changes: ChangeCounter) -> None:
    """Asks for the counts after each change, and once more when things have calmed down."""
    seen, calm = -1, False
    # Not through a proxy that the environment names: it would not find this machine's loopback.
    async with httpx.AsyncClient(trust_env=False) as http:
        while True:
            with trio.move_on_after(float("inf") if calm else _AFTERMATH) as aftermath:
                seen = await changes.wait(seen)
            calm = aftermath.cancelled_caught
            if worker.port:
                worker.take_counts(await _counts(http, worker.port))


async def _counts(http: httpx.AsyncClient, port: int) -> Mapping[str, int] | None:
    try:
        with trio.fail_after(_PATIENCE):
            answer = await http.get(f"http://{loopback.HOST}:{port}/health")
            counts: dict[str, Any] = answer.json()["instances"]
    except (httpx.HTTPError, trio.TooSlowError, ValueError, KeyError):
        return None  # not yet, or not any more
    return {name: int(count) for name, count in counts.items()}
