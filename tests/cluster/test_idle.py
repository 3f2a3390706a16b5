"""What instances hold of PostgreSQL while nobody writes: nothing."""

from __future__ import annotations

from tests.cluster.cluster import Cluster

PER_WORKER = 4
"""Connections of a worker itself (docs/scaling.md): the lease, the journal, looks into stores, and a spare one."""

WORKERS = 3


async def test_idle_instances_hold_no_connection(cluster: Cluster, instances: int) -> None:
    names = await cluster.working(workers=WORKERS, instances=instances)
    busiest = cluster.one(COUNT, "wa/%")
    took = await cluster.until(lambda: cluster.one(COUNT, "wa/%") == 0, 120)
    own = cluster.one(COUNT, "wa-worker %") - 1  # the test's
    cluster.note(while_they_log_in=busiest, of_sessions_gone_after=took, of_workers=own)
    assert 0 < own <= PER_WORKER * WORKERS
    assert cluster.all_connected(names)


COUNT = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE %s"
