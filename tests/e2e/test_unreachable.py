"""WhatsApp takes TCP connections, and nothing comes of them: what the reachability probe cannot see."""

from __future__ import annotations

import trio

from tests.e2e.world import PATIENCE, World, eventually

CONTACT = "5511988880002"


async def test_one_at_a_time_tries_while_no_session_gets_through(world: World) -> None:
    names = [f"s{n}" for n in range(5)]
    worker = await world.start_worker()
    async with trio.open_nursery() as nursery:
        for n, name in enumerate(names):
            nursery.start_soon(world.pair, name, f"551199999000{n}")
    await worker.stop()
    world.simulator.no_websocket = True
    await world.start_worker()
    with trio.fail_after(PATIENCE):
        await world.simulator.wait_for(lambda: world.simulator.turned_away >= 2)
    await trio.sleep(3)
    # each by itself would have tried twice after 1 s, and three times by now; a try leaks a handle and some memory
    assert world.simulator.turned_away <= len(names) + 3
    world.simulator.no_websocket = False
    for name in names:
        await world.status(name, "CONNECTED")


async def test_a_pairing_that_comes_to_nothing_is_tried_again_with_pauses(world: World) -> None:
    world.simulator.no_websocket = True
    world.proxy.store.add_instance("shop")
    await world.start_worker()
    with trio.fail_after(PATIENCE):
        await world.simulator.wait_for(lambda: world.simulator.turned_away >= 1)
        first = trio.current_time()
        await world.simulator.wait_for(lambda: world.simulator.turned_away >= 3)
    assert trio.current_time() - first > 1.4, "pauses of 1 and 2 s, or half of that"
    world.simulator.no_websocket = False
    await world.qr("shop")


async def test_a_start_that_hangs_holds_up_no_sends(world: World) -> None:
    worker = await world.start_worker()
    await world.pair("shop", "5511999990001")
    await world.pair("other", "5511999990002")

    def opened() -> int:
        return sum(line.get("event") == "opening" and line.get("instance") == "other" for line in worker.lines)

    world.proxy.store.park_instance("other")
    await worker.logged("instance let go: the proxy does not know it", instance="other")
    world.simulator.stall_handshake = True
    world.proxy.store.add_instance("other")
    await eventually(lambda: opened() == 2)
    await trio.sleep(0.5)  # into the handshake, which the library gives up after 20 s
    contact = world.simulator.contact(CONTACT)
    world.proxy.store.queue("shop", CONTACT, "not held up")
    with trio.fail_after(10):
        await contact.wait_received(1)
    assert worker.process.returncode is None
