"""The health port under a crowd, and a process that has no descriptor left: it answers, works on and says so once."""

from __future__ import annotations

import resource
from contextlib import AsyncExitStack

import trio

from tests.descriptors import descriptors, leave_none
from tests.e2e.world import PATIENCE, World, eventually
from wa_worker.monitoring.health import MOST_CONNECTIONS

SAID = "no descriptor is left: the health port closes its oldest connection for a new one"
HALF = b"GET /health HTTP/1.1\r\nX: "


async def test_a_crowd_at_the_health_port_costs_a_bounded_number_of_descriptors(world: World) -> None:
    worker = await world.start_worker()
    before = len(descriptors(worker.pid))
    async with AsyncExitStack() as crowd:
        for _ in range(4 * MOST_CONNECTIONS):
            stream = await crowd.enter_async_context(await trio.open_tcp_stream("127.0.0.1", worker.port))
            await stream.send_all(HALF)
        assert (await worker.health())["status"] == "ok"
        await eventually(lambda: len(descriptors(worker.pid)) <= before + MOST_CONNECTIONS + 5)
    assert not [line for line in worker.lines if line.get("level") in ("warning", "error")]


async def test_without_descriptors_it_answers_works_on_and_says_so_once(world: World) -> None:
    worker = await world.start_worker()
    jid = await world.pair("shop", "5511999990001")
    contact = world.simulator.contact("5511988880002")
    await contact.send(jid, "while there is room")
    await world.until(lambda s: s.inbound("shop"))

    async with AsyncExitStack() as crowd:

        async def come(many: int) -> None:
            for _ in range(many):
                stream = await crowd.enter_async_context(await trio.open_tcp_stream("127.0.0.1", worker.port))
                await stream.send_all(HALF)

        used = len(descriptors(worker.pid))
        await come(20)
        await eventually(lambda: len(descriptors(worker.pid)) >= used + 20)
        before = leave_none(worker.pid)
        await come(30)
        await worker.logged(SAID, reason="Too many open files")
        world.proxy.store.queue("shop", contact.phone, "out of descriptors")
        with trio.fail_after(PATIENCE):
            await contact.wait_received(1)
        await contact.send(jid, "into a worker without descriptors")
        await world.until(lambda s: len(s.inbound("shop")) == 2)
        with trio.fail_after(PATIENCE):
            assert (await worker.health())["status"] == "ok"
    assert [line["event"] for line in worker.lines].count(SAID) == 1

    resource.prlimit(worker.pid, resource.RLIMIT_NOFILE, before)
    assert await world.proxy.wait_for(lambda s: s.requests["disconnected-instances"])
    assert (await worker.health("/ready")) == {"status": "ready", "reasons": [], "held": []}
    assert await worker.stop() < 5


async def test_a_client_that_reads_nothing_does_not_hold_up_the_end(world: World) -> None:
    worker = await world.start_worker()
    async with await trio.open_tcp_stream("127.0.0.1", worker.port) as stream:
        with trio.move_on_after(1):
            await stream.send_all(2000 * b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await worker.health())["status"] == "ok"
        assert await worker.stop() < 5
        assert worker.process.returncode == 0
