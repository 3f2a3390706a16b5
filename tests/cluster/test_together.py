"""What a worker that shares its instances says of itself, and what it makes of another login."""

from __future__ import annotations

import httpx
import trio

from tests.cluster.cluster import Cluster
from tests.e2e.world import eventually


async def test_it_is_unready_while_postgresql_is_away_and_ready_afterwards(cluster: Cluster) -> None:
    """Shorter than the lease lasts: it goes on by itself."""
    member = await cluster.start()
    (name,) = await cluster.pair(1)
    async with httpx.AsyncClient() as http:

        async def ready() -> tuple[int, str]:
            answer = await http.get(f"http://127.0.0.1:{member.worker.port}/ready")
            return answer.status_code, answer.text

        with trio.fail_after(20):
            while (await ready())[0] != 200:  # noqa: ASYNC110 - nothing tells
                await trio.sleep(0.1)
        member.link.refuses = True
        await member.link.cut()
        status, said = await ready()
        assert (status, "the journal does not work" in said, "PostgreSQL" in said) == (503, True, True)
        member.link.heal()
        with trio.fail_after(20):
            while (await ready())[0] != 200:  # noqa: ASYNC110 - nothing tells
                await trio.sleep(0.1)
        await eventually(lambda: cluster.world.simulator.connected(cluster.world.jids[name]))
    assert member.worker.process.returncode is None


async def test_who_has_the_lease_comes_back_from_one_other_login_and_fights_no_second(cluster: Cluster) -> None:
    world = cluster.world
    member = await cluster.start()
    (name,) = await cluster.pair(1)
    logins = world.simulator.logins[world.jids[name]]
    await world.simulator.replace(world.jids[name])
    with trio.fail_after(10):
        await world.simulator.wait_for(lambda: world.simulator.logins[world.jids[name]] == logins + 1)
        await world.simulator.wait_connected(world.jids[name])
    await world.simulator.replace(world.jids[name])
    await world.until(lambda store: store.statuses(name)[-1].status == "DISCONNECTED")
    assert [each.reason for each in world.proxy.store.statuses(name)][-1] == "replaced"
    assert member.worker.process.returncode is None
