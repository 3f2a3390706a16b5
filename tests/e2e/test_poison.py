"""P4: whatever the proxy answers, the loops go on, and each kind of nonsense leaves one clear line."""

from __future__ import annotations

import json

import attrs
import trio

from tests.e2e.world import World
from wa_worker.dev.proxy import Fault

CONTACT = "5511988880002"


@attrs.frozen
class Poison:
    fault: Fault
    event: str
    reason: str
    """What the one line says, in part."""


def _rows(rows: object) -> Fault:
    return Fault(body=json.dumps(rows).encode())


NOT_LISTED = "queued messages not listed"
NOT_A_ROW = "a queued row is not a message"
ANSWERS = [
    Poison(Fault(body=b"<html>Not found</html>", content_type="text/html"), NOT_LISTED, "is HTML (22 bytes)"),
    Poison(Fault(body=b'[{"id": 1, "to": "55'), NOT_LISTED, "is no JSON (20 bytes)"),
    Poison(Fault(body=b'{"error": "relation does not exist"}'), NOT_LISTED, "an object with error"),
    Poison(Fault(body=b"null"), NOT_LISTED, "got null"),
    Poison(Fault(body=b"[" * 100_000 + b"]" * 100_000), NOT_LISTED, "is no JSON (200000 bytes)"),
    Poison(Fault(status=302, headers={"Location": "https://elsewhere.example/"}), NOT_LISTED, "answered 302"),
    Poison(Fault(body=b"\xff\xfe\x00["), NOT_LISTED, "is no JSON (4 bytes)"),
    Poison(_rows([{"to": CONTACT, "body": "x"}]), NOT_A_ROW, "missing 'id'"),
    Poison(_rows([{"id": "p", "to": CONTACT}]), NOT_A_ROW, "missing 'body'"),
    Poison(_rows([{"id": [], "to": {}, "body": 1}, None, 7]), NOT_A_ROW, "to is not a string"),
    Poison(_rows([{"id": "big", "to": CONTACT, "body": "x" * 2**20}]), NOT_A_ROW, "body has 1048576 characters"),
    Poison(Fault(body=b'[{"id": "s", "to": "5511988880002", "body": "\\ud800"}]'), NOT_A_ROW, "lone surrogate"),
]


async def test_nonsense_stops_nothing_and_leaves_one_line_each(world: World) -> None:
    worker = await world.start_worker()
    await world.pair("shop", "5511999990001")
    contact = world.simulator.contact(CONTACT)
    for n, poison in enumerate(ANSWERS):
        world.proxy.faults.set("queued-messages", attrs.evolve(poison.fault, times=1))
        world.proxy.faults.set("disconnected-instances", attrs.evolve(poison.fault, times=1))
        await worker.logged(poison.event, reason=lambda text, part=poison.reason: part in str(text))
        world.proxy.store.queue("shop", CONTACT, f"good {n}")
        with trio.fail_after(30):
            await contact.wait_received(n + 1)
    assert [m.text for m in contact.received] == [f"good {n}" for n in range(len(ANSWERS))]
    for event in (NOT_LISTED, NOT_A_ROW):
        said = [line["reason"] for line in worker.lines if line["event"] == event]
        assert len(said) == len(set(said)), "each reason once a minute"


async def test_an_answer_that_trickles_is_given_up(world: World) -> None:
    worker = await world.start_worker()
    await world.pair("shop", "5511999990001")
    await world.pair("other", "5511999990002")
    world.proxy.faults.set("queued-messages", Fault(trickle=1.0, times=1))
    world.proxy.store.queue("other", CONTACT, "unharmed")
    world.proxy.store.queue("shop", CONTACT, "unharmed too")
    received = await world.simulator.contact(CONTACT).wait_received(1)
    assert received[0].text.startswith("unharmed")
    assert (await worker.health())["instances"]["connected"] == 2


async def test_ten_thousand_rows_at_once(world: World) -> None:
    worker = await world.start_worker()
    await world.pair("shop", "5511999990001")
    contact = world.simulator.contact(CONTACT)
    world.proxy.store.queue_many("shop", [("not a number", f"bad {n}") for n in range(9_990)])
    world.proxy.store.queue_many("shop", [(CONTACT, f"good {n}") for n in range(10)])
    with trio.fail_after(60):
        received = await contact.wait_received(10)
    assert [m.text for m in received] == [f"good {n}" for n in range(10)]
    assert len(worker.raw) < 200, "ten thousand bad rows are not ten thousand lines"
