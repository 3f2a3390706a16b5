"""A worker that is cut off: from PostgreSQL, from WhatsApp, or from the proxy, and others are not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import trio

from tests.cluster.cluster import Cluster
from tests.cluster.link import Link
from tests.cluster.traffic import Traffic


def both_ways(link: Link) -> None:
    link.split()


def forth(link: Link) -> None:
    link.forth = False


def back(link: Link) -> None:
    link.back = False


@pytest.mark.parametrize("lose", [both_ways, forth, back])
async def test_cut_off_from_postgresql_it_ends_before_others_take_over(
    cluster: Cluster, lose: Callable[[Link], None], long: bool
) -> None:
    """Whichever direction is lost: what is not answered was not done, as far as the worker knows."""
    if lose is forth and not long:
        pytest.skip("one direction of two: --cluster-long")
    world, simulator = cluster.world, cluster.world.simulator
    names = await cluster.working(workers=2, instances=4)
    traffic = Traffic(cluster, names, rate=4)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(traffic.run)
        await world.until(lambda store: len(store.inbound()) > 8)
        lonely, other = cluster.members
        had = cluster.of(lonely)
        lose(lonely.link)
        began = trio.current_time()
        silent = await cluster.until(lambda: not any(simulator.connected(world.jids[name]) for name in had), 15)
        for name in had:
            await other.worker.logged("took an instance", instance=name)
        assert lonely.ended, "it has gone before others may take over, whatever its threads wait for"
        assert lonely.worker.process.returncode == 1
        for name in had:
            await other.worker.logged("connected", instance=name)
        cluster.note(silent_after=silent, taken_over_after=trio.current_time() - began)
        lonely.link.heal()
        await cluster.start_again(lonely)  # what it had received and could not commit is on its volume
        account = await traffic.end()
    account.check()
    assert not simulator.overlaps


async def test_cut_off_from_the_proxy_it_keeps_its_sessions(cluster: Cluster) -> None:
    """What it receives meanwhile is in the journal, and told when the proxy is back."""
    world, simulator = cluster.world, cluster.world.simulator
    names = await cluster.working(workers=2, instances=4)
    owners, logins = dict(cluster.owners()), dict(simulator.logins)
    traffic = Traffic(cluster, names, rate=4)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(traffic.run)
        await world.until(lambda store: len(store.inbound()) > 8)
        lonely, other = cluster.members
        await lonely.to_proxy.refuse()
        had = cluster.of(lonely)
        before = {name: len(world.proxy.store.inbound(name)) for name in had}
        told = sum(before.values())
        await cluster.until(lambda: cluster.waiting(had) >= 20, 60)
        assert sum(len(world.proxy.store.inbound(name)) for name in had) <= told + 4, "it was cut off"
        lonely.to_proxy.heal()
        account = await traffic.end()
    account.check()
    assert cluster.owners() == owners
    assert dict(simulator.logins) == logins, "no session was closed"
    assert not lonely.ended
    assert not other.ended


async def test_cut_off_from_whatsapp_it_gives_its_instances_away(cluster: Cluster, long: bool) -> None:
    """After a minute in which a peer has sessions and it has none. It tries one again later."""
    if not long:
        pytest.skip("takes two minutes: --cluster-long")
    world, simulator = cluster.world, cluster.world.simulator
    names = await cluster.working(workers=2, instances=4)
    traffic = Traffic(cluster, names, rate=4)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(traffic.run)
        await world.until(lambda store: len(store.inbound()) > 8)
        lonely, other = cluster.members
        had = cluster.of(lonely)
        await lonely.to_whatsapp.refuse()
        took = await cluster.until(
            lambda: cluster.all_connected(names) and set(cluster.owners().values()) == {other.id}, 150
        )
        cluster.note(at_the_other_after=took)
        assert took > 55, "a moment without WhatsApp is no reason"
        for name in had:
            await lonely.worker.logged("gives an instance away", instance=name, because="cut_off")
        account = await traffic.end()
        lonely.to_whatsapp.heal()
        await cluster.balanced(names, 2)
    account.check()
    assert not lonely.ended
    assert not simulator.overlaps
