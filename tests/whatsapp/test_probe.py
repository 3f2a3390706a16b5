"""The probe before a native connect(): what counts as reachable, over real sockets."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import pytest
import trio
from trio.abc import Clock
from trio.testing import MockClock

from wa_worker.whatsapp.probe import FRESH, SERVER, ReachabilityProbe, target


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


@pytest.fixture
def fast() -> Clock:
    """A second takes 50 ms on this clock. pytest-trio runs the test by the clock that is among its arguments."""
    return MockClock(rate=20.0)


async def test_one_answer_counts_for_all_for_a_while(fast: Clock) -> None:
    """Two hundred instances ask; the server is asked once in FRESH seconds, and its end is seen after them."""
    asked = 0

    async def serve(_stream: trio.SocketStream) -> None:
        nonlocal asked
        asked += 1
        await trio.sleep_forever()

    async with trio.open_nursery() as serving:
        (listener,) = await serving.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        probe = ReachabilityProbe("127.0.0.1", int(listener.socket.getsockname()[1]))
        async with trio.open_nursery() as all_at_once:
            for _ in range(50):
                all_at_once.start_soon(probe.problem)
        assert asked == 1
        serving.cancel_scope.cancel()
    assert await probe.problem() is None, "the answer is fresh"
    await trio.sleep(FRESH)
    assert await probe.problem() is not None
