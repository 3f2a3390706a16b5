"""What a worker that shares its instances says of itself, and what it makes of another login."""

from __future__ import annotations

import httpx
import trio

from tests.cluster.cluster import Cluster
from tests.e2e.test_admin import TOKEN, logged_in
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


async def test_each_worker_shows_and_lets_go_of_the_instances_of_all(cluster: Cluster) -> None:
    world = cluster.world
    for _ in range(2):
        await cluster.start(ADMIN_TOKEN=TOKEN)
    (name,) = await cluster.pair(1)
    owner = cluster.owner_of(name)
    (peer,) = (member for member in cluster.members if member is not owner)
    async with httpx.AsyncClient(trust_env=False, headers={"Authorization": f"Bearer {TOKEN}"}) as http:
        csrf = await logged_in(http, peer.worker)

        async def until_row(**fields: object) -> dict[str, object]:
            with trio.fail_after(30):
                while True:
                    for row in (await http.get("/instances")).json()["instances"]:
                        if fields.items() <= row.items():
                            return dict(row)
                    await trio.sleep(0.1)

        row = await until_row(id=name, state="connected")
        assert owner.id is not None
        assert str(row["worker"]).endswith(owner.id[:8])
        assert f"{owner.id[:8]}" in (await http.get("/admin")).text
        await http.post("/admin/let-go", data={"csrf": csrf, "instance": name})
        await world.until(lambda store: store.statuses(name)[-1].status == "DISCONNECTED")
        assert cluster.one("SELECT count(*) FROM wa.instances WHERE owner IS NOT NULL AND wanted") == 0
        await eventually(lambda: cluster.one("SELECT count(*) FROM wa.instances WHERE owner IS NULL") == 1)
        assert not world.simulator.connected(world.jids[name])
        assert "A person let go of it here" in (await http.get(f"/admin/instances/{name}")).text
        csrf = await logged_in(http, owner.worker)
        answer = await http.post("/admin/take-up", data={"csrf": csrf, "instance": name})
        assert "done_take_up" in answer.headers["location"]
        with trio.fail_after(30):
            await world.simulator.wait_connected(world.jids[name])
