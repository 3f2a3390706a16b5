"""How many connections a port keeps, which one ends for a new one, and when a slow one ends, on real sockets."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any, NoReturn

import attrs
import pytest
import trio

from tests.descriptors import leave_none
from tests.proxy_fixture import PATIENCE
from wa_worker.monitoring.connections import Times, serve_connections
from wa_worker.monitoring.http_server import HttpServer

MOST = 20
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
HALF = b"GET / HTTP/1.1\r\nX: "
LARGE = 1_000_000


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answers `/large` with a megabyte and anything else with two bytes; `/slow` never."""
    if scope["path"] == "/slow":
        await trio.sleep_forever()
    body = bytes(LARGE) if scope["path"] == "/large" else b"ok"
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@attrs.define
class Port:
    """Connects to the port, and closes all its connections at the end."""

    number: int
    clients: AsyncExitStack

    async def connect(self, data: bytes = b"", source: str = "127.0.0.1") -> trio.SocketStream:
        stream = await trio.open_tcp_stream("127.0.0.1", self.number, local_address=source)
        await self.clients.enter_async_context(stream)
        await stream.send_all(data)
        return stream


@asynccontextmanager
async def open_port(times: Times | None = None) -> AsyncIterator[Port]:
    """Serves the app on a port. On leaving, all connections are cut in far less than any deadline of the tests."""
    server = HttpServer(app, keep_alive=60, max_body=0)
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with AsyncExitStack() as clients:
        with trio.CancelScope() as patience:
            async with trio.open_nursery() as nursery:
                await nursery.start(serve_connections, listener, server.serve, times or Times(), MOST)
                yield Port(listener.socket.getsockname()[1], clients)
                patience.deadline = trio.current_time() + PATIENCE
                nursery.cancel_scope.cancel()
        assert not patience.cancelled_caught


async def answers(stream: trio.SocketStream) -> bool:
    """Asks on this connection. False: it was cut."""
    got = b""
    with trio.fail_after(PATIENCE):
        try:
            await stream.send_all(GET)
            while not got.endswith(b"\r\n\r\nok"):
                if not (data := await stream.receive_some()):
                    return False
                got += data
        except trio.BrokenResourceError:
            return False
    return True


async def trickle(stream: trio.SocketStream) -> NoReturn:
    while True:
        await stream.send_all(b"x")
        await trio.sleep(0.05)


async def ends(stream: trio.SocketStream) -> float:
    """Reads until the connection ends; returns how many seconds that took."""
    began = trio.current_time()
    with trio.fail_after(PATIENCE):
        try:
            while await stream.receive_some():
                pass
        except trio.BrokenResourceError:
            pass
    return trio.current_time() - began


async def test_a_full_port_takes_the_newest_and_closes_the_oldest() -> None:
    async with open_port() as port:
        crowd = [await port.connect(HALF) for _ in range(MOST)]
        for _ in range(3 * MOST):
            crowd.append(await port.connect(HALF))
            assert await answers(await port.connect())
        for stream in crowd[:MOST]:
            await ends(stream)


async def test_a_prober_keeps_its_connection_among_many_of_another_address() -> None:
    async with open_port() as port:
        prober = await port.connect(source="127.0.0.2")
        assert await answers(prober)
        for _ in range(3):
            for _ in range(MOST):
                assert await answers(await port.connect())
            assert await answers(prober)


async def test_who_was_answered_stays_before_who_never_asked() -> None:
    async with open_port() as port:
        prober = await port.connect()
        assert await answers(prober)
        for _ in range(2 * MOST):
            await port.connect(HALF)
        assert await answers(prober)


async def test_who_waits_for_an_answer_stays_before_who_is_idle() -> None:
    async with open_port() as port:
        waits = await port.connect(GET.replace(b"/ ", b"/slow "))
        for _ in range(2 * MOST):
            assert await answers(await port.connect())
        with trio.move_on_after(0.2) as waiting:
            await waits.receive_some()
        assert waiting.cancelled_caught, "it is still open"


@pytest.mark.parametrize("data", [b"", HALF], ids=["silent", "half"])
async def test_a_request_that_does_not_come_ends_the_connection(data: bytes) -> None:
    async with open_port(Times(request=0.3)) as port:
        assert await ends(await port.connect(data)) < 5


async def test_a_byte_now_and_then_does_not_prolong_it() -> None:
    async with open_port(Times(request=0.5)) as port:
        stream = await port.connect()
        assert await answers(stream)
        await stream.send_all(HALF)
        with trio.fail_after(PATIENCE), pytest.raises(trio.BrokenResourceError):
            await trickle(stream)


async def test_the_time_between_two_requests_is_another() -> None:
    async with open_port(Times(request=0.2)) as port:
        stream = await port.connect()
        assert await answers(stream)
        with trio.move_on_after(0.6) as waiting:
            await stream.receive_some()
        assert waiting.cancelled_caught
        assert await answers(stream)


async def test_a_client_that_does_not_read_ends_after_its_time() -> None:
    async with open_port(Times(answer=0.3)) as port:
        stream = await port.connect(20 * GET.replace(b"/ ", b"/large "))
        await trio.sleep(0.6)  # the deadline has passed, and it has read nothing
        got = 0
        with trio.fail_after(PATIENCE):
            try:
                while data := await stream.receive_some():
                    got += len(data)
            except trio.BrokenResourceError:
                pass
        assert got < 20 * LARGE


async def test_cancelled_it_waits_for_no_client_that_does_not_read() -> None:
    async with open_port() as port:
        await port.connect(20 * GET.replace(b"/ ", b"/large "))
        await trio.sleep(0.2)


SERVER = """
import sys, trio
from tests.monitoring.test_connections import MOST, HttpServer, Times, app, serve_connections
async def main():
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        server = HttpServer(app, keep_alive=60, max_body=0)
        await nursery.start(serve_connections, listener, server.serve, Times(), MOST)
        print(listener.socket.getsockname()[1], flush=True)
        await trio.to_thread.run_sync(sys.stdin.read)
        nursery.cancel_scope.cancel()
trio.run(main)
"""


async def test_without_a_descriptor_the_newest_gets_in_all_the_same() -> None:
    """A process of its own, which has one in reserve, and lets the first client go for the second."""
    async with trio.open_nursery() as nursery, AsyncExitStack() as clients:
        run = partial(trio.run_process, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        server: trio.Process = await nursery.start(partial(run, [sys.executable, "-c", SERVER], check=False))
        assert server.stdin is not None
        assert server.stdout is not None
        with trio.fail_after(PATIENCE):
            port = Port(int(await server.stdout.receive_some()), clients)
        leave_none(server.pid)
        for _ in range(5):
            assert await answers(await port.connect())
        await server.stdin.aclose()
        with trio.fail_after(PATIENCE):
            said = await server.stdout.receive_some()
        assert b"Too many open files" in said
