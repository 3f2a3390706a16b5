"""A worker that stands still: for less than its lease, or for longer. Then it wakes up, does nothing more, and ends."""

from __future__ import annotations

import signal

import trio

from tests.cluster.cluster import Cluster
from tests.cluster.traffic import Traffic


async def test_a_worker_that_stands_still_for_less_than_its_lease_goes_on(cluster: Cluster) -> None:
    world, simulator = cluster.world, cluster.world.simulator
    names = await cluster.working(workers=2, instances=4)
    owners, logins = dict(cluster.owners()), dict(simulator.logins)
    traffic = Traffic(cluster, names, rate=4)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(traffic.run)
        await world.until(lambda store: len(store.inbound()) > 8)
        paused = cluster.members[0]
        paused.worker.kill(signal.SIGSTOP)
        await trio.sleep(5)
        paused.worker.kill(signal.SIGCONT)
        await trio.sleep(5)
        account = await traffic.end()
    account.check()
    assert account.copies_of_uncertain == 0
    assert cluster.owners() == owners
    assert dict(simulator.logins) == logins, "no session was closed"
    assert not any(member.ended for member in cluster.members)


async def test_a_worker_that_wakes_up_after_its_lease_says_nothing_and_exits(cluster: Cluster, long: bool) -> None:
    world, simulator = cluster.world, cluster.world.simulator
    names = await cluster.working(workers=2, instances=4)
    traffic = Traffic(cluster, names, rate=4)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(traffic.run)
        await world.until(lambda store: len(store.inbound()) > 8)
        paused, other = cluster.members
        had = cluster.of(paused)
        before = {name: simulator.logins[world.jids[name]] for name in had}
        paused.worker.kill(signal.SIGSTOP)
        stopped = trio.current_time()
        await cluster.until(lambda: all(simulator.logins[world.jids[name]] > before[name] for name in had), 60)
        cluster.note(taken_over_after=trio.current_time() - stopped)
        if long:
            await trio.sleep_until(stopped + 90)
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
