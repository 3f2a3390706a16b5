"""A gate on loopback with a lease that the test moves, and clients of it that are no library."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import unquote, urlsplit

import attrs
import trio

from wa_worker.models import Secret
from wa_worker.ownership.deadline import boottime
from wa_worker.whatsapp.socket_gate import SocketGate


@attrs.define
class Lease:
    """What the keeper of the lease says. Long, unless a test moves it."""

    until: float = attrs.field(factory=lambda: boottime() + 600)

    def __call__(self) -> float:
        return self.until


@asynccontextmanager
async def open_gate(lease: Lease, environ: Mapping[str, str] | None = None) -> AsyncIterator[SocketGate]:
    gate = SocketGate(lease, environ or {})
    async with trio.open_nursery() as nursery:
        await nursery.start(gate.run)
        yield gate
        nursery.cancel_scope.cancel()


@attrs.define
class Host:
    """A server on loopback. `accepted`: its connections, which the test reads and writes."""

    port: int = 0
    accepted: list[trio.SocketStream] = attrs.field(factory=list)

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def serve(self, stream: trio.SocketStream) -> None:
        self.accepted.append(stream)
        await trio.sleep_forever()


@asynccontextmanager
async def open_host() -> AsyncIterator[Host]:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    host = Host(listener.socket.getsockname()[1])
    async with trio.open_nursery() as nursery:
        await nursery.start(trio.serve_listeners, host.serve, [listener])
        yield host
        nursery.cancel_scope.cancel()
    for stream in host.accepted:
        await trio.aclose_forcefully(stream)


async def ask(url: Secret, target: str, **credentials: str | None) -> tuple[int, trio.SocketStream]:
    """Asks the gate for a tunnel. Returns the status of its answer, and the stream behind it. `credentials`: others
    than those of the URL, by `user` or `password`; None for neither."""
    parts = urlsplit(url.reveal())
    user = credentials.get("user", unquote(parts.username or ""))
    password = credentials.get("password", parts.password)
    head = f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n"
    if user is not None and password is not None:
        head += f"Proxy-Authorization: Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}\r\n"
    return await say(url, f"{head}\r\n".encode())


async def say(url: Secret, head: bytes) -> tuple[int, trio.SocketStream]:
    stream = await trio.open_tcp_stream("127.0.0.1", urlsplit(url.reveal()).port or 0)
    await stream.send_all(head)
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        piece = await stream.receive_some(1)
        assert piece, answer
        answer += piece
    return int(answer.split()[1]), stream


async def ends(stream: trio.SocketStream) -> bytes:
    """Returns what still comes until the stream ends, however it does."""
    got = b""
    try:
        async for data in stream:
            got += data
    except trio.BrokenResourceError:
        pass
    return got
