"""Workers that are replaced one after another: their instances are handed over, and nobody notices but for a moment."""

from __future__ import annotations

import statistics

import trio

from tests.cluster.cluster import Cluster
from tests.cluster.traffic import Traffic


async def test_a_rolling_deploy_hands_over_and_the_proxy_hears_of_no_end(cluster: Cluster, instances: int) -> None:
    world, simulator = cluster.world, cluster.world.simulator
    names = await cluster.working(workers=3, instances=instances)
    gaps: dict[str, float] = dict.fromkeys(names, 0.0)
    traffic = Traffic(cluster, names)
    async with trio.open_nursery() as nursery:

        async def watch(name: str) -> None:
            """Notes the longest time in which an instance was not connected."""
            since: float | None = None
            while True:
                if simulator.connected(world.jids[name]):
                    since = None
                else:
                    since = since or trio.current_time()
                    gaps[name] = max(gaps[name], trio.current_time() - since)
                await trio.sleep(0.02)

        nursery.start_soon(traffic.run)
        for name in names:
            nursery.start_soon(watch, name)
        await world.until(lambda store: len(store.inbound()) > instances)
        said = len(world.proxy.store.statuses(names[0]))
        for old in list(cluster.members):
            await cluster.start()
            await old.worker.stop()
            assert old.worker.process.returncode == 0
            assert any(line.get("because") == "draining" for line in old.worker.lines), "handed over, and not dropped"
            with trio.fail_after(30):
                while not world.connected():  # noqa: ASYNC110 - nothing tells
                    await trio.sleep(0.1)
        account = await traffic.end()
        nursery.cancel_scope.cancel()
    account.check()
    assert account.copies_of_uncertain == 0
    cluster.note(gap_p50=statistics.median(gaps.values()), gap_max=max(gaps.values()))
    statuses = [each.status for name in names for each in world.proxy.store.statuses(name)[said:]]
    assert "DISCONNECTED" not in statuses
    assert not simulator.overlaps
