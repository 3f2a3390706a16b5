"""The status publisher against a real proxy over a real socket: a slot, not a queue."""

from __future__ import annotations

import pytest
import trio

from tests.proxy_fixture import SHOP, open_proxy_fixture
from wa_worker.dev.proxy import Fault
from wa_worker.instances.status import InstanceGone, StatusPublisher
from wa_worker.models import ProxyStatus, Status

CONNECTED = Status(ProxyStatus.CONNECTED)


def waiting(code: str) -> Status:
    return Status(ProxyStatus.CONNECTING, f"data:image/png;base64,{code}")


async def test_what_was_overtaken_is_never_posted() -> None:
    async with open_proxy_fixture(SHOP) as fixture, trio.open_nursery() as nursery:
        publisher = StatusPublisher(SHOP, fixture.edge)
        fixture.proxy.faults.set("update-status", Fault(status=503))
        nursery.start_soon(publisher.run)
        for code in ("AAAA", "BBBB", "CCCC"):
            publisher.announce(waiting(code))
            await trio.sleep(0.05)
        publisher.announce(CONNECTED)
        fixture.proxy.faults.clear()
        with trio.fail_after(10):
            await publisher.wait_settled()
        assert [(c.status, c.qr_code) for c in fixture.proxy.store.statuses(SHOP)] == [("CONNECTED", None)]
        nursery.cancel_scope.cancel()


async def test_an_unchanged_status_is_posted_again_after_a_while() -> None:
    async with open_proxy_fixture(SHOP) as fixture, trio.open_nursery() as nursery:
        publisher = StatusPublisher(SHOP, fixture.edge, heartbeat=0.1)
        nursery.start_soon(publisher.run)
        publisher.announce(CONNECTED)
        with trio.fail_after(10):
            await fixture.proxy.wait_for(lambda s: len(s.statuses(SHOP)) >= 3)
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("listed", [True, False])
async def test_an_instance_deleted_while_connected_is_gone(listed: bool) -> None:
    """But not if the proxy does not even list instances: then it is not deployed, and its 404 says nothing."""
    async with open_proxy_fixture(SHOP) as fixture:
        publisher = StatusPublisher(SHOP, fixture.edge, heartbeat=0.1)
        publisher.announce(CONNECTED)
        if listed:
            await fixture.edge.disconnected_instances()
        fixture.proxy.store.remove_instance(SHOP)
        with trio.move_on_after(10 if listed else 3) as patience:
            with pytest.raises(InstanceGone):
                await publisher.run()
        assert patience.cancelled_caught != listed


async def test_an_answer_that_lies_does_not_leave_a_status_behind() -> None:
    """The proxy stored CONNECTED and answered 500: then CONNECTING is news to it, though it confirmed that before."""
    async with open_proxy_fixture(SHOP) as fixture, trio.open_nursery() as nursery:
        publisher = StatusPublisher(SHOP, fixture.edge)
        nursery.start_soon(publisher.run)
        publisher.announce(Status(ProxyStatus.CONNECTING))
        with trio.fail_after(10):
            await publisher.wait_settled()
            fixture.proxy.faults.set("update-status", Fault(status=500, after_apply=True, times=1))
            publisher.announce(CONNECTED)
            await fixture.proxy.wait_for(lambda s: s.statuses(SHOP)[-1].status == "CONNECTED")
            publisher.announce(Status(ProxyStatus.CONNECTING))
            await fixture.proxy.wait_for(lambda s: s.statuses(SHOP)[-1].status == "CONNECTING")
        nursery.cancel_scope.cancel()


async def test_a_call_that_is_cancelled_does_not_leave_a_status_behind() -> None:
    """As when the instance crashes and starts again: its publisher goes on with what it knew."""
    async with open_proxy_fixture(SHOP) as fixture:
        publisher = StatusPublisher(SHOP, fixture.edge)
        publisher.announce(Status(ProxyStatus.CONNECTING))
        with trio.fail_after(10):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(publisher.run)
                await publisher.wait_settled()
                fixture.proxy.faults.set("update-status", Fault(hang=True, after_apply=True, times=1))
                publisher.announce(CONNECTED)
                await fixture.proxy.wait_for(lambda s: s.statuses(SHOP)[-1].status == "CONNECTED")
                nursery.cancel_scope.cancel()
            publisher.announce(Status(ProxyStatus.CONNECTING))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(publisher.run)
                await fixture.proxy.wait_for(lambda s: s.statuses(SHOP)[-1].status == "CONNECTING")
                nursery.cancel_scope.cancel()
