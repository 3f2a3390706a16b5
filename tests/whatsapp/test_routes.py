"""What the library is given as its proxy: the gate's, the instance's own, or none."""

from __future__ import annotations

from pathlib import Path

import trio

from tests.proxy_fixture import SHOP
from tests.whatsapp.socket_gate.plain import Lease, open_gate
from wa_worker.edge.egress_url import egress_from
from wa_worker.models import EgressProxy
from wa_worker.whatsapp.egress import EgressTable
from wa_worker.whatsapp.egress_memory import EgressFiles
from wa_worker.whatsapp.routes import Routes

OWN = egress_from("socks5://user:secret@127.0.0.1:1")
AROUND = {"HTTPS_PROXY": "http://127.0.0.1:1"}


async def test_without_a_gate_the_instances_own_or_none(tmp_path: Path) -> None:
    assert isinstance(OWN, EgressProxy)
    routes = Routes.of(EgressTable(EgressFiles(tmp_path)), AROUND)
    with routes.way_out(SHOP, OWN) as proxy, routes.way_out(SHOP, None) as none:
        assert (proxy, none) == (OWN.url, None)
    assert "goes on to that one" in (await routes.proxy_problem(OWN) or "")


async def test_with_one_its_own_for_each_opening(tmp_path: Path) -> None:
    assert isinstance(OWN, EgressProxy)
    with trio.fail_after(20):
        async with open_gate(Lease()) as gate:
            routes = Routes.of(EgressTable(EgressFiles(tmp_path)), AROUND, gate)
            with routes.way_out(SHOP, OWN) as first, routes.way_out(SHOP, None) as second:
                assert first is not None
                assert second is not None
                assert first != second
                for proxy in (first, second):
                    assert proxy.reveal().startswith("http://shop%2F")
                    assert "secret" not in proxy.reveal()
        assert "cannot be reached" in (await routes.proxy_problem(OWN) or ""), "the gate dials it, and not the library"
