"""The instances of a worker that shares them with others: it runs those that are its own, and its peers the rest."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import trio
import trio.testing
from structlog.testing import capture_logs

from tests.instances.bed import Bed, open_bed
from tests.proxy_fixture import SHOP, until
from tests.whatsapp.scripted_host import script
from wa_worker.instances.fleet import InstanceFleet
from wa_worker.models import InstanceId, ProxyStatus

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


async def nothing() -> bool:
    await trio.lowlevel.checkpoint()
    return False


def until_set(event: trio.Event) -> Callable[[], Awaitable[bool]]:
    async def prepare() -> bool:
        await event.wait()
        return False

    return prepare


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
        fleet.gained(SHOP, until_set(ready))
        fleet.start(SHOP)  # the proxy lists it, too
        await trio.testing.wait_all_tasks_blocked()
        assert list(fleet.running()) == []
        ready.set()
        await until(lambda: list(fleet.running()) == [SHOP])


async def test_one_that_is_lost_before_it_is_prepared_does_not_start(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as (fleet, _, shared):
        ready = trio.Event()
        shared.mine.add(SHOP)
        fleet.gained(SHOP, until_set(ready))
        shared.mine.remove(SHOP)
        ready.set()
        await until(lambda: SHOP not in fleet._newcomers)
        await trio.testing.wait_all_tasks_blocked()
        assert (list(fleet.running()), shared.wanted) == ([], []), "whoever took it has it"


async def test_one_that_is_handed_over_ends_without_a_word_to_the_proxy(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as (fleet, bed, shared):
        await own(fleet, shared)
        await fleet.give_up(SHOP, goes_on=True)
        assert list(fleet.running()) == []
        assert shared.not_wanted == [], "a peer goes on with it"
        await until(lambda: [each.reason for each in bed.journal.changes.of(SHOP)][:1] == ["handed_over"])
        assert "DISCONNECTED" not in [each.status for each in bed.fixture.proxy.store.statuses(SHOP)][1:]
        await fleet.give_up(SHOP, goes_on=True)  # which does not run any more


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


async def test_one_whose_owner_finds_that_nobody_wants_it_is_told_of_as_any_other(tmp_path: Path) -> None:
    """The list of another worker, or a person there, has ended it: no peer goes on with it."""
    async with open_fleet(tmp_path) as (fleet, bed, shared):
        await own(fleet, shared)
        publisher = fleet._members[SHOP].publisher
        await until(lambda: publisher.settled)  # an answer on its way would say what the proxy has heard
        publisher.may_have_heard.add(ProxyStatus.CONNECTED)
        shared.mine.remove(SHOP)
        await fleet.give_up(SHOP, goes_on=False)
        await until(lambda: [each.reason for each in bed.fixture.proxy.store.statuses(SHOP)][-1:] == ["released"])
        assert shared.not_wanted == [], "it is known"


async def test_one_that_is_started_while_it_is_unwanted_is_wanted_again(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as (fleet, _, shared):
        await own(fleet, shared)
        fleet.release(SHOP)
        await until(lambda: shared.not_wanted == [SHOP])
        shared.wanted.clear()
        fleet.start(SHOP)
        assert shared.wanted == [SHOP]


async def test_one_that_a_person_let_go_of_at_another_worker_does_not_start(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as (fleet, _, shared):

        async def kept_off() -> bool:
            return True

        shared.mine.add(SHOP)
        fleet.gained(SHOP, kept_off)
        await until(lambda: shared.not_wanted == [SHOP])
        assert (list(fleet.running()), set(fleet.kept_off)) == ([], {SHOP})
        fleet.gained(SHOP, nothing)  # taken up at another worker
        await until(lambda: list(fleet.running()) == [SHOP])
        assert fleet.kept_off == frozenset()


async def test_to_be_given_up_ends_the_preparation_first(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as (fleet, _, shared):
        ended = trio.Event()

        async def long() -> bool:
            try:
                await trio.sleep_forever()
            finally:
                ended.set()

        shared.mine.add(SHOP)
        fleet.gained(SHOP, long)
        await trio.testing.wait_all_tasks_blocked()
        await fleet.give_up(SHOP, goes_on=True)
        assert ended.is_set()
        assert list(fleet.running()) == []


async def test_what_nobody_expected_of_one_preparation_is_tried_again_and_ends_no_other(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as (fleet, _, shared):
        tries = 0

        async def spoiled() -> bool:
            nonlocal tries
            tries += 1
            if tries == 1:
                raise ValueError("a row that cannot be read")
            return False

        shared.mine.add(SHOP)
        with capture_logs() as lines:
            fleet.gained(SHOP, spoiled)
            await until(lambda: list(fleet.running()) == [SHOP])
        assert tries == 2
        assert [line["event"] for line in lines if "exc_info" in line] == [
            "what an instance's last owner left cannot be taken up, trying again"
        ]


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
        await fleet.give_up(SHOP, goes_on=False)
        await until(lambda: bed.fixture.proxy.store.statuses(SHOP)[-1].status == "DISCONNECTED")
        await until(lambda: [each.reason for each in bed.journal.changes.of(SHOP)][:1] == ["let_go"])
        assert shared.not_wanted == [], "a person may want it again by now"
        fleet.let_go_elsewhere(SHOP)  # which does not run any more
        shared.wanted.clear()
        fleet.start(SHOP)
        assert shared.wanted == [SHOP], "whether it is wanted is the database's word"
