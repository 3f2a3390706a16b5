"""The server of the simulated WhatsApp: `open_simulator()` listens and yields the Simulator.

Owns the listener, an HTTP CONNECT proxy that ends TLS with an authority of its own. It stops when the context manager
is left: every connection is cut, every task has ended.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import h11
import trio

from wa_worker.dev.simulator.connection import ClientGone, open_connection
from wa_worker.dev.simulator.credentials import HOST, Credentials
from wa_worker.dev.simulator.media_host import MEDIA_HOST
from wa_worker.dev.simulator.noise import ProtocolViolation
from wa_worker.dev.simulator.session import serve_client
from wa_worker.dev.simulator.world import Simulator

logger = logging.getLogger("wa_worker.simulator")

_HEAD_LIMIT = 16384


class _Server:
    """Serves clients, each from its TCP connection to its end."""

    def __init__(self, simulator: Simulator, credentials: Credentials) -> None:
        self._simulator = simulator
        self._credentials = credentials

    async def serve(self, tcp: trio.SocketStream) -> None:
        """Serve one client. Its errors end it, and nobody else."""
        self._simulator.connections += 1
        try:
            host = None if self._simulator.refusing else await _tunnel(tcp)
            if host is not None:
                tls = trio.SSLStream(tcp, self._credentials.tls, server_side=True, https_compatible=True)
                await (self._serve_media(tls) if host == MEDIA_HOST else self._serve_tls(tls))
        except* (ClientGone, ProtocolViolation, trio.BrokenResourceError, trio.ClosedResourceError) as group:
            logger.debug("connection ended: %r", group.exceptions)
        except* Exception as group:  # the crash barrier of one connection
            logger.exception("connection failed")
            self._simulator.faults.append(group)
        finally:
            self._simulator.connections -= 1
            self._simulator.note_change()

    async def _serve_media(self, tls: "trio.SSLStream[trio.SocketStream]") -> None:
        try:
            await self._simulator.media.serve(tls)
        except h11.RemoteProtocolError as error:
            logger.debug("the media host was sent what is no HTTP: %s", error)
        finally:
            with trio.CancelScope(shield=True):  # forceful: no network, no wait
                await trio.aclose_forcefully(tls)

    async def _serve_tls(self, tls: "trio.SSLStream[trio.SocketStream]") -> None:
        if self._simulator.no_websocket:
            self._simulator.turned_away += 1
            await tls.receive_some(_HEAD_LIMIT)
            await tls.send_all(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
            await trio.aclose_forcefully(tls)
            return
        async with open_connection(tls, self._credentials.root, self._simulator.dialects) as connection:
            self._simulator.open_connections.add(connection)
            try:
                if self._simulator.stall_handshake:
                    await connection.receive_header()
                    while True:
                        await connection.receive_frame()
                await serve_client(self._simulator, connection)
            finally:
                self._simulator.open_connections.discard(connection)


async def _tunnel(tcp: trio.SocketStream) -> str | None:
    """Take the CONNECT request; return its host. None: it was refused, or there was none."""
    head = b""
    while b"\r\n\r\n" not in head:
        data = await tcp.receive_some(4096)
        head += data
        if not data or len(head) > _HEAD_LIMIT:
            return None
    host = next((each for each in (HOST, MEDIA_HOST) if head.startswith(f"CONNECT {each}:443 ".encode())), None)
    if host is None:
        logger.debug("refused: %r", head.partition(b"\r\n")[0])
        await tcp.send_all(b"HTTP/1.1 502 Not simulated\r\nContent-Length: 0\r\n\r\n")
        return None
    await tcp.send_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
    return host


@asynccontextmanager
async def open_simulator() -> AsyncIterator[Simulator]:
    """Listen on any free port of 127.0.0.1. On leaving, every connection is cut."""
    credentials = Credentials()
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        simulator = Simulator(nursery, credentials, port=listeners[0].socket.getsockname()[1])
        nursery.start_soon(trio.serve_listeners, _Server(simulator, credentials).serve, listeners)
        yield simulator
        nursery.cancel_scope.cancel()
