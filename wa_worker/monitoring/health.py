"""What the outside may ask the worker: `/health`, `/ready`, `/metrics` and `/instances`, a quart-trio app in the same
Trio run. Others may add pages of theirs to it, as the admin page does.

Its port is taken before anything else starts, so that a busy one is the first thing one hears of.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import trio

from wa_worker import __version__
from wa_worker.errors import StartupError
from wa_worker.instances.registry import Registry
from wa_worker.metrics import CONTENT_TYPE, Metrics
from wa_worker.models import Secret
from wa_worker.monitoring.bearer import is_allowed
from wa_worker.monitoring.connections import Times, serve_connections
from wa_worker.monitoring.instances import describe, held
from wa_worker.monitoring.readiness import Readiness

if TYPE_CHECKING:
    from wa_worker.monitoring.http_server import HttpServer

Extend: TypeAlias = Callable[[Any], Mapping[str, int]]
"""Adds pages to the app, on a thread, and returns the paths that take a body, with its largest number of bytes."""

VERSION_HEADER = "wa-worker-version"
"""Of the answers of /health, whose body is the contract's."""

KEEP_ALIVE = 75.0
"""Seconds an idle prober's connection is kept: longer than the intervals they use."""

TIMES = Times(request=10.0, answer=30.0, idle=KEEP_ALIVE)
"""Seconds for a request of a few hundred bytes, and for an answer of some 20 KB, over the slowest line there is."""

MOST_CONNECTIONS = 100
"""Connections at once: a prober, Prometheus and a person need five. A silent one costs 19 KB and a descriptor."""


def listen(host: str, port: int) -> socket.socket:
    """Takes the port. Raises StartupError with the remedy if it cannot be had."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen()
        except BaseException:
            listener.close()
            raise
    except OSError as error:
        raise StartupError(
            f"cannot listen on {host} port {port}: {error.strerror or error}. Set PORT to a free port, or stop what "
            "uses this one."
        ) from error
    return listener


async def run_health(
    registry: Registry,
    readiness: Readiness,
    metrics: Metrics,
    listener: socket.socket,
    admin_token: Secret | None = None,
    extend: Extend | None = None,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serves on `listener` until cancelled; open requests are cut then. Has started when it answers.

    `admin_token`: who carries it may ask for `/instances`. None: there is no such page. `extend`: adds pages.
    """
    server = await trio.to_thread.run_sync(_server, registry, readiness, metrics, admin_token, extend)
    accepting = trio.SocketListener(trio.socket.from_stdlib_socket(listener))
    await serve_connections(accepting, server.serve, TIMES, MOST_CONNECTIONS, task_status=task_status)


def _server(
    registry: Registry, readiness: Readiness, metrics: Metrics, admin_token: Secret | None, extend: Extend | None
) -> HttpServer:
    """Imports the web stack: half of our import time, so on a thread and not before the program has begun."""
    from quart import Response, abort, request
    from quart_trio import QuartTrio

    from wa_worker.monitoring.http_server import HttpServer

    app = QuartTrio("wa_worker.monitoring.health")
    app.json.sort_keys = False

    async def health() -> tuple[dict[str, object], dict[str, str]]:
        return {"status": "ok", "instances": registry.counts()}, {VERSION_HEADER: __version__}

    async def ready() -> tuple[dict[str, object], int]:
        reasons = await readiness.reasons_not_ready()
        said: dict[str, object] = {"status": "not ready" if reasons else "ready", "reasons": reasons}
        if readiness.uploads_hanging:
            said["uploads_hanging"] = readiness.uploads_hanging
        said["held"] = held(registry)
        if notes := readiness.notes():
            said["notes"] = notes
        return said, 503 if reasons else 200  # no reason to restart or to route around it

    async def scrape() -> Response:
        snapshot = await readiness.snapshot()
        text = await trio.to_thread.run_sync(metrics.exposition, snapshot)
        return Response(text, content_type=CONTENT_TYPE)

    async def instances() -> dict[str, object]:
        if admin_token is None:
            abort(404)
        if not is_allowed(request.headers.get("Authorization"), admin_token):
            abort(Response("", 401, {"WWW-Authenticate": "Bearer"}))
        return describe(registry, await readiness.backlogs(), await readiness.together())

    app.add_url_rule("/", view_func=health)
    app.add_url_rule("/instances", view_func=instances)
    app.add_url_rule("/health", view_func=health)
    app.add_url_rule("/ready", view_func=ready)
    app.add_url_rule("/metrics", view_func=scrape)
    larger = extend(app) if extend is not None else {}
    return HttpServer(app, keep_alive=KEEP_ALIVE, max_body=0, larger=larger)  # nothing else here reads one
