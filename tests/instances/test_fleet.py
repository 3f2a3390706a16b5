"""The instances that run: started once, released with their scope, and gone when they have ended."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import trio
import trio.abc
from structlog.testing import capture_logs

from tests.instances.bed import Bed, listing, open_bed
from tests.instances.polls import run_polling
from tests.proxy_fixture import SHOP, until
from tests.whatsapp.scripted_host import script
from wa_worker.dev.proxy import Fault
from wa_worker.instances.discovery import Running
from wa_worker.instances.fleet import InstanceFleet
from wa_worker.models import InstanceId, ProxyStatus, Shard, Status
from wa_worker.states import Event, State

OTHER = InstanceId("other")
SHARD, OWN = Shard(1, 3), InstanceId("pub")
"""A shard that has neither SHOP nor OTHER, and an instance of it."""
CODE = script(None, {"is": "qr", "code": "2@"})


@asynccontextmanager
async def open_fleet(folder: Path, *, stopping: bool = False) -> AsyncIterator[tuple[InstanceFleet, Bed]]:
    async with open_bed(folder, CODE) as bed, trio.open_nursery() as nursery:
        bed.fixture.proxy.store.add_instance(OTHER)
        yield InstanceFleet(bed.services, nursery, stopping=lambda: stopping), bed
        nursery.cancel_scope.cancel()


async def test_started_twice_it_runs_once(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as (fleet, bed):
        with capture_logs() as lines:
            for _ in range(3):
                fleet.start(SHOP)
            await until(lambda: (now := bed.services.registry.all().get(SHOP)) and now.because is Event.QR)
            fleet.start(SHOP)
        assert list(fleet.running()) == [SHOP]
        assert [line["event"] for line in lines] == ["pairing"]


async def test_released_it_ends_and_its_neighbour_does_not(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as (fleet, bed):
        fleet.start(SHOP)
        fleet.start(OTHER)
        await until(lambda: len(bed.services.registry.all()) == 2)
        await until(lambda: bed.fixture.proxy.store.statuses(SHOP))
        fleet.release(SHOP)
        fleet.release(InstanceId("of nobody"))
        await until(lambda: list(fleet.running()) == [OTHER])
        assert list(bed.services.registry.all()) == [OTHER]
        await trio.sleep(0.2)
        assert list(fleet.running()) == [OTHER]
        assert bed.fixture.proxy.store.statuses(SHOP)[-1].status != "DISCONNECTED", "who releases it knows"


async def test_one_that_has_ended_can_be_started_again(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as (fleet, bed):
        for _ in range(2):
            fleet.start(SHOP)
            await until(lambda: SHOP in bed.services.registry.all())
            fleet.release(SHOP)
            await until(lambda: SHOP not in fleet.running())


async def test_one_that_the_proxy_does_not_know_leaves_the_fleet(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as (fleet, bed), trio.open_nursery() as nursery:
        bed.fixture.proxy.store.remove_instance(SHOP)
        fleet.start(SHOP)
        fleet.start(OTHER)
        nursery.start_soon(listing, bed)
        await until(lambda: SHOP not in fleet.running())
        assert OTHER in fleet.running()
        nursery.cancel_scope.cancel()


async def test_one_that_the_proxy_takes_for_connected_is_reported_when_let_go(tmp_path: Path) -> None:
    """It may have been let go of by mistake: the proxy lists again what is disconnected, and it starts anew."""
    async with open_fleet(tmp_path) as (fleet, bed), trio.open_nursery() as nursery:
        fleet.start(SHOP)
        await until(lambda: fleet.running()[SHOP].announced)
        fleet._members[SHOP].publisher.announce(Status(ProxyStatus.CONNECTED))  # as a session does
        await until(lambda: bed.fixture.proxy.store.statuses(SHOP)[-1].status == "CONNECTED")
        fleet.release(SHOP)
        await until(lambda: bed.fixture.proxy.store.statuses(SHOP)[-1].status == "DISCONNECTED")
        nursery.start_soon(run_polling, bed.fixture.edge, fleet, 0.1)
        await until(lambda: SHOP in fleet.running())
        nursery.cancel_scope.cancel()


async def test_what_is_told_of_one_that_was_let_go_of_ends_when_it_starts_again(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as (fleet, bed):
        fleet.start(SHOP)
        await until(lambda: fleet.running()[SHOP].announced)
        fleet._members[SHOP].publisher.announce(Status(ProxyStatus.CONNECTED))
        await until(lambda: bed.fixture.proxy.store.statuses(SHOP)[-1].status == "CONNECTED")
        bed.fixture.proxy.faults.set("update-status", Fault(delay=1.0, times=1))
        fleet.release(SHOP)
        calls = bed.fixture.proxy.store.requests["update-status"]
        await until(lambda: SHOP not in fleet.running() and bed.fixture.proxy.store.requests["update-status"] > calls)
        fleet.start(SHOP)
        await until(lambda: SHOP in fleet.running() and fleet.running()[SHOP].announced)
        await trio.sleep(1.3)
        assert bed.fixture.proxy.store.statuses(SHOP)[-1].status != "DISCONNECTED"


@attrs.define(eq=False)
class StartsIt(trio.abc.Instrument):
    """Starts an instance in the very moment in which the proxy has heard that it was let go of."""

    fleet: InstanceFleet
    heard: Callable[[], bool]
    done: bool = False

    def task_scheduled(self, task: trio.lowlevel.Task) -> None:
        if not self.done and "_tell_let_go" in task.name and self.heard():
            self.done = True
            self.fleet.start(SHOP)


async def test_one_that_is_started_in_the_moment_in_which_the_proxy_has_heard_ends_nothing(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as (fleet, bed):
        proxy, edge = bed.fixture.proxy, bed.fixture.edge
        fleet.start(SHOP)
        await until(lambda: fleet.running()[SHOP].announced)
        fleet._members[SHOP].publisher.announce(Status(ProxyStatus.CONNECTED))
        await until(lambda: proxy.store.statuses(SHOP)[-1].status == "CONNECTED")
        proxy.contract = 2
        edge.version.is_two()  # then another's task may make its call, and it ends without a wait of its own
        instrument = StartsIt(fleet, lambda: proxy.store.statuses(SHOP)[-1].status == "DISCONNECTED")
        trio.lowlevel.add_instrument(instrument)
        proxy.faults.set("events", Fault(delay=0.5, times=4))
        async with trio.open_nursery() as nursery:
            for _ in range(5):  # four calls, and the next one waits for SHOP's to come along
                nursery.start_soon(edge.update_status, OTHER, Status(ProxyStatus.CONNECTING))
                await trio.sleep(0.05)
            fleet.release(SHOP)
        await until(lambda: instrument.done)
        trio.lowlevel.remove_instrument(instrument)
        await until(lambda: SHOP in fleet.running() and fleet.running()[SHOP].announced)


async def test_what_discovery_is_told(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as (fleet, bed):
        fleet.start(SHOP)
        assert fleet.running() == {SHOP: Running(connected=False, announced=False)}, "before it has done anything"
        await until(lambda: fleet.running()[SHOP].announced)
        bed.services.registry.set(SHOP, State.CONNECTED, because=Event.CONNECTED)
        assert fleet.running()[SHOP].connected
        assert fleet.running()[SHOP].announced


async def test_a_status_that_the_proxy_lost_is_announced_again(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as (fleet, bed):
        fleet.announce_again(OTHER)  # which does not run
        fleet.start(SHOP)
        registry = bed.services.registry.all()
        await until(lambda: SHOP in registry and registry[SHOP].because is Event.QR and fleet.running()[SHOP].announced)
        said = bed.fixture.proxy.store.statuses(SHOP)
        fleet.announce_again(SHOP)
        await until(lambda: len(bed.fixture.proxy.store.statuses(SHOP)) > len(said))
        again = bed.fixture.proxy.store.statuses(SHOP)[-1]
        assert (again.status, again.qr_code) == (said[-1].status, said[-1].qr_code)


async def test_with_discovery_the_proxys_list_decides(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as (fleet, bed), trio.open_nursery() as nursery:
        nursery.start_soon(run_polling, bed.fixture.edge, fleet, 0.1)
        await until(lambda: set(fleet.running()) == {SHOP, OTHER})
        bed.fixture.proxy.store.remove_instance(OTHER)
        await until(lambda: set(fleet.running()) == {SHOP})
        nursery.cancel_scope.cancel()


async def changes_to(bed: Bed, reason: str, by: str) -> None:
    """Waits until that is the last change of SHOP in the journal."""
    await until(lambda: [(each.reason, each.by) for each in bed.journal.changes.of(SHOP)][:1] == [(reason, by)])


async def test_one_that_a_person_lets_go_of_stays_away_whatever_the_proxy_lists(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as (fleet, bed), trio.open_nursery() as nursery:
        nursery.start_soon(run_polling, bed.fixture.edge, fleet, 0.05)
        await until(lambda: {SHOP, OTHER} == set(fleet.running()))
        fleet.let_go(SHOP)
        await until(lambda: SHOP not in fleet.running())
        await until(lambda: [each.reason for each in bed.fixture.proxy.store.statuses(SHOP)][-1:] == ["released"])
        polls = bed.fixture.proxy.store.requests["disconnected-instances"]
        await until(lambda: bed.fixture.proxy.store.requests["disconnected-instances"] >= polls + 4)
        assert list(fleet.running()) == [OTHER]
        await changes_to(bed, "let_go", "person")
        fleet.take_up(SHOP)
        await until(lambda: "taken_up" in [each.reason for each in bed.journal.changes.of(SHOP)])
        await until(lambda: fleet.qr_code(SHOP) is not None)
        assert fleet.kept_off == frozenset()
        nursery.cancel_scope.cancel()


async def test_one_that_was_let_go_of_before_the_start_does_not_start_and_the_proxy_hears_it(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as (fleet, bed):
        fleet.still_let_go([SHOP])
        fleet.start(SHOP)
        assert list(fleet.running()) == []
        await until(lambda: bed.fixture.proxy.store.statuses(SHOP))
        assert bed.fixture.proxy.store.statuses(SHOP)[-1].reason == "released"


async def test_one_of_another_shard_is_not_started_by_anybody_and_nothing_is_told_of_it(tmp_path: Path) -> None:
    async with open_bed(tmp_path, CODE) as bed, trio.open_nursery() as nursery:
        bed.fixture.proxy.store.add_instance(OTHER)
        settings = attrs.evolve(bed.services.settings, worker_shard=SHARD)
        fleet = InstanceFleet(attrs.evolve(bed.services, settings=settings), nursery, stopping=lambda: False)
        fleet.start(SHOP)
        fleet.take_up(OTHER)
        fleet.still_let_go([SHOP])
        assert (list(fleet.running()), fleet.kept_off) == ([], frozenset())
        await trio.sleep(0.2)
        assert bed.fixture.proxy.store.requests.total() == 0
        fleet.start(OWN)
        assert list(fleet.running()) == [OWN]
        nursery.cancel_scope.cancel()


async def test_one_that_is_taken_up_before_it_has_ended_starts_again(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as (fleet, bed):
        fleet.start(SHOP)
        await until(lambda: SHOP in bed.services.registry.all())
        member = fleet._members[SHOP]
        fleet.let_go(SHOP)
        fleet.take_up(SHOP)
        await until(lambda: SHOP in fleet.running() and fleet._members[SHOP] is not member)


async def test_a_release_is_the_proxys_and_a_stop_the_workers(tmp_path: Path) -> None:
    for stopping, expected in ((False, ("released", "proxy")), (True, ("worker_stopping", "worker"))):
        (tmp_path / str(stopping)).mkdir()
        async with open_fleet(tmp_path / str(stopping), stopping=stopping) as (fleet, bed):
            fleet.start(SHOP)
            await until(lambda bed=bed: SHOP in bed.services.registry.all())  # type: ignore[misc]
            fleet.release(SHOP)
            await until(lambda fleet=fleet: SHOP not in fleet.running())  # type: ignore[misc]
            await changes_to(bed, *expected)
