"""Connections to the proxy, against a server that counts them: which are used again, and which never."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import attrs
import httpx
import pytest
import trio
import trustme

from wa_worker.edge.transport import StackTransport, open_transport
from wa_worker.errors import StartupError

BODY = b"the body of a request"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"


@attrs.define
class Server:
    """Says `answer` to each request, from where the last `used` says, and hangs up after it if `then_closes`."""

    url: str = ""
    answer: bytes = ANSWER
    then_closes: bool = False
    opened: int = 0
    used: list[int] = attrs.Factory(list)
    gone: int = 0

    async def serve(self, stream: trio.abc.Stream) -> None:
        self.opened += 1
        number = self.opened
        try:
            said = b""
            while chunk := await stream.receive_some(65536):
                said += chunk
                if said.startswith(b"POST") and not said.endswith(BODY):
                    continue  # head and body may come apart
                said = b""
                self.used.append(number)
                await stream.send_all(self.answer)
                if self.then_closes:
                    break
        except trio.BrokenResourceError:
            pass
        self.gone += 1


@pytest.fixture
async def server(nursery: trio.Nursery) -> Server:
    server = Server()
    listeners = await nursery.start(partial(trio.serve_tcp, server.serve, 0, host="127.0.0.1"))
    server.url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
    return server


@asynccontextmanager
async def opened(server: Server, keep: float = 60.0) -> AsyncIterator[StackTransport]:
    with trio.fail_after(10):
        async with open_transport(server.url, keep=keep) as connections:
            yield connections


async def call(connections: StackTransport, server: Server) -> bytes:
    response = await connections.handle_async_request(httpx.Request("GET", f"{server.url}/x"))
    try:
        return await response.aread()
    finally:
        await response.aclose()


async def many(connections: StackTransport, server: Server, count: int) -> None:
    async with trio.open_nursery() as calls:
        for _ in range(count):
            calls.start_soon(call, connections, server)


async def until(condition: Callable[[], bool]) -> None:
    with trio.fail_after(5):
        while not condition():  # noqa: ASYNC110 - nothing tells
            await trio.sleep(0.01)


async def test_one_is_enough_for_calls_one_after_another(server: Server) -> None:
    async with opened(server) as connections:
        for _ in range(20):
            assert await call(connections, server) == b"[]"
        assert server.opened == 1
    await until(lambda: server.gone == 1)


@pytest.mark.parametrize(
    ("method", "status", "opened_in_all"), [("POST", 503, 3), ("POST", 413, 3), ("POST", 201, 1), ("GET", 503, 1)]
)
async def test_one_on_which_a_body_was_answered_with_an_error_is_not_used_again(
    server: Server, method: str, status: int, opened_in_all: int
) -> None:
    """The server may not have read that body: then it takes the next request for the rest of it, and never answers."""
    server.answer = b"HTTP/1.1 %d x\r\nContent-Length: 2\r\n\r\n[]" % status
    async with opened(server) as connections:
        for _ in range(3):
            request = httpx.Request(method, f"{server.url}/x", content=BODY if method == "POST" else None)
            response = await connections.handle_async_request(request)
            assert await response.aread() == b"[]"
            await response.aclose()
        assert server.opened == opened_in_all
    await until(lambda: server.gone == opened_in_all)


async def test_what_a_peak_has_opened_sinks_and_is_closed(server: Server) -> None:
    async with opened(server, keep=0.2) as connections:
        await many(connections, server, 20)
        assert server.opened == 20
        server.used.clear()
        for _ in range(60):
            await call(connections, server)
            await trio.sleep(0.01)
        assert len(set(server.used)) == 1, "the last one used is on top"
        await until(lambda: server.gone == 19)
        assert server.opened == 20


async def test_a_cancelled_end_closes_all_that_are_idle(server: Server) -> None:
    with trio.CancelScope() as scope:
        async with opened(server) as connections:
            await many(connections, server, 5)
            assert server.gone == 0
            scope.cancel()
    await until(lambda: server.gone == 5)


async def test_one_that_was_idle_for_long_is_not_used(server: Server) -> None:
    async with opened(server, keep=0.05) as connections:
        await call(connections, server)
        await trio.sleep(0.2)
        assert await call(connections, server) == b"[]"
        assert server.opened == 2


async def test_one_that_the_server_has_closed_is_not_used(server: Server) -> None:
    server.then_closes = True
    async with opened(server) as connections:
        for _ in range(3):
            assert await call(connections, server) == b"[]"
            await until(lambda: server.gone == server.opened)
            await trio.sleep(0.05)  # until the kernel has told us
    assert server.opened == 3


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n[", httpx.RemoteProtocolError),
        (b"nonsense\r\n\r\n", httpx.RemoteProtocolError),
        (b"", httpx.RemoteProtocolError),
    ],
    ids=["cut", "no HTTP", "nothing"],
)
async def test_one_that_failed_is_not_used_again(server: Server, answer: bytes, error: type[Exception]) -> None:
    async with opened(server) as connections:
        server.answer, server.then_closes = answer, True
        with pytest.raises(error):
            await call(connections, server)
        server.answer, server.then_closes = ANSWER, False
        assert await call(connections, server) == b"[]"
    assert server.opened == 2


async def test_one_whose_answer_nobody_waits_for_is_closed(server: Server) -> None:
    server.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n["
    async with opened(server) as connections:
        with trio.move_on_after(0.2):
            await call(connections, server)
        await until(lambda: server.gone == 1)
        server.answer = ANSWER
        assert await call(connections, server) == b"[]"
    assert server.opened == 2


async def test_over_tls_with_an_authority_that_is_trusted_or_not(
    nursery: trio.Nursery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, server = trustme.CA(), Server()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)

    async def serve(tcp: trio.SocketStream) -> None:
        await server.serve(trio.SSLStream(tcp, context, server_side=True, https_compatible=True))

    listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
    server.url = f"https://localhost:{listeners[0].socket.getsockname()[1]}"
    async with opened(server) as connections:
        with pytest.raises(httpx.ConnectError, match="certificate"):
            await call(connections, server)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    async with opened(server) as connections:
        for _ in range(3):
            assert await call(connections, server) == b"[]"
    assert set(server.used) == {2}, "one connection for all, after the one that was refused"


async def test_nobody_listens(server: Server) -> None:
    async with open_transport("http://127.0.0.1:1", keep=1) as connections:
        with pytest.raises(httpx.ConnectError):
            await connections.handle_async_request(httpx.Request("GET", "http://127.0.0.1:1/x"))


async def test_an_address_that_is_none_is_a_clear_error() -> None:
    with pytest.raises(StartupError, match="EDGE_BASE_URL"):
        async with open_transport("http://[::bad/", keep=1):
            raise AssertionError
