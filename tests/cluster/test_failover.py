"""PostgreSQL's host dies, and a replica that has all it had committed takes its place under the same address."""

from __future__ import annotations

import psycopg
import trio

from tests.cluster.cluster import Cluster
from tests.cluster.server import Server
from tests.cluster.traffic import Traffic
from tests.postgres_server import open_standby
from tests.state_fixture import SUPERUSER

PATIENCE = 60.0


async def test_a_synchronous_replica_takes_over_and_nothing_is_lost(
    on_server: Cluster, server: Server, instances: int
) -> None:
    cluster = on_server
    with open_standby(server.postgres) as standby:
        names = await cluster.working(workers=2, instances=instances)
        scans = len(cluster.world.codes)
        traffic = Traffic(cluster, names)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(cluster.play_host)
            nursery.start_soon(traffic.run)
            await cluster.world.until(lambda store: len(store.inbound()) > instances)
            server.kill()
            with psycopg.connect(standby.dsn(SUPERUSER), autocommit=True) as sql:
                assert sql.execute("SELECT pg_promote()").fetchone() == (True,)
            assert standby.port is not None
            await cluster.lead_to(standby.port)
            cluster.note(connected_after=await cluster.until(lambda: cluster.all_connected(names), PATIENCE))
            account = await traffic.end()
            nursery.cancel_scope.cancel()
        account.check()
        assert len(cluster.world.codes) == scans
        assert not cluster.world.simulator.overlaps
