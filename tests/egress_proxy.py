"""A proxy of one instance: HTTP CONNECT or socks5, with or without a password, on the way to the simulated WhatsApp.

It hands on what is asked for to the simulator, which is reached by CONNECT, and counts it.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs
import trio

USER, PASSWORD = "customer-7", "p@ss/word:1"
ENCODED = "customer-7:p%40ss%2Fword%3A1"


@attrs.define
class EgressProxy:
    """What it does, and what it was asked for. `refuses`: the status that it answers instead; None: it obeys."""

    simulator_port: int
    scheme: str = "http"
    port: int = 0
    refuses: int | None = None
    asked: list[str] = attrs.field(factory=list)
    open: set[trio.SocketStream] = attrs.field(factory=set)

    @property
    def url(self) -> str:
        return f"{self.scheme}://{ENCODED}@127.0.0.1:{self.port}"

    async def cut(self) -> None:
        for stream in tuple(self.open):
            await trio.aclose_forcefully(stream)

    async def serve(self, stream: trio.SocketStream) -> None:
        self.open.add(stream)
        try:
            target = await (self._socks(stream) if self.scheme == "socks5" else self._connect(stream))
            if target is not None:
                await self._hand_on(stream, target)
        except* (trio.BrokenResourceError, trio.ClosedResourceError, EOFError, OSError):
            pass
        finally:
            self.open.discard(stream)
            await trio.aclose_forcefully(stream)

    async def _hand_on(self, stream: trio.SocketStream, target: str) -> None:
        async with await trio.open_tcp_stream("127.0.0.1", self.simulator_port) as onward:
            await onward.send_all(f"CONNECT {target} HTTP/1.1\r\n\r\n".encode())
            await _head(onward)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_pump, stream, onward, nursery.cancel_scope)
                nursery.start_soon(_pump, onward, stream, nursery.cancel_scope)

    async def _connect(self, stream: trio.SocketStream) -> str | None:
        head = await _head(stream)
        target = head.split()[1].decode()
        self.asked.append(target)
        pair = base64.b64encode(f"{USER}:{PASSWORD}".encode())
        status = self.refuses or (200 if b"Basic " + pair in head else 407)
        await stream.send_all(f"HTTP/1.1 {status} Said\r\nContent-Length: 0\r\n\r\n".encode())
        return target if status == 200 else None

    async def _socks(self, stream: trio.SocketStream) -> str | None:
        count = (await _exactly(stream, 2))[1]
        await _exactly(stream, count)
        await stream.send_all(b"\x05\x02")
        user = await _exactly(stream, (await _exactly(stream, 2))[1])
        password = await _exactly(stream, (await _exactly(stream, 1))[0])
        right = (user.decode(), password.decode()) == (USER, PASSWORD)
        await stream.send_all(b"\x01\x00" if right else b"\x01\x01")
        if not right:
            return None
        head = await _exactly(stream, 4)
        assert head[3] == 3, "a name, which the proxy resolves"
        name = await _exactly(stream, (await _exactly(stream, 1))[0])
        target = f"{name.decode()}:{int.from_bytes(await _exactly(stream, 2), 'big')}"
        self.asked.append(target)
        await stream.send_all(b"\x05\x02" if self.refuses else b"\x05\x00")
        await trio.sleep(0.1)  # in two pieces, as some do
        await stream.send_all(b"\x00\x01\x00\x00\x00\x00\x00\x00")
        return None if self.refuses else target


async def _exactly(stream: trio.SocketStream, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = await stream.receive_some(count - len(data))
        if not more:
            raise EOFError
        data += more
    return data


async def _head(stream: trio.SocketStream) -> bytes:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += await _exactly(stream, 1)
    return head


async def _pump(source: trio.SocketStream, to: trio.SocketStream, over: trio.CancelScope) -> None:
    async for data in source:
        await to.send_all(data)
    over.cancel()


@asynccontextmanager
async def open_egress_proxy(simulator_port: int, scheme: str = "http") -> AsyncIterator[EgressProxy]:
    """Listens on 127.0.0.1. On leaving, every connection is cut."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    proxy = EgressProxy(simulator_port, scheme, listeners[0].socket.getsockname()[1])
    async with trio.open_nursery() as nursery:
        await nursery.start(trio.serve_listeners, proxy.serve, listeners)
        yield proxy
        nursery.cancel_scope.cancel()
