"""Ticks through the real process: from the receiver's phone to the proxy, and from the proxy back to the phone."""

from __future__ import annotations

import signal
from contextlib import closing

import pytest
import trio

from tests.e2e.world import PATIENCE, World, eventually
from wa_worker.dev.proxy import Fault, Store
from wa_worker.journal.connection import connect_read_only
from wa_worker.models import JOURNAL_FILE, RESERVED_FOLDER

PHONE, CONTACT = "5511999990001", "5511988880002"


def status(store: Store, wa_id: str) -> list[str]:
    return [row.status for row in store.receipts("shop", wa_id)]


async def test_a_tick_reaches_the_proxy_also_through_a_kill(world: World) -> None:
    worker = await world.start_worker()
    jid = await world.pair("shop", PHONE)
    contact = world.simulator.contact(CONTACT)
    world.proxy.store.queue("shop", CONTACT, "Oi")
    await world.until(lambda store: [row.status for row in store.messages()] == ["sent"])
    (sent,) = world.proxy.store.messages()
    assert sent.sent_to == contact.jid
    wa_id = contact.received[0].wa_id
    await world.until(lambda store: status(store, wa_id) == ["delivered"])
    for endpoint in ("message-status", "events"):
        world.proxy.faults.set(endpoint, Fault(status=503))
    await contact.send_receipt(jid, wa_id, "played")
    await eventually(lambda: ranks(world) == [3])
    await worker.stop(signal.SIGKILL)
    world.proxy.faults.clear()
    await world.start_worker()
    await world.until(lambda store: status(store, wa_id) == ["played"])
    (row,) = world.proxy.store.receipts("shop", wa_id)
    assert (row.chat, row.recipient_id, row.message_id) == (contact.jid, contact.jid, sent.id)


def ranks(world: World) -> list[int]:
    """How far the messages of the journal have come."""
    with closing(connect_read_only(world.auth_dir / RESERVED_FOLDER / JOURNAL_FILE)) as sql:
        return [rank for (rank,) in sql.execute("SELECT rank FROM receipts")]


@pytest.mark.parametrize("wanted", ["0", "1"])
async def test_what_the_proxy_has_taken_is_marked_as_read_only_if_wanted(world: World, wanted: str) -> None:
    await world.start_worker(SEND_READ_RECEIPTS=wanted)
    jid = await world.pair("shop", PHONE)
    contact = world.simulator.contact(CONTACT)
    ids = [await contact.send(jid, text) for text in ("Oi", "tudo bem?")]
    await world.until(lambda store: len(store.inbound("shop")) == 2)
    if wanted == "1":
        with trio.fail_after(PATIENCE):
            await world.simulator.wait_for(lambda: len(contact.read) == 2)
        assert [receipt.wa_id for receipt in contact.read] == ids
    else:
        with trio.move_on_after(2.0):
            await world.simulator.wait_for(lambda: bool(contact.read))
        assert contact.read == []
