"""The disk fills up under a running worker: it says so, stops taking messages, and recovers with nothing lost.

Once on a real small file system (a tmpfs; needs root), where the worker sees it coming, and once with the operating
system's limit on file sizes, under which the worker's writes and the native library's fail without warning. And a
disk that hangs, at the end: the worker stops in time all the same.
"""

from __future__ import annotations

import resource
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
import trio

from tests.e2e.world import Worker, World, open_world

CONTACT = "5511988880002"


@pytest.fixture
def small_disk(world: World) -> Iterator[Path]:
    world.auth_dir.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", world.auth_dir], capture_output=True, check=False
    )
    if mount.returncode:
        pytest.skip("cannot mount a tmpfs here")
    yield world.auth_dir
    subprocess.run(["umount", "--lazy", world.auth_dir], check=True)


async def test_a_full_disk_loses_nothing(small_disk: Path, world: World) -> None:
    worker = await world.start_worker()
    jid = await world.pair("shop", "5511999990001")
    contact = world.simulator.contact(CONTACT)
    await contact.send(jid, "before")
    await world.until(lambda s: s.inbound("shop"))

    filler = small_disk / "@filler"
    filler.write_bytes(bytes(50 * 2**20))
    await worker.logged("the volume is full: sessions close until there is room")
    await world.status("shop", "CONNECTING")
    for n in range(5):
        await contact.send(jid, f"meanwhile {n}")
    world.proxy.store.queue("shop", CONTACT, "out")
    assert (await worker.health())["instances"] == {"connected": 0, "connecting": 0, "reconnecting": 1}

    filler.unlink()
    rows = await world.until(lambda s: rows if len(rows := s.inbound("shop")) == 6 else [])
    assert [row.body for row in rows] == ["before", *(f"meanwhile {n}" for n in range(5))]
    assert [m.text for m in await contact.wait_received(1)] == ["out"]
    await world.status("shop", "CONNECTED")


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs prlimit (Linux)")
async def test_writes_that_fail_without_warning_close_the_session(world: World) -> None:
    worker = await world.start_worker()
    jid = await world.pair("shop", "5511999990001")
    contact = world.simulator.contact(CONTACT)
    _, hard = resource.prlimit(worker.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(worker.process.pid, resource.RLIMIT_FSIZE, (4096, hard))
    await contact.send(jid, "unlucky: whatsmeow asks for it again at most five times")
    await worker.logged("retrying", instance="shop", because="the volume cannot be written or is full")
    await world.status("shop", "CONNECTING")
    await contact.send(jid, "kept")
    world.proxy.store.queue("shop", CONTACT, "out")
    await trio.sleep(1)  # nothing must come: a poll would have listed it several times
    assert contact.received == []
    resource.prlimit(worker.process.pid, resource.RLIMIT_FSIZE, (hard, hard))
    await world.until(lambda s: any(row.body == "kept" for row in s.inbound("shop")))
    assert [m.text for m in await contact.wait_received(1)] == ["out"]


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs prlimit (Linux)")
async def test_sigterm_ends_it_while_nothing_can_be_written(world: World) -> None:
    worker = await world.start_worker()
    jid = await world.pair("shop", "5511999990001")
    _, hard = resource.prlimit(worker.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(worker.process.pid, resource.RLIMIT_FSIZE, (4096, hard))
    await world.simulator.contact(CONTACT).send(jid, "unlucky")
    await worker.logged("retrying", instance="shop")
    assert await worker.stop() < 10
    assert worker.process.returncode == 0


@contextmanager
def stuck(file: Path) -> Iterator[None]:
    """A file that takes no write until the end of the block: another process' lock, for which a writer waits as it
    does for a volume that hangs."""
    with closing(sqlite3.connect(file, isolation_level=None, timeout=30)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


async def _stop_amid_traffic(folder: Path, *files: str) -> tuple[Worker, list[str]]:
    """Stops a worker while these files take no write; another one then sends what waited.

    Returns the stopped worker and the inbound bodies.
    """
    async with open_world(folder) as world:
        worker = await world.start_worker()
        jid = await world.pair("shop", "5511999990001")
        contact = world.simulator.contact(CONTACT)
        await contact.send(jid, "before")
        await world.until(lambda s: s.inbound("shop"))
        world.proxy.store.queue_many("shop", [(CONTACT, f"m{n}") for n in range(200)])
        await contact.wait_received(5)
        with ExitStack() as disk:
            for file in files:
                disk.enter_context(stuck(world.auth_dir / file))
            await contact.send(jid, "meanwhile")
            await trio.sleep(1)  # by now the callback waits with it, and the sending with an outcome
            assert await worker.stop() < 10
            assert worker.process.returncode == 0
        await world.start_worker()
        await world.until(lambda s: not s.count_messages("queued"))
        await contact.send(jid, "after")
        await world.until(lambda s: any(row.body == "after" for row in s.inbound("shop")))
        texts = [m.text for m in await contact.wait_received(200)]
        assert set(texts) == {f"m{n}" for n in range(200)}
        assert len(texts) <= 201, "the one whose outcome was not yet on disk is uncertain, and sent again"
        return worker, [row.body for row in world.proxy.store.inbound("shop")]


async def test_sigterm_ends_it_while_the_disk_hangs(tmp_path: Path) -> None:
    """The journal alone, and all of the disk. Each takes the nine seconds after which the worker gives up."""

    async def journal_hangs(folder: Path) -> None:
        worker, _ = await _stop_amid_traffic(folder, "@worker/journal.db")
        # WhatsApp has been told that we have it, and it was nowhere but in memory (docs/delivery.md)
        await worker.logged("a received message may be lost: the disk did not take it in time", instance="shop")

    async def all_hangs(folder: Path) -> None:
        _, inbound = await _stop_amid_traffic(folder, "@worker/journal.db", "shop/session.db")
        assert inbound == ["before", "meanwhile", "after"]

    async with trio.open_nursery() as nursery:
        for case in (journal_hangs, all_hangs):
            folder = tmp_path / case.__name__
            folder.mkdir()
            nursery.start_soon(case, folder)
