"""A worker that is cut off from PostgreSQL: it is silent before its peers take what it had."""

from __future__ import annotations

import trio

from tests.cluster.cluster import Cluster
from tests.cluster.traffic import Traffic


async def test_cut_off_from_postgresql_it_ends_before_others_take_over(cluster: Cluster) -> None:
    world, simulator = cluster.world, cluster.world.simulator
    for _ in range(2):
        await cluster.start()
    names = await cluster.pair(4)
    await cluster.balanced(names, 2)
    traffic = Traffic(cluster, names, rate=4)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(traffic.run)
        await world.until(lambda store: len(store.inbound()) > 8)
        lonely, other = cluster.members
        had = [name for name, owner in cluster.owners().items() if owner == lonely.id]
        lonely.link.split()
        began = trio.current_time()
        with trio.fail_after(15):
            while any(simulator.connected(world.jids[name]) for name in had):  # noqa: ASYNC110 - nothing tells
                await trio.sleep(0.05)
        cluster.note(silent_after=trio.current_time() - began)
        for name in had:
            await other.worker.logged("connected", instance=name)
        cluster.note(taken_over_after=trio.current_time() - began)
        with trio.fail_after(10):
            await lonely.worker.process.wait()
        assert lonely.worker.process.returncode == 1
        account = await traffic.end()
    account.check(killed=True)
    assert not simulator.overlaps
