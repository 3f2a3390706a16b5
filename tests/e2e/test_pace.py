"""PACE through the real process, the real library and the simulated WhatsApp."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.e2e.world import World, open_world
from wa_worker.models import MessageId

SHOP_PHONE, ANA, BIA, CIDA = "5511999990001", "5511988880002", "5511988880003", "5511988880004"
PACE = {"PACE": "per_minute=600,unknown_per_minute=600,first_per_day=1,warm_up_days=0", "ADMIN_TOKEN": "t"}


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[World]:
    """A world whose proxy speaks version 2."""
    async with open_world(tmp_path, contract=2) as opened:
        yield opened


def queue(world: World, to: str, body: str) -> MessageId:
    return world.proxy.store.queue_row("shop", to, body=body, typing_ms=0)


@pytest.mark.parametrize("takes_held", [True, False])
async def test_a_second_stranger_waits_and_the_proxy_knows_why(two: World, takes_held: bool) -> None:
    store = two.proxy.store
    store.has_held = takes_held
    worker = await two.start_worker(**PACE)
    jid = await two.pair("shop", SHOP_PHONE)
    ana = two.simulator.contact(ANA)
    await ana.send(jid, "Oi")
    await two.until(lambda s: s.inbound("shop"))
    queue(two, BIA, "to a first one")
    held = [queue(two, CIDA, "to a second one"), queue(two, CIDA, "and once more")]
    await worker.logged("messages are held back", instance="shop")
    if takes_held:
        await two.until(lambda s: sum(m.held_reason == "first_per_day" for m in s.messages("shop")) == 2)
        until = {m.id: m.held_until for m in store.messages("shop")}
        assert all(time.time() + 60 < (until[id_] or 0) <= time.time() + 3601 for id_ in held)
        await two.until(lambda s: s.count_messages("sent") == 1)
        assert next(store.queued_fairly({"shop"}), None) is None, "they are left out until then"
    else:
        await worker.logged("the proxy does not take the status held")
    queue(two, ANA, "a reply")
    await two.until(lambda s: sum(m.status == "sent" for m in s.messages("shop")) == 2)
    assert [m.text for m in ana.received] == ["a reply"]
    assert two.simulator.contact(CIDA).received == []
    assert {m.id for m in store.messages("shop") if m.status == "queued"} == set(held)


async def test_an_account_that_may_not_write_first_tries_nobody_else(two: World) -> None:
    """The status says until when; who wrote is answered meanwhile."""
    worker = await two.start_worker(PACE="unknown_per_minute=600,per_minute=600,warm_up_days=0")
    jid = await two.pair("shop", SHOP_PHONE)
    ana = two.simulator.contact(ANA)
    await ana.send(jid, "Oi")
    await two.until(lambda s: s.inbound("shop"))
    two.simulator.message_error[BIA] = 463
    queue(two, BIA, "refused")
    await two.until(lambda s: s.statuses("shop")[-1].reason == "restricted")
    restricted_until = two.proxy.store.statuses("shop")[-1].until
    last = queue(two, CIDA, "not tried")
    await two.until(lambda s: any(m.id == last and m.held_reason == "restricted" for m in s.messages("shop")))
    held_until = next(m.held_until for m in two.proxy.store.messages("shop") if m.id == last)
    assert held_until is not None
    assert restricted_until is not None
    assert abs(held_until - restricted_until) < 10
    queue(two, ANA, "a reply")
    await two.until(lambda s: any(m.body == "a reply" and m.status == "sent" for m in s.messages("shop")))
    assert two.simulator.contact(CIDA).received == []
    await worker.stop()
