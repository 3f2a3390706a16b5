"""When the proxy is asked what there is to do, and in which version of the contract."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs
import trio

from tests.instances.polls import run_polling
from tests.proxy_fixture import open_proxy_fixture, until
from wa_worker.dev.proxy import Fault
from wa_worker.edge.wire import InstanceRows
from wa_worker.instances.discovery import UNLISTED_POLLS, Running
from wa_worker.models import InstanceId


@attrs.define
class Instances:
    """Stands for the fleet: one instance whose line breaks at the start of each poll."""

    released: list[InstanceId] = attrs.Factory(list)
    back: list[float] = attrs.Factory(list)
    looks: int = -1
    """How often it was looked at: at first for version 2, which this proxy does not speak, then twice for each list."""
    on_end: list[Callable[[], None]] = attrs.Factory(list)
    on_connected: list[Callable[[InstanceId], None]] = attrs.Factory(list)
    kept_off: frozenset[InstanceId] = frozenset()

    def running(self) -> Mapping[InstanceId, Running]:
        self.looks += 1
        before_the_poll = self.looks % 2 == 1
        return {InstanceId("a"): Running(connected=not before_the_poll, announced=True, changes=self.looks)}

    def start(self, instance: InstanceId) -> None: ...

    def release(self, instance: InstanceId) -> None:
        self.released.append(instance)

    def announce_again(self, instance: InstanceId) -> None: ...

    def pair_by_code(self, rows: InstanceRows) -> None: ...
    async def go_out_by(self, rows: InstanceRows) -> None: ...

    def proxy_is_back(self, last_seen: float) -> None:
        self.back.append(last_seen)


async def test_a_line_that_breaks_for_a_moment_at_each_poll_lets_nothing_go() -> None:
    async with open_proxy_fixture() as fixture, trio.open_nursery() as nursery:
        instances = Instances()
        nursery.start_soon(run_polling, fixture.edge, instances, 0.02)
        await until(lambda: instances.looks > 4 * UNLISTED_POLLS)
        assert not instances.released
        nursery.cancel_scope.cancel()


async def test_the_fleet_hears_of_the_end_of_an_outage() -> None:
    async with open_proxy_fixture() as fixture, trio.open_nursery() as nursery:
        instances = Instances()
        began = trio.current_time()
        nursery.start_soon(run_polling, fixture.edge, instances, 0.02)
        await until(lambda: fixture.proxy.store.requests["disconnected-instances"] >= 3)
        assert not instances.back
        fixture.proxy.faults.set("*", Fault(status=404))
        calls = fixture.proxy.store.requests["disconnected-instances"]
        await until(lambda: fixture.proxy.store.requests["disconnected-instances"] >= calls + 3)
        assert not instances.back
        outage = trio.current_time()
        fixture.proxy.faults.clear()
        await until(lambda: instances.back)
        await until(lambda: fixture.proxy.store.requests["disconnected-instances"] >= calls + 6)
        (last_seen,) = instances.back
        assert began < last_seen < outage
        nursery.cancel_scope.cancel()


async def test_a_list_waits_as_long_as_it_is_asked_to() -> None:
    async with open_proxy_fixture() as fixture, trio.open_nursery() as nursery:
        fixture.proxy.faults.set("*", Fault(status=503, headers={"Retry-After": "2"}, times=1))
        nursery.start_soon(run_polling, fixture.edge, Instances(), 0.02)
        await until(lambda: fixture.proxy.store.requests["poll"])
        await trio.sleep(1.5)
        assert fixture.proxy.store.requests["disconnected-instances"] == 0
        fixture.proxy.faults.set("disconnected-instances", Fault(status=503, headers={"Retry-After": "2"}, times=1))
        await until(lambda: fixture.proxy.store.requests["disconnected-instances"])
        await trio.sleep(1.5)
        assert fixture.proxy.store.requests["disconnected-instances"] == 1
        await until(lambda: fixture.proxy.store.requests["disconnected-instances"] >= 2)
        nursery.cancel_scope.cancel()
