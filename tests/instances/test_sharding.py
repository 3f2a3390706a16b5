"""Several workers at one proxy: each polls for its own instances, and none polls more often for the others'."""

from __future__ import annotations

import attrs
import pytest
import trio
from structlog.testing import capture_logs
from trio.abc import Clock
from trio.testing import MockClock

from tests.instances.polls import Instances, open_polling, open_polling_of
from tests.proxy_fixture import SHOP, until
from wa_worker.dev.proxy import Contract, open_proxy
from wa_worker.edge.wire import InstanceRows, Rows
from wa_worker.instances.discovery import Discovery, Running
from wa_worker.instances.polling import ELSEWHERE, WAIT
from wa_worker.models import InstanceId, ProxyStatus, Shard

ONE, TWO = Shard(1, 2), Shard(2, 2)
THREE, LOJA = InstanceId("three"), InstanceId("loja-01")
"""Of the first of two shards."""
PUB, NEW = InstanceId("pub"), InstanceId("new")
"""Of the second, as SHOP is."""

SCANNING = Running(connected=False, announced=True, status=ProxyStatus.CONNECTING)


@attrs.define
class Runs(Instances):
    """Runs what it is told to start, but for what another worker has."""

    of_others: frozenset[InstanceId] = frozenset()
    heard_of: set[InstanceId] = attrs.Factory(set)

    def start(self, instance: InstanceId) -> None:
        super().start(instance)
        if instance not in self.of_others:
            self.now[instance] = SCANNING

    def pair_by_code(self, rows: InstanceRows) -> None:
        self.heard_of |= {*rows.good, *rows.phones, *rows.egress}

    async def go_out_by(self, rows: InstanceRows) -> None:
        self.heard_of |= {*rows.good, *rows.phones, *rows.egress}


@pytest.fixture
def twenty() -> Clock:
    """A clock on which a second takes 50 ms."""
    return MockClock(rate=20.0)


@pytest.mark.parametrize("knows", [True, False])
@pytest.mark.parametrize("contract", [1, 2])
async def test_what_is_of_its_shard_is_started_and_of_the_rest_there_is_no_trace(
    contract: Contract, knows: bool
) -> None:
    async with open_polling(hold=0.1) as opened:
        opened.proxy.contract, opened.proxy.knows_shards = contract, knows
        for instance in (THREE, LOJA, PUB, NEW):
            opened.proxy.store.add_instance(instance, pair_phone="5511999990001")
            opened.proxy.store.set_proxy(instance, "http://10.0.0.5:3128")
        fleet = Runs()
        bed = attrs.evolve(opened, instances=fleet)
        with capture_logs() as lines:
            bed.run(shard=ONE)
            await until(lambda: bed.lists + len(bed.polls) > 4)
        assert sorted(fleet.started) == [LOJA, THREE]
        assert fleet.heard_of == {LOJA, THREE}
        assert {id_ for poll in bed.polls for id_ in poll.states} <= {LOJA, THREE}
        ignored = [line for line in lines if "of other shards" in line["event"]]
        heard = contract == 1 or not knows
        assert [(line["log_level"], line["instances"]) for line in ignored] == [("debug", 2)] * heard
        assert {poll.more.get("shard") for poll in bed.polls} == {"1/2"}


async def test_an_id_that_no_instance_can_have_is_refused_by_one_of_the_workers() -> None:
    for shard, refused in ((ONE, {"ção": "DISCONNECTED"}), (TWO, {})):
        async with open_polling(hold=0.1) as bed:
            bed.proxy.knows_shards = False
            bed.proxy.store.add_instance("ção")
            with capture_logs() as lines:
                bed.run(shard=shard)
                assert (await bed.held(3)).states == refused
            assert ("a listed instance is refused" in {line["event"] for line in lines}) == bool(refused)


async def test_a_worker_alone_says_nothing_of_others() -> None:
    async with open_polling(hold=0.1) as bed:
        bed.run()
        await bed.held(3)
        assert [poll.more for poll in bed.polls] == [{}] * len(bed.polls)


