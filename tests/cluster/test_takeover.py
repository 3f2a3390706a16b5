"""A worker that dies: its instances go on elsewhere, with nothing lost, nothing doubled, and no scan."""

from __future__ import annotations

import trio

from tests.cluster.cluster import Cluster

CONTACT = "5511988880001"


async def test_what_a_killed_worker_had_another_goes_on_with(cluster: Cluster) -> None:
    first = await cluster.start()
    world = cluster.world
    await world.pair("shop", "5511999990001")
    second = await cluster.start()
    scans = len(world.codes)
    contact = world.simulator.contact(CONTACT)
    world.proxy.store.queue("shop", CONTACT, "before")
    with trio.fail_after(20):
        await contact.wait_received(1)
    began = trio.current_time()
    first.worker.kill()
    await contact.send(world.jids["shop"], "while nobody has it")
    await second.worker.logged("took an instance", instance="shop")
    await second.worker.logged("connected", instance="shop")
    assert trio.current_time() - began < 30
    world.proxy.store.queue("shop", CONTACT, "after")
    with trio.fail_after(20):
        await contact.wait_received(2)
    await world.until(lambda store: [row.body for row in store.inbound()] == ["while nobody has it"])
    assert [message.text for message in contact.received] == ["before", "after"]
    assert len(world.codes) == scans
