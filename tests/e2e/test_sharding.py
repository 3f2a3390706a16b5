"""Two worker processes at one proxy and one WhatsApp, each with a shard and a volume of its own, in both versions."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import trio

from tests.e2e.moving import call
from tests.e2e.world import Worker, World, open_world
from wa_worker.dev.proxy import Fault, Store

CONTACT = "5511988880002"
FIRST, SECOND = ("three", "loja-01"), ("shop", "pub")
"""Of the first and of the second of two shards."""

PHONES = {name: f"551199999000{number}" for number, name in enumerate((*FIRST, *SECOND), 1)}


@pytest.fixture(params=[1, 2], ids=["version 1", "version 2"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path, contract=request.param) as opened:
        yield opened


async def start(world: World, number: int, **settings: str) -> Worker:
    """The worker of that shard, on the volume of that number."""
    folder = world.folder / f"volume-{number}"
    return await world.start_worker(WORKER_SHARD=f"{number}/2", AUTH_DIR=str(folder), **settings)


async def all_arrive(world: World, names: tuple[str, ...], text: str) -> None:
    """A message to each of these instances and one from each, and no second one of either."""
    contact = world.simulator.contact(CONTACT)
    for name in names:
        world.proxy.store.queue(name, CONTACT, f"{text} from {name}")
        await contact.send(world.jids[name], f"{text} to {name}")
    out, into = [f"{text} from {name}" for name in names], [f"{text} to {name}" for name in names]

    def all_told(store: Store) -> bool:
        told = {row.body for row in store.inbound()} | {row.body for row in store.messages() if row.status == "sent"}
        return told.issuperset((*out, *into))

    await world.until(all_told)
    assert sorted(m.text for m in contact.received if m.text.startswith(text)) == sorted(out)
    assert sorted(row.body for row in world.proxy.store.inbound() if row.body.startswith(text)) == sorted(into)


async def test_each_instance_has_one_worker_and_the_end_of_one_leaves_the_others(world: World) -> None:
    first, second = await start(world, 1), await start(world, 2)
    for name, phone in PHONES.items():
        await world.pair(name, phone)
    await all_arrive(world, (*FIRST, *SECOND), "before")
    assert {folder.name for folder in (world.folder / "volume-1").iterdir()} == {"@worker", *FIRST}
    assert {folder.name for folder in (world.folder / "volume-2").iterdir()} == {"@worker", *SECOND}
    for worker in (first, second):
        assert (await worker.health())["instances"] == {"connected": 2, "connecting": 0, "reconnecting": 0}
        assert not [line for line in worker.lines if "refused" in line["event"] or "let go" in line["event"]]

    told = {name: len(world.proxy.store.statuses(name)) for name in SECOND}
    logins = {name: world.simulator.logins[world.jids[name]] for name in PHONES}
    first.kill()
    await first.process.wait()
    for name in FIRST:  # as a back end may do that sees its worker die
        world.proxy.store.set_status(name, "DISCONNECTED")
        world.proxy.store.queue(name, CONTACT, f"meanwhile from {name}")
    await all_arrive(world, SECOND, "alone")
    await trio.sleep(1.5)
    assert {name: len(world.proxy.store.statuses(name)) for name in SECOND} == told
    assert (await second.health())["instances"] == {"connected": 2, "connecting": 0, "reconnecting": 0}
    assert not [name for name in FIRST if world.simulator.connected(world.jids[name])], "nobody took them over"

    await start(world, 1)
    await world.until(lambda s: all(row.status == "sent" for row in s.messages()))
    await all_arrive(world, (*FIRST, *SECOND), "again")
    texts = [m.text for m in world.simulator.contact(CONTACT).received]
    assert sorted(text for text in texts if text.startswith("meanwhile")) == [
        f"meanwhile from {name}" for name in sorted(FIRST)
    ]
    now = {name: world.simulator.logins[world.jids[name]] for name in PHONES}
    assert now == {name: logins[name] + (name in FIRST) for name in PHONES}


async def test_what_is_of_another_shard_now_is_not_started_and_is_told_of(world: World) -> None:
    worker = await start(world, 2)
    await world.pair("shop", PHONES["shop"])
    await worker.stop()
    world.proxy.store.set_status("shop", "DISCONNECTED")
    logins, told = world.simulator.logins[world.jids["shop"]], len(world.proxy.store.statuses("shop"))
    worker = await world.start_worker(WORKER_SHARD="1/2", AUTH_DIR=str(world.folder / "volume-2"))
    line = await worker.logged("sessions on the volume are of other shards: not started")
    assert (line["sessions"], line["shard"]) == (1, "1/2")
    await world.pair("three", PHONES["three"])
    assert (await worker.health("/ready"))["notes"]
    async with httpx.AsyncClient() as http:
        said = (await http.get(f"http://127.0.0.1:{worker.port}/metrics")).text
    assert "wa_worker_other_shard_sessions 1.0" in said
    assert world.simulator.logins[world.jids["shop"]] == logins
    assert len(world.proxy.store.statuses("shop")) == told

    # the folder is moved to the volume of its worker
    await worker.stop()
    (world.folder / "volume-1").mkdir()
    shutil.move(world.folder / "volume-2" / "shop", world.folder / "volume-1" / "shop")
    await world.start_worker(WORKER_SHARD="2/2", AUTH_DIR=str(world.folder / "volume-1"))
    await world.status("shop", "CONNECTED")
    assert world.simulator.logins[world.jids["shop"]] == logins + 1, "and nobody has scanned"


async def test_one_worker_becomes_two_by_copies_of_its_volume(tmp_path: Path) -> None:
    """As docs/scaling.md says: nobody scans, nothing is sent again, and what was received and not told is told."""
    async with open_world(tmp_path, contract=2) as world:
        alone = await world.start_worker()
        names = (FIRST[0], SECOND[0])
        for name in names:
            await world.pair(name, PHONES[name])
        await all_arrive(world, names, "alone")
        world.proxy.faults.set("events", Fault(status=503))
        contact = world.simulator.contact(CONTACT)
        for name in names:
            world.proxy.store.queue(name, CONTACT, f"not marked from {name}")
            await contact.send(world.jids[name], f"not told to {name}")
        await contact.wait_received(4)
        await alone.stop()
        logins = {name: world.simulator.logins[world.jids[name]] for name in names}
        file = str(tmp_path / "all.backup")
        await call(world, "backup", "--move", file)
        for number in (1, 2):
            await call(world, "restore", file, "--into", str(tmp_path / f"volume-{number}"))
        world.proxy.faults.clear()
        workers = [await start(world, number) for number in (1, 2)]
        for worker, name in zip(workers, names, strict=True):
            assert (await worker.logged("sessions on the volume are of other shards: not started"))["sessions"] == 1
            await worker.logged("connected", instance=name)
        await world.until(lambda s: all(row.status == "sent" for row in s.messages()) and len(s.inbound()) == 4)
        await all_arrive(world, names, "two")
        assert len(contact.received) == 6, "nothing was sent again"
        assert {name: world.simulator.logins[world.jids[name]] - 1 for name in names} == logins


async def test_how_often_they_call_while_idle(tmp_path: Path) -> None:
    """With an instance each that waits for its scan, and one that is connected."""
    async with open_world(tmp_path, contract=2) as world:
        world.proxy.longest_hold = 2.0
        await start(world, 1, MSG_POLL_MS="500")
        await start(world, 2, MSG_POLL_MS="500")
        for name in (FIRST[0], SECOND[0]):
            await world.pair(name, PHONES[name])
        for name in (FIRST[1], SECOND[1]):
            world.proxy.store.add_instance(name)
            await world.qr(name)
        for knows, most in ((True, 8), (False, 28)):
            world.proxy.knows_shards = knows
            await trio.sleep(2.5)
            before = world.proxy.store.requests["poll"]
            await trio.sleep(5.0)
            calls = world.proxy.store.requests["poll"] - before
            assert 4 <= calls <= most, f"{calls} calls of two workers in 5 seconds, {knows=}"
