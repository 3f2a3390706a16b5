"""PostgreSQL that is killed amid traffic, and comes back: before the leases run out, or after it."""

from __future__ import annotations

import trio

from tests.cluster.cluster import Cluster
from tests.cluster.server import Server
from tests.cluster.traffic import Traffic

SHORT = 3.0
"""Seconds: less than a lease."""

BACK = 45.0
"""Seconds from PostgreSQL's return until every instance is connected."""


async def test_killed_and_back_before_the_leases_run_out(on_server: Cluster, server: Server, instances: int) -> None:
    cluster, simulator = on_server, on_server.world.simulator
    names = await cluster.working(workers=2, instances=instances)
    scans, owners = len(cluster.world.codes), dict(cluster.owners())
    traffic = Traffic(cluster, names)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(traffic.run)
        await cluster.world.until(lambda store: len(store.inbound()) > instances)
        server.kill()
        await trio.sleep(SHORT)
        await server.start()
        cluster.note(connected_after=await cluster.until(lambda: cluster.all_connected(names), BAR_ON_A_BUSY_MACHINE))
        account = await traffic.end()
    account.check()
    assert not any(member.ended for member in cluster.members), "a worker has lost its lease"
    assert cluster.owners() == owners
    assert len(cluster.world.codes) == scans
    cluster.note(retry_receipts=sum(simulator.retry_receipts.values()))
    assert max(simulator.retry_receipts.values(), default=0) <= 1


async def test_away_for_longer_than_the_leases(on_server: Cluster, server: Server, instances: int, long: bool) -> None:
    """Each worker ends when its lease does. Its host starts it again, and it waits for PostgreSQL."""
    cluster, simulator = on_server, on_server.world.simulator
    names = await cluster.working(workers=2, instances=instances)
    scans = len(cluster.world.codes)
    traffic = Traffic(cluster, names, rate=1.0 if long else 10.0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(cluster.play_host)
        nursery.start_soon(traffic.run)
        await cluster.world.until(lambda store: len(store.inbound()) > instances)
        server.kill()
        await trio.sleep(600 if long else 25)
        for member in cluster.members:
            assert [each.process.returncode for each in member.former] == [1]
            assert await member.worker.health("/ready") == 503
        await server.start()
        took = await cluster.until(lambda: cluster.all_connected(names), 2 * BACK)
        cluster.note(connected_after=took)
        account = await traffic.end()
        nursery.cancel_scope.cancel()
    account.check()
    assert len(cluster.world.codes) == scans
    cluster.note(retry_receipts=sum(simulator.retry_receipts.values()))
    assert max(simulator.retry_receipts.values(), default=0) <= 1


BAR_ON_A_BUSY_MACHINE = 60.0
