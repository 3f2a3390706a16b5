"""What `wa-worker check --instance ID` does at the proxy, and what it makes of the answers."""

from __future__ import annotations

import time

from tests.check.results import SECRET, by_name
from wa_worker.check.clock import Clock
from wa_worker.check.result import Grade, Result
from wa_worker.check.writing import check_writing
from wa_worker.dev.proxy import Fault, ReferenceProxy, open_proxy
from wa_worker.models import InstanceId


async def written(proxy: ReferenceProxy, *, worker_is_running: bool = False) -> dict[str, Result]:
    instance = InstanceId("shop")
    return by_name(await check_writing(proxy.url, SECRET, instance, Clock(), worker_is_running=worker_is_running))


async def test_writing_says_a_status_that_holds_and_marks_what_does_not_exist() -> None:
    async with open_proxy(secret=SECRET.reveal()) as proxy:
        proxy.store.add_instance("shop")
        proxy.store.queue("shop", "5511988880002", "to be sent by a worker")
        before = int(time.time())
        found = await written(proxy)
        assert [result.grade for result in found.values()] == [Grade.OK] * 3
        (told,) = proxy.store.statuses("shop")
        assert told.status == "DISCONNECTED"
        assert before <= (told.since or 0) <= time.time(), "it says since when"
        assert [row.status for row in proxy.store.messages("shop")] == ["queued"]
        assert proxy.store.inbound("shop") == []


async def test_writing_leaves_the_status_alone_where_it_would_be_wrong() -> None:
    async with open_proxy(secret=SECRET.reveal()) as proxy:
        proxy.store.add_instance("shop", "CONNECTED")
        assert "not written" in (await written(proxy))["update-status"].found
        proxy.store.add_instance("shop", "CONNECTING")
        assert "a worker runs here" in (await written(proxy, worker_is_running=True))["update-status"].found
        assert proxy.store.statuses("shop") == []


async def test_writing_notices_calls_that_are_missing_or_break() -> None:
    async with open_proxy(secret=SECRET.reveal()) as proxy:
        proxy.store.add_instance("shop")
        proxy.store.has_mark_failed = False
        proxy.faults.set("mark-sent", Fault(status=404, body=b'{"error": "Not Found"}'))
        found = await written(proxy)
        assert "has none" in found["mark-failed"].found
        assert found["mark-sent"].grade is Grade.FAIL
        proxy.faults.set("mark-sent", Fault(status=500))
        proxy.faults.set("update-status", Fault(status=404))
        found = await written(proxy)
        assert found["mark-sent"].grade is Grade.WARN
        assert found["update-status"].grade is Grade.FAIL
        proxy.faults.set("*", Fault(status=401))
        proxy.faults.set("update-status", Fault(status=401))
        proxy.faults.set("mark-sent", Fault(status=401))
        assert {r.grade for r in (await written(proxy)).values()} <= {Grade.FAIL, Grade.WARN}
