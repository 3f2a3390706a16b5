"""What a phone sends of its history after it has linked the device: fetched by the library, and posted to nobody."""

from __future__ import annotations

import pytest
import trio

from tests.e2e.world import PATIENCE, World
from wa_worker.dev.simulator.history import history

PHONE, CONTACT = "5511999990001", "5511988880002"


@pytest.mark.parametrize(("setting", "days"), [("off", 1), ("recent", 7)])
async def test_a_history_costs_a_pairing_nothing(world: World, setting: str, days: int) -> None:
    world.simulator.histories[PHONE] = history(20, 10)
    await world.start_worker(HISTORY=setting)
    jid = await world.pair("shop", PHONE)
    with trio.fail_after(PATIENCE):
        await world.simulator.media.wait_requested(1)
    assert world.simulator.device_props[jid].historySyncConfig.recentSyncDaysLimit == days
    contact = world.simulator.contact(CONTACT)
    world.proxy.store.queue("shop", CONTACT, "Oi")
    await contact.wait_received(1)
    await contact.send(jid, "tudo bem?")
    await world.until(lambda store: [row.body for row in store.inbound("shop")] == ["tudo bem?"])
