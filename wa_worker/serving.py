"""HTTP on one connection: hypercorn's part of the work, without its accept loop.

`hypercorn.trio.serve` (0.18) ends when a client sends a malformed chunk: its own answer and the application's get in
each other's way, and the error leaves through `serve` into our nursery. Anyone who can reach the port could stop
the worker. So we accept connections ourselves and lend each to `TCPServer`; such an error ends that connection only.
Relies on the inside of hypercorn, hence the narrow version range; tests/dev_proxy/test_server.py sends such a request.
"""

from __future__ import annotations

from typing import Any, cast

import h11
import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ASGIFramework, ConnectionState, LifespanState


class HttpServer:
    """Serves one ASGI app; `talk()` is a handler for `trio.serve_listeners`."""

    def __init__(self, app: Any, *, keep_alive: float) -> None:
        self._app = ASGIWrapper(cast(ASGIFramework, app))
        self._config = Config()
        self._config.accesslog = self._config.errorlog = None
        self._config.include_server_header = False
        self._config.keep_alive_timeout = keep_alive
        self._config.keep_alive_max_requests = 2**31

    async def talk(self, stream: trio.SocketStream) -> None:
        """Until the client has gone or has been idle for `keep_alive` seconds. Cancelled: closes the connection."""
        connection = _Connection(
            self._app,
            self._config,
            WorkerContext(None),
            ConnectionState(LifespanState({})),
            cast(Any, stream),
        )
        try:
            await connection.run()
        except* (h11.LocalProtocolError, trio.BusyResourceError, trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # a malformed request, or a client that left in the middle
        finally:
            await trio.aclose_forcefully(stream)


class _Connection(TCPServer):
    async def _read_data(self) -> None:
        """Until the client has gone: hypercorn would keep the socket until the keep-alive time has passed."""
        await super()._read_data()
        await self.idle_task.stop()
