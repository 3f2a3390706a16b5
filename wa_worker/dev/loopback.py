"""A port of 127.0.0.1 and the connections on it, which the reference proxy and the console both have.

Owns the open connections, so that they can be cut whatever they are doing. Does not accept them: the caller serves
`OpenConnections.serve_connection` on a listener of its own, cancels that, and then calls `close_all()`.
"""

from __future__ import annotations

import socket

import trio

from wa_worker.monitoring.http_server import HttpServer

HOST = "127.0.0.1"

Address = tuple[str, int]


def bind(port: int, *, host: str = HOST, listen: bool = False) -> socket.socket:
    """Takes the port (0: any free one). Until it listens, connections are refused. Raises OSError.

    `host`: an address that is not the loopback's lets in whoever reaches it. Only a container needs that."""
    bound = socket.socket()
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        if listen:
            bound.listen()
    except BaseException:
        bound.close()
        raise
    return bound


class OpenConnections:
    """Keeps the connections that are open, by the client's address."""

    def __init__(self, server: HttpServer) -> None:
        self._server = server
        self._streams: dict[Address, trio.SocketStream] = {}

    def __len__(self) -> int:
        return len(self._streams)

    async def serve_connection(self, stream: trio.SocketStream) -> None:
        """A handler for `trio.serve_listeners`: see HttpServer.serve_connection()."""
        try:
            client = stream.socket.getpeername()
        except OSError:
            return  # it has gone already
        self._streams[client] = stream
        try:
            await self._server.serve_connection(stream)
        finally:
            del self._streams[client]

    def close(self, client: Address) -> None:
        # A send that waits for a client to read is shielded by Hypercorn: only this ends it.
        self._streams[client].socket.close()

    def close_all(self) -> None:
        for client in list(self._streams):
            self.close(client)
