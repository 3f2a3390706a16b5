"""A worker that stands still for longer than its lease, and wakes up: it does nothing more, and ends."""

from __future__ import annotations

import signal

import trio

from tests.cluster.cluster import Cluster
from tests.cluster.traffic import Traffic


async def test_a_worker_that_wakes_up_after_its_lease_says_nothing_and_exits(cluster: Cluster) -> None:
    world, simulator = cluster.world, cluster.world.simulator
    for _ in range(2):
        await cluster.start()
    names = await cluster.pair(4)
    await cluster.balanced(names, 2)
    traffic = Traffic(cluster, names, rate=4)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(traffic.run)
        await world.until(lambda store: len(store.inbound()) > 8)
        paused, other = cluster.members
        had = [name for name, owner in cluster.owners().items() if owner == paused.id]
        before = {name: simulator.logins[world.jids[name]] for name in had}
        paused.worker.kill(signal.SIGSTOP)
        with trio.fail_after(60):
            while not all(simulator.logins[world.jids[name]] > before[name] for name in had):  # noqa: ASYNC110
                await trio.sleep(0.1)
        logins, attempts = dict(simulator.logins), dict(simulator.attempts)
        began = trio.current_time()
        paused.worker.kill(signal.SIGCONT)
        with trio.fail_after(10):
            await paused.worker.process.wait()
        cluster.note(exited_after=trio.current_time() - began)
        assert paused.worker.process.returncode == 1
        await trio.sleep(2)
        assert (dict(simulator.logins), dict(simulator.attempts)) == (logins, attempts), "it did not log in again"
        account = await traffic.end()
    account.check(killed=True)
    assert not [line for line in other.worker.lines if line.get("because") == "REPLACED"]
