"""HTTP on one connection: hypercorn's part of the work, without its accept loop.

`hypercorn.trio.serve` (0.18) ends when a client sends a malformed chunk: its own answer and the application's get in
each other's way, and the error leaves through `serve` into our nursery. Anyone who can reach the port could stop
the worker. So we accept connections ourselves and lend each to `TCPServer`; such an error ends that connection only.
The class of fault is known upstream: pgjones/hypercorn#225 (a byte behind an upgrade request ends the server) and #203
(h11's error ends it) are open; #228, merged, keeps the server up for some of it.

An app that answers before the whole request is there, as one does that refuses it, leaves hypercorn with a connection
that neither goes on nor ends: the client's next request hangs, and so does a client that sends no more. So the app is
called when all has come.

Relies on hypercorn's inside, hence the narrow version range; tests/monitoring/test_http_server.py and
tests/dev/proxy/test_server.py send what it must stand. This file can be deleted when `hypercorn.trio.serve` passes
these tests by itself: when no bytes of a client end it, a setting switches HTTP/2 off, and an early answer with a body
still on its way closes the connection.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Container, Iterator, Mapping
from contextlib import suppress
from typing import Any, TypeAlias, cast

import h11
import structlog
import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.events import Closed, RawData
from hypercorn.trio.tcp_server import MAX_RECV, TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ASGIFramework, ConnectionState, LifespanState

from wa_worker.monitoring.connections import Connection, Times

log = structlog.get_logger(__name__)

Scope: TypeAlias = dict[str, Any]
Event: TypeAlias = dict[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Event]]
Send: TypeAlias = Callable[[Event], Awaitable[None]]


class HttpServer:
    """Serves one ASGI app; `serve_connection()` is a handler for `trio.serve_listeners`.

    keep_alive: seconds for which a client may be idle, and in which a body has to come.
    max_body: bytes of a request's body; a connection with a larger one ends.
    larger: paths that take another number of bytes. streamed: paths whose requests the app sees as they come, and has
    to read to their end before it answers; of any length.
    """

    def __init__(
        self,
        app: Any,
        *,
        keep_alive: float,
        max_body: int,
        larger: Mapping[str, int] | None = None,
        streamed: Container[str] = (),
    ) -> None:
        self._app = app
        self._streamed = streamed
        self._max_body = max_body
        self._larger = larger or {}
        self._config = Config()
        self._config.accesslog = self._config.errorlog = None
        self._config.include_server_header = False
        self._config.keep_alive_timeout = keep_alive
        self._config.keep_alive_max_requests = 2**31

    async def serve_connection(self, stream: trio.SocketStream) -> None:
        """Serves until the client has gone or was idle for `keep_alive` seconds. Cancelled: closes the connection."""
        await self.serve(Connection(stream, Times()))

    async def serve(self, connection: Connection) -> None:
        """Does the same, and tells the connection what it is doing: it has deadlines of its own."""
        whole = _WholeRequests(self._app, self._config.keep_alive_timeout, self._most_of, connection)

        async def served(scope: Scope, receive: Receive, send: Send) -> None:
            streamed = scope["type"] == "http" and scope["path"] in self._streamed
            await (self._app if streamed else whole)(scope, receive, send)

        server = _Server(
            ASGIWrapper(cast(ASGIFramework, served)),
            self._config,
            WorkerContext(None),
            ConnectionState(LifespanState({})),
            cast(Any, connection.stream),
        )
        server.connection = connection
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(connection.close_when_late)
                await server.run()
                nursery.cancel_scope.cancel()
        except* (h11.LocalProtocolError, trio.BusyResourceError, trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # a malformed request, or a client that left in the middle
        except* Exception as errors:  # noqa: BLE001 - whatever a client's bytes do to hypercorn, the worker goes on
            log.warning("a connection broke", reason=", ".join(_kinds(errors)))
        finally:
            await trio.aclose_forcefully(connection.stream)

    def _most_of(self, path: str) -> int:
        return self._larger.get(path, self._max_body)


def _kinds(group: BaseExceptionGroup[BaseException]) -> Iterator[str]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _kinds(error)
        else:
            yield type(error).__name__


class _Server(TCPServer):
    connection: Connection

    async def _read_data(self) -> None:
        """Reads until the client has gone: hypercorn would keep the socket until the keep-alive time has passed."""
        # Nobody needs HTTP/2 here, and a single request for it with malformed settings would be an error of ours.
        cast(Any, self.protocol.protocol)._check_protocol = _stay_with_http_1
        with suppress(trio.ClosedResourceError, trio.BrokenResourceError):
            data = b"-"
            while data:
                data = bytes(await self.stream.receive_some(MAX_RECV))
                self.connection.bytes_came()
                await self.protocol.handle(RawData(data))
        await self.protocol.handle(Closed())
        await self.idle_task.stop()


async def _stay_with_http_1(request: h11.Request) -> None:
    """In the place of hypercorn's change to HTTP/2; a server may ignore such a wish (RFC 9110, 7.8)."""


class _WholeRequests:
    """ASGI in front of the app, which sees a request when all of it is there, or never."""

    def __init__(self, app: Any, patience: float, most_of: Callable[[str], int], connection: Connection) -> None:
        self._app = app
        self._patience = patience
        self._most_of = most_of
        self._connection = connection

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = bytearray()
        most = self._most_of(scope["path"])
        announced = dict(scope["headers"]).get(b"content-length", b"0")  # the parser saw to it: a number
        too_large = int(announced) > most
        with trio.move_on_after(self._patience) as waiting:
            more = not too_large
            while more:
                event = await receive()
                if event["type"] == "http.disconnect":
                    return
                body += event.get("body", b"")
                too_large = len(body) > most
                more = event.get("more_body", False) and not too_large
        if too_large or waiting.cancelled_caught:
            await _refuse(413 if too_large else 408, receive, send)
            return
        self._connection.request_is_whole()
        await self._app(scope, receive_whole(bytes(body), receive), send)
        self._connection.answered()


def receive_whole(body: bytes, then: Receive) -> Receive:
    """Returns what gives an app a body that has come already, and `then` whatever follows it."""
    whole = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> Event:
        return next(whole, None) or await then()

    return receive


async def _refuse(status: int, receive: Receive, send: Send) -> None:
    """Answers, and ends the connection."""
    async with trio.open_nursery() as nursery:
        # What still comes is thrown away: hypercorn's reader waits for it to be taken, and its closing for the reader.
        nursery.start_soon(_throw_away, receive)
        headers = [(b"content-length", b"0"), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b""})
        nursery.cancel_scope.cancel()


async def _throw_away(receive: Receive) -> None:
    while True:
        await receive()
