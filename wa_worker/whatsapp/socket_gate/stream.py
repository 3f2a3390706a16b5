"""A TCP connection that asks before each piece that it sends, right before the system call.

Trio's own stream waits for room in the system's buffer and sends then, without a look at the clock: a process that was
stopped in that wait would send when it runs again.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable

import trio

from wa_worker.whatsapp.socket_gate.opening import Opening

CHUNK = 64 * 1024
"""Bytes that are read at once: all that a direction holds, and only while the other side does not take it."""


def taken_from(stream: trio.SocketStream) -> socket.socket:
    """Returns the socket of a stream, which has none after that."""
    return socket.socket(fileno=stream.socket.detach())


class GuardedStream(trio.abc.HalfCloseableStream):
    """Owns a socket, which belongs to an opening. Raises Barred, and Trio's errors of streams. One task may read it and
    one other may write it."""

    def __init__(self, sock: socket.socket, opening: Opening) -> None:
        """Takes the socket over, and closes it if it raises Barred."""
        sock.setblocking(False)
        self._socket = sock
        self._opening = opening
        try:
            opening.adopt(sock)
        except BaseException:
            sock.close()
            raise

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Returns what came, b"" at the end."""
        while True:
            await self._wait(trio.lowlevel.wait_readable)
            try:
                return self._socket.recv(CHUNK if max_bytes is None else max_bytes)
            except (BlockingIOError, InterruptedError):
                continue
            except OSError as error:
                raise self._broken() from error

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Sends all of it, or raises. A checkpoint only if there is no room. Cancelled: a part of it may be sent."""
        with memoryview(data) as view:
            sent = 0
            while sent < len(view):
                if taken := self._send(view[sent:]):
                    sent += taken
                else:
                    await self._wait(trio.lowlevel.wait_writable)

    def _send(self, piece: memoryview) -> int:
        """Returns how many bytes the system took."""
        self._opening.check()
        if self._socket.fileno() == -1:
            raise trio.ClosedResourceError
        try:
            return self._socket.send(piece)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            raise self._broken() from error

    async def wait_send_all_might_not_block(self) -> None:
        await self._wait(trio.lowlevel.wait_writable)

    async def send_eof(self) -> None:
        """Says that nothing more is sent; the other direction goes on."""
        await trio.lowlevel.checkpoint()
        self._opening.check()
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise self._broken() from error

    async def aclose(self) -> None:
        if self._socket.fileno() != -1:
            trio.lowlevel.notify_closing(self._socket)
            self._opening.close(self._socket)
        await trio.lowlevel.checkpoint()

    async def _wait(self, ready: Callable[[socket.socket], Awaitable[None]]) -> None:
        if self._socket.fileno() == -1:
            raise trio.ClosedResourceError
        await ready(self._socket)

    def _broken(self) -> trio.BrokenResourceError:
        self._opening.check()  # it was cut: that is why
        return trio.BrokenResourceError("the connection broke")
