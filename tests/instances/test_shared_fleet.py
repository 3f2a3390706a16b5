"""The instances of a worker that shares them with others: it runs those that are its own, and its peers the rest."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import trio
import trio.testing

from tests.instances.bed import Bed, open_bed
from tests.proxy_fixture import SHOP, until
from tests.whatsapp.scripted_host import script
from wa_worker.instances.fleet import InstanceFleet
from wa_worker.models import InstanceId

CODE = script(None, {"is": "qr", "code": "2@"})


@attrs.define
class Shared:
    """Plays the state database: what it was told, and what it says."""

    mine: set[InstanceId] = attrs.Factory(set)
    wanted: list[InstanceId] = attrs.Factory(list)
    not_wanted: list[InstanceId] = attrs.Factory(list)
    peers: bool = True
    doubts: int = 0
    anew: bool = False
    answer: bool | None = None

    def owns(self, instance: InstanceId) -> bool:
        return instance in self.mine

    def want(self, instance: InstanceId, *, anew: bool = False) -> None:
        self.anew |= anew
        self.wanted.append(instance)

    def unwanted(self, instance: InstanceId) -> None:
        self.not_wanted.append(instance)

    def peers_go_on(self) -> bool:
        return self.peers

    def doubt(self) -> None:
        self.doubts += 1

    async def verify(self, instance: InstanceId) -> bool | None:
        await trio.lowlevel.checkpoint()
        return self.answer


async def nothing() -> None:
    await trio.lowlevel.checkpoint()


@asynccontextmanager
async def open_fleet(
    folder: Path, *, stopping: bool = False, peers: bool = True
) -> AsyncIterator[tuple[InstanceFleet, Bed, Shared]]:
    async with open_bed(folder, CODE) as bed, trio.open_nursery() as nursery:
        shared = Shared(peers=peers)
        yield InstanceFleet(bed.services, nursery, stopping=lambda: stopping, ownership=shared), bed, shared
        nursery.cancel_scope.cancel()


async def own(fleet: InstanceFleet, shared: Shared) -> None:
    shared.mine.add(SHOP)
    fleet.gained(SHOP, nothing)
    await until(lambda: fleet.qr_code(SHOP) is not None)


async def test_one_that_is_not_ours_is_asked_for_and_not_started(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as (fleet, _, shared):
        fleet.start(SHOP)
        assert (list(fleet.running()), shared.wanted) == ([], [SHOP])


async def test_one_that_becomes_ours_starts_once_what_its_last_owner_left_is_taken_up(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as (fleet, _, shared):
        ready = trio.Event()
        shared.mine.add(SHOP)
        fleet.gained(SHOP, ready.wait)
        fleet.start(SHOP)  # the proxy lists it, too
        await trio.testing.wait_all_tasks_blocked()
        assert list(fleet.running()) == []
        ready.set()
        await until(lambda: list(fleet.running()) == [SHOP])
        assert shared.wanted == []


async def test_one_that_is_lost_before_it_is_prepared_does_not_start(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as (fleet, _, shared):
        ready = trio.Event()
        shared.mine.add(SHOP)
        fleet.gained(SHOP, ready.wait)
        shared.mine.remove(SHOP)
        ready.set()
        await until(lambda: not fleet._gained)
        await trio.testing.wait_all_tasks_blocked()
        assert (list(fleet.running()), shared.wanted) == ([], []), "whoever took it has it"


async def test_one_that_is_handed_over_ends_without_a_word_to_the_proxy(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as (fleet, bed, shared):
        await own(fleet, shared)
        await fleet.give_up(SHOP)
        assert list(fleet.running()) == []
        assert shared.not_wanted == [], "a peer goes on with it"
        await until(lambda: [each.reason for each in bed.journal.changes.of(SHOP)][:1] == ["handed_over"])
        assert "DISCONNECTED" not in [each.status for each in bed.fixture.proxy.store.statuses(SHOP)][1:]
        await fleet.give_up(SHOP)  # which does not run any more


async def test_one_that_the_proxy_or_a_person_lets_go_of_is_wanted_by_no_peer(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as (fleet, _, shared):
        await own(fleet, shared)
        fleet.release(SHOP)
        await until(lambda: shared.not_wanted == [SHOP])
        fleet.let_go(SHOP)  # which runs with a peer, or nowhere
        assert shared.not_wanted == [SHOP, SHOP]


async def test_a_stop_takes_leave_only_where_no_peer_goes_on(tmp_path: Path) -> None:
    for peers, reasons in ((True, []), (False, ["worker_stopping"])):
        (tmp_path / str(peers)).mkdir()
        async with open_fleet(tmp_path / str(peers), stopping=True, peers=peers) as (fleet, bed, shared):
            await own(fleet, shared)
            fleet.release(SHOP)
            await until(lambda fleet=fleet: list(fleet.running()) == [])  # type: ignore[misc]
            said = [each.reason for each in bed.fixture.proxy.store.statuses(SHOP)]
            assert [reason for reason in said if reason == "worker_stopping"] == reasons
            assert shared.not_wanted == [], "the next start goes on"


async def test_one_of_a_peer_is_let_go_of_there_and_taken_up_from_anywhere(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as (fleet, bed, shared):
        fleet.let_go(SHOP, elsewhere=True)
        assert shared.not_wanted == [SHOP]
        await trio.testing.wait_all_tasks_blocked()
        assert bed.journal.changes.of(SHOP) == [], "its owner says that"
        fleet.take_up(SHOP)
        assert (shared.anew, shared.wanted[:1]) == (True, [SHOP])
        fleet.let_go(SHOP, elsewhere=True)
        await own(fleet, shared)  # a person has taken it up at another worker, and it became ours
        assert SHOP not in fleet.kept_off


async def test_one_that_a_person_let_go_of_at_a_peer_takes_leave_of_the_proxy(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as (fleet, bed, shared):
        await own(fleet, shared)
        shared.mine.remove(SHOP)  # it is leaving
        fleet.let_go_elsewhere(SHOP)
        await fleet.give_up(SHOP)
        await until(lambda: bed.fixture.proxy.store.statuses(SHOP)[-1].status == "DISCONNECTED")
        await until(lambda: [each.reason for each in bed.journal.changes.of(SHOP)][:1] == ["let_go"])
        assert shared.not_wanted == [], "a person may want it again by now"
        fleet.let_go_elsewhere(SHOP)  # which does not run any more
        fleet.start(SHOP)
        assert shared.wanted == [SHOP], "whether it is wanted is the database's word"
