"""P6 and the way back: restarts, kill -9, dropped sockets, a lost status."""

from __future__ import annotations

import signal

import pytest
import trio

from tests.e2e.world import World, eventually


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_a_restart_resumes_without_a_qr(world: World, number: signal.Signals) -> None:
    worker = await world.start_worker()
    jid = await world.pair("shop", "5511999990001")
    await worker.stop(number)
    history = len(world.proxy.store.statuses("shop"))
    contact = world.simulator.contact("5511988880002")
    await contact.send(jid, "while it was down")

    await world.start_worker()
    (row,) = await world.until(lambda s: s.inbound("shop"))
    assert row.body == "while it was down"
    await world.status("shop", "CONNECTED")
    later = world.proxy.store.statuses("shop")[history:]
    assert [change.qr_code for change in later] == [None] * len(later)


async def test_a_dropped_socket_comes_back(world: World) -> None:
    worker = await world.start_worker()
    jid = await world.pair("shop", "5511999990001")
    contact = world.simulator.contact("5511988880002")
    await world.simulator.drop(jid)
    await contact.send(jid, "meanwhile")
    (row,) = await world.until(lambda s: s.inbound("shop"))
    assert row.body == "meanwhile"
    await worker.logged("reconnecting")
    await world.status("shop", "CONNECTED")
    world.proxy.store.queue("shop", contact.phone, "back")
    assert [m.text for m in await contact.wait_received(1)] == ["back"]


async def test_a_lost_status_is_announced_again(world: World) -> None:
    await world.start_worker()
    await world.pair("shop", "5511999990001")
    world.proxy.store.set_status("shop", "DISCONNECTED")
    await world.status("shop", "CONNECTED")


async def test_the_latest_status_wins_after_an_outage(world: World) -> None:
    await world.start_worker()
    await world.proxy.down()
    world.proxy.store.add_instance("shop")
    await world.proxy.up()
    code = await world.qr("shop")
    await world.proxy.down()
    await world.simulator.scan(code, "5511999990001")
    await trio.sleep(0.5)
    before = len(world.proxy.store.statuses("shop"))
    await world.proxy.up()
    await world.status("shop", "CONNECTED")
    assert [c.qr_code for c in world.proxy.store.statuses("shop")[before:] if c.qr_code] == []


async def test_an_instance_that_is_no_longer_listed_stops_pairing(world: World) -> None:
    worker = await world.start_worker()
    world.proxy.store.add_instance("shop")
    await world.qr("shop")
    world.proxy.store.remove_instance("shop")
    await worker.logged("instance released: the proxy no longer lists it", instance="shop")
    await eventually(lambda: not worker.descendants())
    assert (await worker.health())["instances"]["connecting"] == 0
    assert (world.auth_dir / "shop").exists()
