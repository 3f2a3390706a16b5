"""Answers that come before the request's body was read: what is on that connection next gets none, or another's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

import pytest
import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from quart import Quart, request
from quart_trio import QuartTrio

from tests.proxy_fixture import SHOP
from wa_worker.edge.client import open_edge_client
from wa_worker.errors import EdgeUnavailable
from wa_worker.metrics import Metrics
from wa_worker.models import ProxyStatus, Secret, Status

LARGE = Status(ProxyStatus.CONNECTING, "data:image/png;base64," + "A" * 200_000)
SMALL = Status(ProxyStatus.CONNECTED)
AT_ONCE = 2.0
"""Seconds within which a call must succeed when the trouble is over."""


class Trouble:
    """Says whether the server refuses."""

    def __init__(self) -> None:
        self.on = True


async def calls_go_on(url: str, trouble: Trouble, status: Status) -> None:
    """Calls are refused, several at once, and each succeeds at once when the trouble is over."""
    async with open_edge_client(url, Secret("s"), longest_poll=30, metrics=Metrics()) as edge:

        async def is_refused() -> None:
            with pytest.raises(EdgeUnavailable):
                await edge.update_status(SHOP, status)

        for _ in range(3 if status is SMALL else 1):
            async with trio.open_nursery() as nursery:
                for _ in range(4):
                    nursery.start_soon(is_refused)
        trouble.on = False
        for _ in range(8):
            with trio.fail_after(AT_ONCE):
                await edge.update_status(SHOP, SMALL)


@pytest.mark.parametrize("status", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("refusal", [401, 404, 503])
async def test_of_stock_hypercorn(nursery: trio.Nursery, refusal: int, status: Status) -> None:
    trouble = Trouble()
    app: Quart = QuartTrio(__name__)

    @app.before_request
    async def refuse() -> tuple[str, int] | None:
        return ("{}", refusal) if trouble.on else None

    @app.post("/update-status")
    async def update_status() -> str:
        await request.get_data()
        return "{}"

    config = Config()
    config.bind = ["127.0.0.1:0"]
    (url,) = await nursery.start(partial(serve, app, config))
    await calls_go_on(url, trouble, status)
    nursery.cancel_scope.cancel()


REFUSAL = b"HTTP/1.1 503 Away\r\nContent-Length: 2\r\n\r\n{}"
SUCCESS = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


async def _closes(stream: trio.SocketStream) -> None:
    await stream.aclose()


async def _half_closes(stream: trio.SocketStream) -> None:
    await stream.send_eof()
    await trio.sleep_forever()


async def _never_reads(stream: trio.SocketStream) -> None:
    await trio.sleep_forever()


@pytest.mark.parametrize("status", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("then", [_closes, _half_closes, _never_reads], ids=["closes", "half-closes", "never reads"])
async def test_of_a_server_that_then(
    nursery: trio.Nursery, then: Callable[[trio.SocketStream], Awaitable[None]], status: Status
) -> None:
    trouble = Trouble()

    async def handle(stream: trio.SocketStream) -> None:
        while True:
            head = await stream.receive_some(16)  # no more of it
            if trouble.on:
                await stream.send_all(REFUSAL)
                await then(stream)
                return
            while not head.endswith(b"}"):
                part = await stream.receive_some(65536)
                if not part:
                    return
                head += part
            await stream.send_all(SUCCESS)

    async def survive(stream: trio.SocketStream) -> None:
        try:
            await handle(stream)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            await stream.aclose()

    (listener,) = await nursery.start(partial(trio.serve_tcp, survive, 0, host="127.0.0.1"))
    url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
    await calls_go_on(url, trouble, status)
    nursery.cancel_scope.cancel()


async def test_a_large_call_is_not_held_for_long(nursery: trio.Nursery) -> None:
    """A server that has answered, and never reads the rest of the body."""

    async def handle(stream: trio.SocketStream) -> None:
        await stream.receive_some(16)
        await stream.send_all(REFUSAL)
        await trio.sleep_forever()

    (listener,) = await nursery.start(partial(trio.serve_tcp, handle, 0, host="127.0.0.1"))
    url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
    async with open_edge_client(url, Secret("s"), longest_poll=30, metrics=Metrics()) as edge:
        much = Status(ProxyStatus.CONNECTING, "data:image/png;base64," + "A" * 16_000_000)
        with trio.fail_after(12), pytest.raises(EdgeUnavailable):
            await edge.update_status(SHOP, much)
    nursery.cancel_scope.cancel()
