"""What `check` says of the proxies that instances have for themselves."""

from __future__ import annotations

from pathlib import Path

from tests.egress_proxy import PASSWORD, USER, open_egress_proxy
from wa_worker.check.egress import check_egress
from wa_worker.check.result import Grade
from wa_worker.dev.simulator import open_simulator
from wa_worker.edge.wire import instances_from
from wa_worker.whatsapp.egress import EgressTable
from wa_worker.whatsapp.egress_memory import EgressFiles


async def test_each_is_asked_and_no_password_is_told(tmp_path: Path) -> None:
    assert await check_egress(tmp_path, {}) == [], "nobody has one"
    table = EgressTable(EgressFiles(tmp_path))
    async with open_simulator() as simulator, open_egress_proxy(simulator.port) as proxy:
        await table.listed(instances_from([{"id": "shop", "proxy": proxy.url}]))
        (well,) = await check_egress(tmp_path, {})
        assert (well.grade, well.found) == (Grade.OK, "all 1 let their instances through to WhatsApp")
        proxy.refuses = 407
        await table.listed(instances_from([{"id": "other", "proxy": "ftp://customer:hidden@proxy"}]))
        (broken,) = await check_egress(tmp_path, {})
    assert broken.grade is Grade.FAIL
    assert "2 of 2" in broken.found
    assert "answers 407" in broken.found
    for secret in (USER, PASSWORD, "hidden"):
        assert secret not in broken.found
