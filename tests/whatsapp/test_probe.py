"""The probe before a native connect(): what counts as reachable, over real sockets."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import pytest
import trio

from wa_worker.whatsapp.probe import SERVER, ReachabilityProbe, target


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, SERVER),
        ({"HTTPS_PROXY": ""}, SERVER),
        ({"HTTPS_PROXY": "http://10.0.0.1:3128"}, ("10.0.0.1", 3128)),
        ({"https_proxy": "10.0.0.1:3128"}, ("10.0.0.1", 3128)),
        ({"HTTPS_PROXY": "https://proxy"}, ("proxy", 443)),
        ({"HTTPS_PROXY": "socks5://proxy"}, ("proxy", 1080)),
        ({"HTTPS_PROXY": "http://proxy"}, ("proxy", 80)),
        ({"HTTPS_PROXY": "http://proxy:abc"}, SERVER),
    ],
)
def test_what_is_probed(environ: Mapping[str, str], expected: tuple[str, int]) -> None:
    assert target(environ) == expected


async def _listen(nursery: trio.Nursery, *, hold: bool) -> int:
    async def serve_connection(stream: trio.SocketStream) -> None:
        if hold:
            await trio.sleep_forever()
        await stream.aclose()

    (listener,) = await nursery.start(partial(trio.serve_tcp, serve_connection, 0, host="127.0.0.1"))
    return int(listener.socket.getsockname()[1])


async def test_a_server_that_listens_is_reachable() -> None:
    async with trio.open_nursery() as nursery:
        assert await ReachabilityProbe("127.0.0.1", await _listen(nursery, hold=True)).problem() is None
        nursery.cancel_scope.cancel()


async def test_one_that_drops_is_not() -> None:
    async with trio.open_nursery() as nursery:
        problem = await ReachabilityProbe("127.0.0.1", await _listen(nursery, hold=False)).problem()
        assert problem is not None
        assert "drops it" in problem
        nursery.cancel_scope.cancel()


async def test_nor_is_a_closed_port_and_the_answer_is_shared() -> None:
    async with trio.open_nursery() as nursery:
        port = await _listen(nursery, hold=True)
        nursery.cancel_scope.cancel()
    reach = ReachabilityProbe("127.0.0.1", port)
    first = await reach.problem()
    assert first is not None
    assert "no TCP connection" in first
    began = trio.current_time()
    for _ in range(200):
        assert await reach.problem() == first
    assert trio.current_time() - began < 4
