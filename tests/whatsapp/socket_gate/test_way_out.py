"""The ways out behind the gate: through the instance's proxy, the environment's, or straight, and never another one."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trustme

from tests.egress_proxy import ENCODED, PASSWORD, EgressProxy, open_egress_proxy
from tests.proxy_fixture import SHOP
from tests.whatsapp.socket_gate.plain import Lease, ask, open_gate, open_host
from wa_worker.dev.simulator import Simulator
from wa_worker.edge.egress_url import egress_from
from wa_worker.models import EgressProxy as Egress
from wa_worker.whatsapp.socket_gate import SocketGate

SOCKET = "web.whatsapp.com:443"
NOWHERE = {"HTTPS_PROXY": "http://127.0.0.1:1"}


@asynccontextmanager
async def open_tls_proxy(simulator: Simulator, folder: Path) -> AsyncIterator[EgressProxy]:
    """The same behind TLS; its authority is in `folder`."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    proxy = EgressProxy(simulator.port, "https", listener.socket.getsockname()[1])
    async with trio.open_nursery() as nursery:
        await nursery.start(
            trio.serve_listeners,
            proxy.serve,
            [trio.SSLListener(listener, context, https_compatible=True)],
        )
        yield proxy
        nursery.cancel_scope.cancel()


async def status(gate: SocketGate, url: str | None, target: str = SOCKET) -> int:
    egress = None if url is None else egress_from(url)
    assert egress is None or isinstance(egress, Egress)
    with gate.passage(SHOP, egress) as proxy:
        got, stream = await ask(proxy, target)
        await stream.aclose()
    return got


@pytest.mark.parametrize("scheme", ["http", "socks5"])
async def test_through_the_proxy_of_the_instance(simulator: Simulator, scheme: str) -> None:
    async with open_gate(Lease(), NOWHERE) as gate, open_egress_proxy(simulator.port, scheme) as proxy:
        assert await status(gate, proxy.url) == 200
        assert proxy.asked == [SOCKET]
        assert await status(gate, proxy.url.replace(ENCODED, "customer-7:wrong")) == 502
        proxy.refuses = 403
        assert await status(gate, proxy.url) == 502


async def test_through_one_behind_tls(simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_gate(Lease(), NOWHERE) as gate, open_tls_proxy(simulator, tmp_path) as proxy:
        assert await status(gate, proxy.url) == 502, "its authority is not known"
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    async with open_gate(Lease(), NOWHERE) as gate, open_tls_proxy(simulator, tmp_path) as proxy:
        assert await status(gate, proxy.url) == 200
        assert proxy.asked == [SOCKET]


@pytest.mark.parametrize("scheme", ["http", "https", "socks5"])
async def test_a_proxy_that_is_not_there_or_is_none(scheme: str) -> None:
    async def hang_up(stream: trio.SocketStream) -> None:
        await stream.receive_some(1)
        await stream.send_all(b"\x00\x00")
        await stream.aclose()

    async with open_gate(Lease()) as gate, open_host() as host, trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        await nursery.start(trio.serve_listeners, hang_up, [listener])
        assert await status(gate, f"{scheme}://127.0.0.1:1", host.target) == 502
        assert await status(gate, f"{scheme}://127.0.0.1:{listener.socket.getsockname()[1]}", host.target) == 502
        assert host.accepted == [], "and not without it"
        nursery.cancel_scope.cancel()


async def test_through_the_one_of_the_environment(simulator: Simulator) -> None:
    async with open_egress_proxy(simulator.port) as proxy, open_host() as host:
        around = {"https_proxy": proxy.url, "NO_PROXY": "127.0.0.1"}
        async with open_gate(Lease(), around) as gate:
            assert await status(gate, None) == 200
            assert proxy.asked == [SOCKET]
            assert await status(gate, None, host.target) == 200
            assert (len(proxy.asked), len(host.accepted)) == (1, 1), "one that is spared: straight"
        async with open_gate(Lease(), {"HTTPS_PROXY": f"ftp://{PASSWORD}@x"}) as gate:
            assert await status(gate, None, host.target) == 502
            assert len(host.accepted) == 1, "nonsense is no leave to go without"
