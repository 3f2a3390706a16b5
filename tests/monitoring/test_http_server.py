"""HTTP on raw sockets: what a hasty, a slow or a hostile client meets at any port of ours."""

from __future__ import annotations

import re
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest
import trio

from wa_worker.monitoring.http_server import HttpServer

MAX_BODY = 100_000
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\n"
FIVE = POST + b"Content-Length: 5\r\n\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


async def hasty(scope: Any, receive: Any, send: Any) -> None:
    """An app that answers without a look at the body, as one does that refuses."""
    await send({"type": "http.response.start", "status": 401, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"no"})


@asynccontextmanager
async def open_server(*, keep_alive: float = 60) -> AsyncIterator[int]:
    server = HttpServer(hasty, keep_alive=keep_alive, max_body=MAX_BODY)
    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, server.serve_connection, [listener])
        yield listener.socket.getsockname()[1]
        nursery.cancel_scope.cancel()


async def statuses(stream: trio.SocketStream, many: int) -> list[int]:
    """Of so many answers, or of fewer if the server ends the connection."""
    got = b""
    with trio.fail_after(5):
        while len(found := re.findall(rb"HTTP/1\.1 (\d+)", got)) < many:
            try:
                data = await stream.receive_some()
            except trio.BrokenResourceError:
                break
            if not data:
                break
            got += data
    return [int(status) for status in found]


@attrs.frozen
class Late:
    """A POST in parts with pauses between them, and a GET after it."""

    name: str
    parts: tuple[bytes, ...]


LATE = [
    Late("at-once", (FIVE + b"hello" + GET,)),
    Late("body", (FIVE, b"hello", GET)),
    Late("body-and-next", (FIVE, b"hello" + GET)),
    Late("halves", (FIVE + b"he", b"llo", GET)),
    Late("chunked", (CHUNKED, b"5\r\nhello\r\n", b"0\r\n\r\n", GET)),
    Late("of-a-get", (GET[:-2] + b"Content-Length: 5\r\n\r\n", b"hello", GET)),
]


@pytest.mark.parametrize("late", LATE, ids=lambda late: late.name)
async def test_the_request_after_a_late_body_is_answered(late: Late) -> None:
    async with open_server() as port, await trio.open_tcp_stream("127.0.0.1", port) as stream:
        for part in late.parts:
            await stream.send_all(part)
            await trio.sleep(0.05)
        assert await statuses(stream, 2) == [401, 401]


async def test_a_body_that_never_comes_ends_the_connection() -> None:
    async with open_server(keep_alive=0.3) as port, await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.send_all(FIVE + b"he")
        assert await statuses(stream, 2) == [408]


@pytest.mark.parametrize("head", [POST + b"Content-Length: 1000000000\r\n\r\n", CHUNKED + b"ffffffff\r\n"])
async def test_a_huge_body_ends_the_connection_and_is_kept_nowhere(head: bytes) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with open_server() as port, await trio.open_tcp_stream("127.0.0.1", port) as stream:
        sent = 0
        with trio.fail_after(10):
            try:
                await stream.send_all(head)
                while sent < 500_000_000:
                    await stream.send_all(bytes(65536))
                    sent += 65536
            except trio.BrokenResourceError:
                pass
        assert sent < 50_000_000  # what the sockets' buffers hold
        assert await statuses(stream, 2) in ([413], [])  # an answer may be lost when its connection is reset
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # KiB


async def test_a_body_that_is_announced_as_huge_is_not_waited_for() -> None:
    async with open_server() as port, await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.send_all(POST + b"Content-Length: 1000000000\r\n\r\n")
        assert await statuses(stream, 2) == [413]


UPGRADE = GET[:-2] + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: "
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


@pytest.mark.parametrize(
    "wish",
    [
        UPGRADE + b"AAMAAABkAAQAAP__\r\n\r\n",
        UPGRADE + b"A\r\n\r\n",
        UPGRADE + b"AAA\r\n\r\n",
        PREFACE + b"\0\0\6\4\0\0\0\0\0\xff\xff\xff\xff\xff\xff",
    ],
    ids=["good", "no-base64", "half-a-setting", "preface"],
)
async def test_a_wish_for_http_2_is_ignored_however_malformed(wish: bytes) -> None:
    async with open_server() as port:
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            await stream.send_all(wish)
            assert await statuses(stream, 1) == [401]
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            await stream.send_all(GET)
            assert await statuses(stream, 1) == [401]


async def test_slow_headers_keep_nobody_waiting() -> None:
    async with open_server() as port, trio.open_nursery() as nursery:
        for _ in range(200):
            stream = await trio.open_tcp_stream("127.0.0.1", port)
            await stream.send_all(POST + b"X: ")
            nursery.start_soon(_trickle, stream)
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            for _ in range(10):
                with trio.fail_after(10):
                    await stream.send_all(GET)
                    assert await statuses(stream, 1) == [401]
        nursery.cancel_scope.cancel()


async def _trickle(stream: trio.SocketStream) -> None:
    async with stream:
        while True:
            await stream.send_all(b"x")
            await trio.sleep(0.1)
