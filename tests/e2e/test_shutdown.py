"""P7: SIGTERM and SIGINT end the process with exit 0, soon, in every phase, and nothing is left behind."""

from __future__ import annotations

import signal

import pytest
import trio

from tests.e2e.world import Worker, World, alive
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
