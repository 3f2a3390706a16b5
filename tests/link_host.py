"""A web host of files on this machine, for links in rows; it answers as a test says, and counts what it is asked."""

from __future__ import annotations

import ssl
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs
import h11
import trio


@attrs.define
class Answer:
    """Says what a path is answered with. `declared`: the Content-Length, None for the true one, -1 for none.

    stall_at: so many bytes of the body, then nothing. rate: bytes a second.
    """

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = attrs.Factory(dict)
    declared: int | None = None
    stall_at: int | None = None
    rate: float | None = None
    times: int | None = None
    """How often it is given; then the next one of the path is."""


class LinkHost:
    def __init__(self, scheme: str, port: int) -> None:
        self.url = f"{scheme}://127.0.0.1:{port}"
        self.port = port
        self.answers: dict[str, list[Answer]] = {}
        self.all: Answer | None = None  # goes before those of paths
        self.asked: Counter[str] = Counter()
        self.headers: list[dict[str, str]] = []

    def serve(self, path: str, body: bytes = b"", *, then: Answer | None = None, **how: object) -> str:
        """Answers a path so from now on, and returns its URL."""
        first = Answer(body, **how)  # type: ignore[arg-type]
        self.answers[path] = [first] if then is None else [first, then]
        return self.url + path

    async def handle(self, stream: trio.abc.Stream) -> None:
        connection = h11.Connection(h11.SERVER)
        try:
            while True:
                await trio.lowlevel.checkpoint()
                event = connection.next_event()
                if event is h11.NEED_DATA:
                    connection.receive_data(bytes(await stream.receive_some(65536)))
                elif isinstance(event, h11.Request):
                    path = event.target.decode().partition("?")[0]
                    self.asked[path] += 1
                    self.headers.append({name.decode(): value.decode() for name, value in event.headers})
                elif isinstance(event, h11.EndOfMessage):
                    await self._answer(connection, stream, path)
                    return
                elif isinstance(event, h11.ConnectionClosed):
                    return
        except (trio.BrokenResourceError, trio.ClosedResourceError, h11.RemoteProtocolError, ssl.SSLError):
            pass
        finally:
            await trio.aclose_forcefully(stream)

    async def _answer(self, connection: h11.Connection, stream: trio.abc.Stream, path: str) -> None:
        answers = self.answers.get(path, [Answer(b"no such file", 404)])
        answer = self.all or answers[0]
        if answer.times is not None:
            answer.times -= 1
            if not answer.times and len(answers) > 1:
                answers.pop(0)
        length = len(answer.body) if answer.declared is None else answer.declared
        headers = [("Connection", "close"), *answer.headers.items()]
        headers += [("Content-Length", str(length))] if length >= 0 else [("Transfer-Encoding", "chunked")]
        await stream.send_all(connection.send(h11.Response(status_code=answer.status, headers=headers)) or b"")
        body = answer.body if answer.stall_at is None else answer.body[: answer.stall_at]
        step = 65536 if answer.rate is None else max(1, int(answer.rate / 20))
        for start in range(0, len(body), step):
            if answer.rate is not None:
                await trio.sleep(step / answer.rate)
            await stream.send_all(connection.send(h11.Data(data=body[start : start + step])) or b"")
        if answer.stall_at is not None:
            await trio.sleep_forever()
        if len(answer.body) == length or length < 0:
            await stream.send_all(connection.send(h11.EndOfMessage()) or b"")


@asynccontextmanager
async def open_link_host(
    context: ssl.SSLContext | None = None, address: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[LinkHost]:
    """Yields a host, which speaks TLS with a `context`."""
    (listener,) = await trio.open_tcp_listeners(port, host=address)
    host = LinkHost("http" if context is None else "https", listener.socket.getsockname()[1])

    async def handle(stream: trio.SocketStream) -> None:
        await host.handle(stream if context is None else trio.SSLStream(stream, context, server_side=True))

    async with trio.open_nursery() as nursery:
        await nursery.start(trio.serve_listeners, handle, [listener])
        try:
            yield host
        finally:
            nursery.cancel_scope.cancel()
