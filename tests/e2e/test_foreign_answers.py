"""Something in front of the proxy answers in its place: a router while it is redeployed, a quota, a portal.

Nothing is let go of, set aside or lost by it, and all goes on when it ends. tests/soak has the long outages.
"""

from __future__ import annotations

import pytest
import trio

from tests.e2e.world import World, eventually
from wa_worker.dev.proxy import Fault

PHONES = {"shop": "5511999990001", "other": "5511999990002"}
CONTACT = "5511988880002"

ANSWERS = {
    "404 of a router": Fault(status=404),
    "404 in HTML": Fault(status=404, body=b"<!DOCTYPE html><title>Not Found</title>", content_type="text/html"),
    "405": Fault(status=405),
    "410": Fault(status=410),
    "a sign-in page": Fault(body=b"<html><title>Sign in</title></html>", content_type="text/html"),
    "some other JSON": Fault(body=b'{"message":"under maintenance"}'),
    "a portal's redirect": Fault(status=302, headers={"Location": "https://portal.example/"}),
}


async def pair_all(world: World) -> None:
    async with trio.open_nursery() as nursery:
        for name, phone in PHONES.items():
            nursery.start_soon(world.pair, name, phone)


async def all_work(world: World, said: str) -> None:
    """Each instance receives and sends."""
    contact = world.simulator.contact(CONTACT)
    received = len(contact.received)
    for name in PHONES:
        await contact.send(world.jids[name], f"{said} to {name}")
        world.proxy.store.queue(name, CONTACT, f"{said} from {name}")
    await world.until(lambda s: all(any(r.body == f"{said} to {n}" for r in s.inbound(n)) for n in PHONES))
    with trio.fail_after(15):
        await contact.wait_received(received + len(PHONES))


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda name: name.replace(" ", "-"))
async def test_whatever_answers_everything_lets_nothing_go(world: World, answer: str) -> None:
    worker = await world.start_worker(INSTANCE_POLL_MS="1000")
    await pair_all(world)
    polls = world.proxy.store.requests["disconnected-instances"]
    await world.until(lambda s: s.requests["disconnected-instances"] > polls)
    world.proxy.faults.set("*", ANSWERS[answer])
    await world.simulator.drop(world.jids["shop"])  # so there is a status to tell
    await world.simulator.contact(CONTACT).send(world.jids["shop"], "meanwhile")
    polls = world.proxy.store.requests["disconnected-instances"]
    await world.until(lambda s: s.requests["disconnected-instances"] >= polls + 5)
    world.proxy.faults.clear()
    await all_work(world, "afterwards")
    assert world.proxy.store.inbound("shop")[0].body == "meanwhile"
    assert not [line for line in worker.lines if line["event"].startswith(("instance let go", "instance released"))]


async def test_an_instance_that_was_let_go_of_by_mistake_comes_back(world: World) -> None:
    """The proxy does not know it for a while: a database that is being restored, say. The others it knows."""
    worker = await world.start_worker()
    await pair_all(world)
    world.proxy.faults.set("update-status", Fault(status=404, only='"shop"'))
    await world.simulator.drop(world.jids["shop"])
    await worker.logged("instance let go: the proxy does not know it", instance="shop")
    world.proxy.faults.clear()
    await all_work(world, "afterwards")


@pytest.mark.parametrize("status", [402, 400, 451])
async def test_what_refuses_everything_sets_nothing_aside(world: World, status: int) -> None:
    worker = await world.start_worker()
    await pair_all(world)
    world.proxy.faults.set("*", Fault(status=status))
    calls = world.proxy.store.requests["inbound"]
    for number in range(9):
        contact = world.simulator.contact(f"55119777700{number:02}")
        await contact.send(world.jids["shop"], f"dear {number}")
    await world.until(lambda s: s.requests["inbound"] >= calls + 20)
    world.proxy.faults.clear()
    ended = trio.current_time()
    await world.until(lambda s: len(s.inbound("shop")) == 9)
    assert trio.current_time() - ended < 10
    assert not [line for line in worker.lines if "set aside" in line["event"]]


async def test_a_line_that_breaks_at_each_poll_does_not_let_an_instance_go(world: World) -> None:
    """It was connected when the poll began, or when it ended: the proxy's list is of a moment between."""
    worker = await world.start_worker()
    jid = await world.pair("shop", PHONES["shop"])
    world.proxy.faults.set("disconnected-instances", Fault(delay=1.0))
    for _ in range(4):
        await world.simulator.drop(jid)
        polls = world.proxy.store.requests["disconnected-instances"]
        await world.until(lambda s: s.requests["disconnected-instances"] > polls)  # noqa: B023 - awaited in this turn
    world.proxy.faults.clear()
    await world.status("shop", "CONNECTED")
    world.proxy.store.queue("shop", CONTACT, "still here")
    await eventually(lambda: world.simulator.contact(CONTACT).received)
    assert not [line for line in worker.lines if line["event"].startswith("instance released")]
