"""P4: whatever the proxy answers, the loops go on, and each kind of nonsense leaves one clear line."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest
import trio

from tests.e2e.world import World
from wa_worker.dev.proxy import Fault

CONTACT = "5511988880002"


@attrs.frozen
class Poison:
    name: str
    fault: Fault
    says: str
    fields: dict[str, Any] = attrs.Factory(dict)


def _rows(rows: object) -> bytes:
    return json.dumps(rows).encode()


NOT_LISTED = "queued messages not listed"
NOT_A_ROW = "a queued row is not a message"
ANSWERS = [
    Poison("html", Fault(body=b"<html>Not found</html>", content_type="text/html"), NOT_LISTED),
    Poison("truncated", Fault(body=b'[{"id": 1, "to": "55'), NOT_LISTED),
    Poison("error object", Fault(body=b'{"error": "relation does not exist"}'), NOT_LISTED),
    Poison("null", Fault(body=b"null"), NOT_LISTED),
    Poison("deep", Fault(body=b"[" * 100_000 + b"]" * 100_000), NOT_LISTED),
    Poison("redirect", Fault(status=302, headers={"Location": "https://elsewhere.example/"}), NOT_LISTED),
    Poison("bytes that are no text", Fault(body=b"\xff\xfe\x00["), NOT_LISTED),
    Poison("no id", Fault(body=_rows([{"to": CONTACT, "body": "x"}])), NOT_A_ROW),
    Poison("no body", Fault(body=_rows([{"id": "p", "to": CONTACT}])), NOT_A_ROW),
    Poison("wrong types", Fault(body=_rows([{"id": [], "to": {}, "body": 1}, None, 7])), NOT_A_ROW),
    Poison("1 MB body", Fault(body=_rows([{"id": "big", "to": CONTACT, "body": "x" * 2**20}])), NOT_A_ROW),
    Poison("lone surrogate", Fault(body=b'[{"id": "s", "to": "5511988880002", "body": "\\ud800"}]'), NOT_A_ROW),
]


@pytest.mark.parametrize("poison", ANSWERS, ids=lambda poison: poison.name)
async def test_an_answer_that_is_nonsense_stops_nothing(world: World, poison: Poison) -> None:
    worker = await world.start_worker()
    await world.pair("shop", "5511999990001")
    world.proxy.faults.set("queued-messages", attrs.evolve(poison.fault, times=2))
    world.proxy.faults.set("disconnected-instances", attrs.evolve(poison.fault, times=2))
    await worker.logged(poison.says, instance="shop")
    world.proxy.store.queue("shop", CONTACT, "good")
    with trio.fail_after(30):
        assert [m.text for m in await world.simulator.contact(CONTACT).wait_received(1)] == ["good"]
    said = [line["reason"] for line in worker.lines if line["event"] == poison.says]
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