@pytest.mark.parametrize(("knows", "least", "most"), [(True, 2, 5), (False, 20, 36)])
async def test_how_often_two_workers_call_in_a_minute(knows: bool, least: int, most: int, twenty: Clock) -> None:
    """Each has one that waits for its scan. A proxy that knows no shards answers each at once, for the other's sake."""
    async with open_proxy(secret="s") as proxy:
        proxy.knows_shards = knows
        for instance in (THREE, PUB):
            proxy.store.add_instance(instance, "CONNECTING")
        async with open_polling_of(proxy) as first, open_polling_of(proxy) as second:
            beds = [(attrs.evolve(first, instances=Runs()), ONE), (attrs.evolve(second, instances=Runs()), TWO)]
            for bed, shard in beds:
                bed.run(interval=10.0, pace=2.0, shard=shard)
            await trio.sleep(63.0)
            calls = [len(bed.polls) for bed, _ in beds]
            assert [bed.instances.started for bed, _ in beds] == [[THREE], [PUB]]
        assert min(calls) >= least
        assert max(calls) <= most, calls


async def test_what_happens_in_another_shard_ends_no_answer_that_is_held() -> None:
    async with open_polling() as opened:
        bed = attrs.evolve(opened, instances=Runs())
        bed.run(shard=ONE)
        await bed.held(2)
        bed.proxy.store.add_instance(PUB, pair_phone="5511999990001")
        bed.proxy.store.set_pair_phone(PUB, None)
        bed.proxy.store.set_proxy(PUB, "http://10.0.0.5:3128")
        bed.proxy.store.set_status(SHOP, "DISCONNECTED")
        await trio.sleep(0.5)
        assert len(bed.polls) == 2
        bed.proxy.store.add_instance(THREE)
        await bed.held(3)
        assert bed.instances.started == [THREE]


async def test_what_peers_run_is_named_as_elsewhere_and_ends_no_answer() -> None:
    """It is one of several that share all instances: what is listed may be another's, which shows its code."""
    for knows in (True, False):
        async with open_polling() as opened:
            opened.proxy.knows_shards = knows
            bed = attrs.evolve(opened, instances=Runs(of_others=frozenset({PUB})))
            bed.proxy.store.add_instance(PUB, "CONNECTING")
            bed.proxy.store.add_instance(THREE)
            bed.run(peers=True)
            second = await bed.held(2)
            assert second.states == {PUB: ELSEWHERE, THREE: "CONNECTING"}
            assert (second.wait, second.more) == (WAIT, {"peers": True})
            await trio.sleep(0.5)
            assert len(bed.polls) == 2, "it is held"
            bed.proxy.store.add_instance(NEW)
            assert (await bed.held(3)).states == {PUB: ELSEWHERE, THREE: "CONNECTING", NEW: "CONNECTING"}


async def test_what_peers_run_makes_no_more_polls_than_the_pace() -> None:
    async with open_polling(hold=0) as opened:
        bed = attrs.evolve(opened, instances=Runs(of_others=frozenset({PUB})))
        bed.proxy.store.add_instance(PUB, "CONNECTING")
        bed.run(pace=0.4, peers=True)
        await trio.sleep(2)
        assert 3 <= len(bed.polls) <= 8


def test_what_is_elsewhere_is_forgotten_once_it_runs_here_or_is_not_listed() -> None:
    fleet = Runs(of_others=frozenset({PUB, NEW}))
    discovery = Discovery(fleet)
    both: Rows[InstanceId] = Rows((PUB, NEW), ())
    assert discovery.listed(both, {})
    assert discovery.elsewhere == {PUB, NEW}
    assert not discovery.listed(both, {}), "nothing has begun"
    fleet.now[PUB] = SCANNING
    discovery.listed(both, fleet.running())
    assert discovery.elsewhere == {NEW}
    discovery.listed(Rows((PUB,), ()), fleet.running())
    assert discovery.elsewhere == frozenset()
    assert fleet.released == fleet.again == []
    assert discovery.listed(Rows((THREE,), ()), {}), "and what is started at once never is"
    assert discovery.elsewhere == frozenset()
