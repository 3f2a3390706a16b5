"""Moving house and coming back from a backup, with real workers on the simulated WhatsApp."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import trio

from tests.e2e.world import PATIENCE, World, eventually
from wa_worker.dev.proxy import Fault, Store

CONTACT = "5511988880002"
KEY = "correct horse battery staple"


async def call(world: World, *arguments: str, **settings: str) -> None:
    """Runs the command as somebody does beside the worker."""
    environment = {**world.environment(), "BACKUP_KEY": KEY, **settings}
    command = [sys.executable, "-m", "wa_worker", *arguments]
    done = await trio.run_process(
        command, env=environment, stdin=subprocess.DEVNULL, capture_stderr=True, capture_stdout=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()


def _settled(store: Store) -> bool:
    return all(row.status != "queued" for row in store.messages())


@pytest.mark.parametrize("count", [pytest.param(2, id="2"), pytest.param(20, id="20", marks=pytest.mark.faults)])
async def test_moving_house_under_traffic_loses_and_doubles_nothing(world: World, count: int, tmp_path: Path) -> None:
    """Both directions go on all the time, and nobody scans again."""
    worker = await world.start_worker()
    names = [f"shop{n}" for n in range(count)]
    for n, name in enumerate(names):
        await world.pair(name, f"55119999900{n:02}")
    contacts = [world.simulator.contact(f"55119888800{n:02}") for n in range(count)]
    scans, sent = len(world.codes), 0
    over = trio.Event()

    async def traffic() -> None:
        nonlocal sent
        while not over.is_set():
            for name, contact in zip(names, contacts, strict=True):
                world.proxy.store.queue(name, contact.phone, f"out {name} {sent}")
                await contact.send(world.jids[name], f"in {name} {sent}")
            sent += 1
            await trio.sleep(0.1 * count)  # ten a second each way, however many instances

    new = str(tmp_path / "new")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(traffic)
        await world.until(lambda store: len(store.inbound()) > count)
        async with trio.open_nursery() as moving:
            moving.start_soon(call, world, "backup", "--move", str(tmp_path / "moved"))
            await worker.stop()
        await call(world, "restore", str(tmp_path / "moved"), "--into", new)
        worker = await world.start_worker(AUTH_DIR=new)
        for name in names:
            await worker.logged("connected", instance=name)
        at_move = sent
        await eventually(lambda: sent > at_move + 2)
        over.set()
    with trio.fail_after(PATIENCE * 4):  # what waited meanwhile is more than a second's work on a busy machine
        await world.proxy.wait_for(lambda store: _settled(store) and len(store.inbound()) >= sent * count)
    for name, contact in zip(names, contacts, strict=True):
        assert Counter(m.text for m in contact.received) == Counter(f"out {name} {n}" for n in range(sent))
    inbound = Counter(row.body for row in world.proxy.store.inbound())
    assert inbound == Counter(f"in {name} {n}" for name in names for n in range(sent))
    assert len(world.codes) == scans
    assert not [line for line in worker.lines if line.get("event") == "a QR code is shown"]


async def test_what_was_sent_after_a_backup_is_held_if_the_proxy_was_not_told(world: World, tmp_path: Path) -> None:
    worker = await world.start_worker(ON_UNCERTAIN_SEND="hold")
    await world.pair("shop", "5511999990001")
    contact = world.simulator.contact(CONTACT)
    world.proxy.store.queue("shop", CONTACT, "before")
    await contact.wait_received(1)
    await world.until(_settled)
    await call(world, "backup", str(tmp_path / "a.backup"))
    world.proxy.faults.set("mark-sent", Fault(status=503))
    world.proxy.store.queue("shop", CONTACT, "after")
    await contact.wait_received(2)
    await worker.stop(signal.SIGKILL)
    world.proxy.faults.clear()
    new = str(tmp_path / "new")
    await call(world, "restore", str(tmp_path / "a.backup"), "--into", new, "--the-source-is-stopped")
    worker = await world.start_worker(AUTH_DIR=new, ON_UNCERTAIN_SEND="hold")
    await worker.logged("messages may have been sent after the backup that was restored", instance="shop", messages=1)
    await call(world, "journal", "discard", "--state", "uncertain", "--yes", AUTH_DIR=new)
    await world.until(lambda store: [row.status for row in store.messages()][1] == "failed")
    await worker.logged("the ledger knows all that is listed: the restore is over for it", instance="shop")
    world.proxy.store.queue("shop", CONTACT, "last")
    await world.until(lambda store: [row.status for row in store.messages()][-1] == "sent")
    texts = [message.text for message in contact.received]
    assert (texts.count("before"), texts.count("after"), texts.count("last")) == (1, 1, 1)
