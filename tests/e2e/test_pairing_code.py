"""Pairing by a code that is typed on the phone, through the real process, beside the QR code."""

from __future__ import annotations

import time

import pytest

from tests.e2e.world import World
from wa_worker.dev.proxy import InstanceRow, Store
from wa_worker.dev.simulator import WrongCode

PHONE = "5511999990001"


async def shown(world: World) -> InstanceRow:
    def code(store: Store) -> InstanceRow | None:
        row = store.instance("shop")
        return row if row is not None and row.pairing_code else None

    return await world.until(code)


async def test_a_code_on_the_phone_links_it(world: World) -> None:
    world.proxy.store.add_instance("shop", pair_phone=PHONE)
    worker = await world.start_worker()
    row = await shown(world)
    assert row.qr_code, "beside the QR code"
    assert row.pairing_expires_at is not None
    assert 100 < row.pairing_expires_at - time.time() <= 161
    assert row.pairing_code is not None
    with pytest.raises(WrongCode):
        await world.simulator.enter_code("AAAA-AAAA", PHONE)
    jid = await world.simulator.enter_code(row.pairing_code, PHONE)
    connected = await world.status("shop", "CONNECTED")
    assert connected.pairing_code is None
    await world.simulator.wait_connected(jid)
    assert world.simulator.link_codes == 1
    shown_by_log = "".join(worker.raw)
    assert row.pairing_code not in shown_by_log
    assert row.pairing_code.replace("-", "") not in shown_by_log


async def test_the_qr_code_links_it_all_the_same(world: World) -> None:
    world.proxy.store.add_instance("shop", pair_phone=PHONE)
    await world.start_worker()
    await shown(world)
    await world.pair("shop", PHONE)


async def test_a_number_that_is_set_later_gets_a_code(world: World) -> None:
    world.proxy.store.add_instance("shop")
    await world.start_worker()
    await world.qr("shop")
    world.proxy.store.set_pair_phone("shop", PHONE)
    assert (await shown(world)).qr_code
