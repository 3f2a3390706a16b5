"""P7: SIGTERM and SIGINT end the process with exit 0, soon, in every phase, and nothing is left behind."""

from __future__ import annotations

import signal
import sqlite3
from contextlib import closing

import pytest
import trio

from tests.e2e.world import Worker, World, alive, eventually
from wa_worker.dev.proxy import Fault

SOON = 6.0
"""Seconds; the promise is 10."""


async def _stops(worker: Worker, number: signal.Signals = signal.SIGTERM) -> None:
    below = worker.descendants()
    assert await worker.stop(number) < SOON
    assert worker.process.returncode == 0
    await worker.logged("stopped")
    assert [pid for pid in below if alive(pid)] == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_without_instances(world: World, number: signal.Signals) -> None:
    worker = await world.start_worker()
    await worker.logged("working")
    await _stops(worker, number)


async def test_at_once_after_the_start(world: World) -> None:
    worker = await world.start_worker()
    await _stops(worker)


async def test_while_three_qr_codes_wait(world: World) -> None:
    worker = await world.start_worker()
    for instance in ("a", "b", "c"):
        world.proxy.store.add_instance(instance)
    for instance in ("a", "b", "c"):
        await world.qr(instance)
    assert worker.descendants(), "codes are shown by a child process"
    await _stops(worker)
    for instance in ("a", "b", "c"):
        row = world.proxy.store.instance(instance)
        assert row is not None
        assert (row.status, row.qr_code) == ("DISCONNECTED", None)


async def test_while_connected(world: World) -> None:
    worker = await world.start_worker()
    jid = await world.pair("shop", "5511999990001")
    await _stops(worker)
    row = world.proxy.store.instance("shop")
    assert row is not None
    assert row.status == "DISCONNECTED"
    assert not world.simulator.connected(jid)


async def test_at_boot_while_sessions_wait_for_their_turn(world: World) -> None:
    """The library knows nothing of those: what is connected closes as fast as at any other time."""
    worker = await world.start_worker()
    async with trio.open_nursery() as nursery:
        for number in range(12):
            nursery.start_soon(world.pair, f"s{number}", f"55119999900{number:02}")
    await worker.stop()
    worker = await world.start_worker()
    await worker.logged("connected")
    assert await worker.stop() < 2
    assert worker.process.returncode == 0
    assert not [line for line in worker.lines if "its thread is abandoned" in line["event"]]


async def test_while_sending_finishes_or_records(world: World) -> None:
    worker = await world.start_worker()
    await world.pair("shop", "5511999990001")
    world.simulator.answer_delay = 0.3
    contact = world.simulator.contact("5511988880002")
    world.proxy.store.queue_many("shop", [(contact.phone, f"m{n}") for n in range(30)])
    await contact.wait_received(2)
    await _stops(worker)
    world.simulator.answer_delay = 0
    await world.start_worker()
    await world.until(lambda s: all(m.status == "sent" for m in s.messages("shop")))
    assert [m.text for m in contact.received] == [f"m{n}" for n in range(30)]


async def test_in_the_middle_of_a_message_it_waits_for_that(world: World) -> None:
    """whatsmeow decrypts a message only once: WhatsApp would deliver it again, and nobody could read it."""
    worker = await world.start_worker()
    jid = await world.pair("shop", "5511999990001")
    contact = world.simulator.contact("5511988880001")
    await contact.send(jid, "before")
    await world.until(lambda store: len(store.inbound()) == 1)
    async with trio.open_nursery() as nursery:
        with closing(sqlite3.connect(world.auth_dir / "shop" / "session.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")  # the store is slow
            await contact.send(jid, "in the middle")
            await trio.sleep(0.5)
            nursery.start_soon(_stops, worker)
            await eventually(lambda: not world.simulator.connected(jid))
            await trio.sleep(0.5)  # so slow
            other.execute("ROLLBACK")
    in_the_middle = "Closing handler queue loop in the middle of handling <message"
    assert [line for line in worker.raw if in_the_middle in line], "it was not in the middle"
    await world.start_worker()
    bodies = await world.until(lambda store: [row.body for row in store.inbound()][1:])
    assert bodies == ["in the middle"]


@pytest.mark.parametrize("fault", [Fault(hang=True), Fault(status=503), Fault(cut=True)], ids=["hangs", "503", "cuts"])
async def test_while_the_proxy_is_of_no_use(world: World, fault: Fault) -> None:
    worker = await world.start_worker()
    await world.pair("shop", "5511999990001")
    world.proxy.store.add_instance("unpaired")
    await world.qr("unpaired")
    world.proxy.faults.set("*", fault)
    await _stops(worker)


async def test_while_whatsapp_hangs_in_the_handshake(world: World) -> None:
    worker = await world.start_worker()
    await world.pair("shop", "5511999990001")
    await _stops(worker)
    world.simulator.stall_handshake = True
    worker = await world.start_worker()
    await worker.logged("opening", instance="shop")
    await trio.sleep(0.5)  # into the handshake
    assert await worker.stop() < 10
    assert worker.process.returncode == 0


async def test_a_second_signal_exits_at_once(world: World) -> None:
    worker = await world.start_worker()
    await world.pair("shop", "5511999990001")
    world.proxy.faults.set("update-status", Fault(hang=True))
    worker.kill(signal.SIGTERM)
    await worker.logged("stopping")
    assert await worker.stop() < 3
    assert worker.process.returncode == 1
