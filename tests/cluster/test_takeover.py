"""A worker that dies: its instances go on elsewhere, with nothing lost, nothing doubled, and no scan."""

from __future__ import annotations

import signal

import trio

from tests.cluster.cluster import Cluster
from tests.cluster.traffic import Traffic

BAR = 30.0
"""Seconds from the kill until every instance is connected elsewhere."""


async def test_what_a_killed_worker_had_the_others_go_on_with(cluster: Cluster, instances: int) -> None:
    world = cluster.world
    names = await cluster.working(workers=3, instances=instances)
    scans = len(world.codes)
    traffic = Traffic(cluster, names)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(traffic.run)
        await world.until(lambda store: len(store.inbound()) > instances)
        dead = cluster.members[1]
        orphans = [name for name, owner in cluster.owners().items() if owner == dead.id]
        assert orphans
        before = {name: world.simulator.logins[world.jids[name]] for name in orphans}
        killed = trio.current_time()
        dead.worker.kill()
        with trio.fail_after(BAR * 2):  # the bar is for a quiet machine
            while not all(world.simulator.logins[world.jids[name]] > before[name] for name in orphans):  # noqa: ASYNC110
                await trio.sleep(0.1)
        cluster.note(taken_over_after=trio.current_time() - killed)
        account = await traffic.end()
    account.check(killed=True)
    assert len(world.codes) == scans
    assert all(owner not in (None, dead.id) for owner in cluster.owners().values())
    assert not world.simulator.overlaps, "nobody logged in while another was"


async def test_killed_while_it_claims_and_while_it_gives_away(cluster: Cluster) -> None:
    world = cluster.world
    names = await cluster.working(workers=2, instances=6)
    scans = len(world.codes)
    traffic = Traffic(cluster, names, rate=6)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(traffic.run)
        await world.until(lambda store: len(store.inbound()) > 12)
        newcomer = await cluster.start()  # to which the others hand over
        nursery.start_soon(cluster.play_host)
        await newcomer.worker.logged("took an instance")
        newcomer.worker.kill()
        await cluster.until(lambda: len(newcomer.former) == 1 and not newcomer.ended, 30)
        await newcomer.worker.logged("took an instance")
        newcomer.worker.kill()
        await cluster.until(lambda: len(newcomer.former) == 2 and not newcomer.ended, 30)
        giver = cluster.members[0]
        giver.worker.kill(signal.SIGTERM)
        line = await giver.worker.logged("gives an instance away", because="draining")
        giver.worker.kill()
        cluster.note(connected_after=await cluster.until(lambda: cluster.all_connected(names), 60))
        account = await traffic.end()
        nursery.cancel_scope.cancel()
    account.check(killed=True)
    assert len(world.codes) == scans
    assert line["instance"] in names
    assert not world.simulator.overlaps
