"""A slow line to PostgreSQL: things take longer, and nobody loses a lease for it.

With 0.1 s there and back a message takes seconds: some twenty answers are waited for, one after another.
"""

from __future__ import annotations

import trio

from tests.cluster.cluster import Cluster, Member
from tests.cluster.traffic import Traffic


async def test_a_slow_line_makes_it_slower_and_nothing_else(cluster: Cluster) -> None:
    names = await cluster.working(workers=2, instances=4)
    owners = dict(cluster.owners())
    for member in cluster.members:
        member.link.delay = 0.05
    traffic = Traffic(cluster, names, rate=2)
    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(traffic.run)
        await trio.sleep(6)
        account = await traffic.end()
    cluster.note(rounds=traffic.rounds, all_there_after=trio.current_time() - began)
    account.check()
    assert account.copies_of_uncertain == 0
    assert cluster.owners() == owners
    assert not any(member.ended for member in cluster.members)


def missed(member: Member) -> int:
    """Returns how many steps had no answer in time."""
    return sum(line.get("event") == "the state database did not do a step" for line in member.worker.lines)


async def test_renewals_that_take_too_long_now_and_then_cost_no_lease(cluster: Cluster) -> None:
    """An answer takes 3.4 s for a while, and is waited for 3: the next ones are in time. (2.4 s: nothing is missed.)"""
    names = await cluster.working(workers=2, instances=4)
    slow, _ = cluster.members
    traffic = Traffic(cluster, names, rate=4)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(cluster.play_host)
        nursery.start_soon(traffic.run)
        for _ in range(3):
            slow.link.delay = 1.7
            await trio.sleep(5)
            slow.link.delay = 0.0
            await trio.sleep(5)
        await cluster.until(lambda: cluster.all_connected(names), 60)
        account = await traffic.end()
        nursery.cancel_scope.cancel()
    account.check(killed=bool(slow.former))
    cluster.note(started_again=len(slow.former), missed=missed(slow))
    assert slow.former or missed(slow)
    assert not any(member.ended for member in cluster.members)
    assert not cluster.members[1].former
