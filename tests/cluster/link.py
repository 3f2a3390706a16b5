"""A line to a TCP server that a test can spoil: slow, silent in one direction or both, cut, or refusing.

Trio; one listener on a free port of 127.0.0.1. What is open when it is spoiled is spoiled, too.
"""

from __future__ import annotations

import contextlib

import attrs
import trio

PIECE = 65536


@attrs.define(eq=False)
class Link:
    """Says how the line is. Set the fields at any time, but for `port`."""

    port: int
    to_port: int
    delay: float = 0.0
    """Seconds by which each piece is late, in each direction."""
    forth: bool = True
    """False: what the client says is lost, and nobody is told."""
    back: bool = True
    """The same for what the server says."""
    refuses: bool = False
    """True: new connections are closed at once."""
    accepted: int = 0
    _open: set[trio.SocketStream] = attrs.Factory(set)

    def split(self) -> None:
        """Nothing gets through any more, and nobody is told."""
        self.forth = self.back = False

    def heal(self) -> None:
        """All is well again; what was lost stays lost."""
        self.forth, self.back, self.refuses, self.delay = True, True, False, 0.0

    async def refuse(self) -> None:
        """Nothing gets through any more, and all are told."""
        self.refuses = True
        await self.cut()

    async def cut(self) -> None:
        """Closes what is open; both sides hear of it."""
        for stream in list(self._open):
            await trio.aclose_forcefully(stream)

    async def serve(self, client: trio.SocketStream) -> None:
        """Serves one connection."""
        self.accepted += 1
        if self.refuses:
            await trio.aclose_forcefully(client)
            return
        with contextlib.suppress(OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            async with await trio.open_tcp_stream("127.0.0.1", self.to_port) as server, client:
                self._open |= {client, server}
                try:
                    async with trio.open_nursery() as both:
                        both.start_soon(self._pass_on, client, server, "forth", both.cancel_scope)
                        both.start_soon(self._pass_on, server, client, "back", both.cancel_scope)
                finally:
                    self._open -= {client, server}

    async def _pass_on(
        self, source: trio.SocketStream, target: trio.SocketStream, way: str, both: trio.CancelScope
    ) -> None:
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            while piece := await source.receive_some(PIECE):
                if self.delay:
                    await trio.sleep(self.delay)
                if getattr(self, way):
                    await target.send_all(piece)
        if getattr(self, way):  # else the end is lost as well
            both.cancel()


async def keep_link(to_port: int, *, task_status: trio.TaskStatus[Link]) -> None:
    """Keeps a line to a port of 127.0.0.1 until cancelled."""
    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        link = Link(listener.socket.getsockname()[1], to_port)
        nursery.start_soon(trio.serve_listeners, link.serve, [listener])
        task_status.started(link)
