"""What proxies of instances are asked before a native connect, over real sockets."""

from __future__ import annotations

import pytest
import trio

from tests.egress_proxy import ENCODED, EgressProxy, open_egress_proxy
from wa_worker.dev.simulator import Simulator
from wa_worker.edge.egress_url import egress_from
from wa_worker.models import Unusable
from wa_worker.whatsapp.egress_probe import EgressProbe

AROUND = {"HTTPS_PROXY": "http://127.0.0.1:1"}


async def said(url: str, environ: dict[str, str] | None = None) -> str | None:
    return await EgressProbe(environ or {}).problem(egress_from(url))


@pytest.mark.parametrize("scheme", ["http", "socks5"])
async def test_a_proxy_is_asked_for_a_tunnel(simulator: Simulator, scheme: str) -> None:
    async with open_egress_proxy(simulator.port, scheme) as proxy:
        assert await said(proxy.url) is None
        assert proxy.asked == ["web.whatsapp.com:443"]
        wrong = await said(proxy.url.replace(ENCODED, "customer-7:wrong"))
        assert wrong is not None
        assert ("answers 407" if scheme == "http" else "does not take the user and the password") in wrong
        assert "customer-7" not in wrong
        proxy.refuses = 403
        refused = await said(proxy.url)
        assert refused is not None
        assert ("answers 403" if scheme == "http" else "answers connection not allowed") in refused


@pytest.mark.parametrize("scheme", ["http", "https", "socks5"])
async def test_one_that_is_not_there_or_is_none(simulator: Simulator, scheme: str) -> None:
    assert "cannot be reached" in (await said(f"{scheme}://127.0.0.1:1") or "")

    async def hang_up(stream: trio.SocketStream) -> None:
        await stream.receive_some(1)
        await stream.send_all(b"\x00\x00")
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        await nursery.start(trio.serve_listeners, hang_up, [listener])
        problem = await said(f"{scheme}://127.0.0.1:{listener.socket.getsockname()[1]}")
        nursery.cancel_scope.cancel()
    assert problem is not None, "and no error that nobody expects"


async def test_what_cannot_be_used_is_a_problem_and_nothing_is_asked() -> None:
    probe = EgressProbe({})
    assert await probe.problem(None) is None
    assert "cannot be used: why" in (await probe.problem(Unusable("why")) or "")


async def test_socks5_behind_a_proxy_of_the_environment_is_no_way_of_its_own(simulator: Simulator) -> None:
    async with open_egress_proxy(simulator.port, "socks5") as proxy:
        assert "HTTPS_PROXY" in (await said(proxy.url, AROUND) or "")
        assert await said(proxy.url, {**AROUND, "NO_PROXY": ".whatsapp.com"}) is None


async def test_one_answer_counts_for_a_while(simulator: Simulator) -> None:
    async with open_egress_proxy(simulator.port) as proxy, open_egress_proxy(simulator.port) as other:
        probe = EgressProbe({})

        async def ask(of: EgressProxy) -> None:
            assert await probe.problem(egress_from(of.url)) is None

        async with trio.open_nursery() as nursery:
            for each in (proxy, proxy, other, proxy):
                nursery.start_soon(ask, each)
        assert (len(proxy.asked), len(other.asked)) == (1, 1)
