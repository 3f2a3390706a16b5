"""A volume that moves while messages go both ways, and how the commands are called beside a worker."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import trio

from tests.e2e.world import PATIENCE, World, eventually
from wa_worker.dev.proxy import Store

KEY = "correct horse battery staple"


async def call(world: World, *arguments: str, **settings: str) -> None:
    """Runs the command as somebody does beside the worker."""
    environment = {**world.environment(), "BACKUP_KEY": KEY, **settings}
    command = [sys.executable, "-m", "wa_worker", *arguments]
    done = await trio.run_process(
        command, env=environment, stdin=subprocess.DEVNULL, capture_stderr=True, capture_stdout=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()


def settled(store: Store) -> bool:
    return all(row.status != "queued" for row in store.messages())


async def move_house(world: World, count: int, new: str) -> None:
    """Both directions go on all the time, and nobody scans again."""
    worker = await world.start_worker()
    names = [f"shop{n}" for n in range(count)]
    for n, name in enumerate(names):
        await world.pair(name, f"55119999900{n:02}")
    contacts = [world.simulator.contact(f"55119888800{n:02}") for n in range(count)]
    file = f"{new}.backup"
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

    async with trio.open_nursery() as nursery:
        nursery.start_soon(traffic)
        await world.until(lambda store: len(store.inbound()) > count)
        async with trio.open_nursery() as moving:
            moving.start_soon(call, world, "backup", "--move", file)
            await worker.stop()
        await call(world, "restore", file, "--into", new)
        worker = await world.start_worker(AUTH_DIR=new)
        for name in names:
            await worker.logged("connected", instance=name)
        at_move = sent
        await eventually(lambda: sent > at_move + 2)
        over.set()
    with trio.fail_after(PATIENCE * 4):  # what waited meanwhile is more than a second's work on a busy machine
        await world.proxy.wait_for(lambda store: settled(store) and len(store.inbound()) >= sent * count)
    for name, contact in zip(names, contacts, strict=True):
        assert Counter(m.text for m in contact.received) == Counter(f"out {name} {n}" for n in range(sent))
    inbound = Counter(row.body for row in world.proxy.store.inbound())
    assert inbound == Counter(f"in {name} {n}" for name in names for n in range(sent))
    assert len(world.codes) == scans
    assert not [line for line in worker.lines if line.get("event") == "a QR code is shown"]
