"""A worker that starts with STATE_URL: while PostgreSQL is away, and on another disk than the last time."""

from __future__ import annotations

import attrs
import httpx
import trio

from tests.cluster.cluster import Cluster
from tests.e2e.world import Worker, eventually
from wa_worker.models import Secret

CONTACT = "5511988880001"


async def unready(worker: Worker) -> list[str]:
    async with httpx.AsyncClient() as http:
        response = await http.get(f"http://127.0.0.1:{worker.port}/ready")
    assert response.status_code == 503
    reasons: list[str] = response.json()["reasons"]
    return reasons


async def test_it_waits_for_postgresql_and_says_so(cluster: Cluster) -> None:
    member = await cluster.start(refused=True)
    health = member.worker.health
    said = await member.worker.logged("PostgreSQL does not take this worker in: waiting for it")
    assert cluster.url.password.reveal() not in said["reason"]
    assert (await health("/health"))["status"] == "ok"
    assert (await unready(member.worker)) == ["waiting for PostgreSQL to take this worker in"]
    member.link.refuses = False
    await cluster.world.pair("shop", "5511999990001")
    assert (await health("/ready"))["status"] == "ready"


async def test_a_wrong_password_is_said_and_a_stop_is_heard_meanwhile(cluster: Cluster) -> None:
    wrong = attrs.evolve(cluster.url, password=Secret("not-the-password"))
    worker = await cluster.world.start_worker(STATE_URL=wrong.with_options().reveal())
    said = await worker.logged("PostgreSQL does not take this worker in: waiting for it")
    assert "password" in said["reason"]
    assert "not-the-password" not in "".join(worker.raw)
    await worker.stop()
    assert worker.process.returncode == 0


async def test_one_worker_survives_the_loss_of_its_disk(cluster: Cluster) -> None:
    """Sessions, what waits to be delivered and what was sent are in PostgreSQL: a new disk needs no scan."""
    world = cluster.world
    first = await cluster.start()
    jid = await world.pair("shop", "5511999990001")
    contact = world.simulator.contact(CONTACT)
    world.proxy.store.queue("shop", CONTACT, "before")
    with trio.fail_after(20):
        await contact.wait_received(1)
    await world.until(lambda store: all(row.status == "sent" for row in store.messages()))
    await first.worker.stop()
    assert world.proxy.store.instance("shop").status == "DISCONNECTED", "nobody goes on with it"  # type: ignore[union-attr]
    scans, logins = len(world.codes), world.simulator.logins[jid]
    await contact.send(jid, "meanwhile")
    await cluster.start()  # with a folder of its own, which is empty
    await eventually(lambda: world.simulator.logins[jid] > logins)
    world.proxy.store.queue("shop", CONTACT, "after")
    with trio.fail_after(20):
        await contact.wait_received(2)
    await world.until(lambda store: [row.body for row in store.inbound()] == ["meanwhile"])
    assert [message.text for message in contact.received] == ["before", "after"]
    assert len(world.codes) == scans
