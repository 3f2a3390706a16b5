"""What `wa-worker check` makes of the health endpoint's port."""

from __future__ import annotations

import socket

import trio

from wa_worker.check.port import check_port
from wa_worker.check.result import Grade
from wa_worker.instances.registry import Registry
from wa_worker.metrics import Metrics
from wa_worker.monitoring.health import listen, run_health
from wa_worker.monitoring.readiness import Readiness


async def test_a_free_one_is_free_afterwards() -> None:
    listener = listen("127.0.0.1", 0)
    port = listener.getsockname()[1]
    listener.close()
    assert (await check_port("127.0.0.1", port, worker_is_running=False)).grade is Grade.OK
    assert (await check_port("127.0.0.1", 0, worker_is_running=False)).grade is Grade.OK
    listen("127.0.0.1", port).close()


async def test_another_program_has_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        for running in (False, True):
            found = await check_port("127.0.0.1", port, worker_is_running=running)
            assert found.grade is Grade.FAIL
            assert found.found == f"cannot listen on 127.0.0.1 port {port}: Address already in use"
            assert (found.remedy or "").startswith("set PORT to a free port")


async def test_a_worker_has_it() -> None:
    listener, registry = listen("127.0.0.1", 0), Registry()
    port = listener.getsockname()[1]
    async with trio.open_nursery() as nursery:
        await nursery.start(run_health, registry, Readiness(registry, 10.0), Metrics(), listener)
        ours = await check_port("0.0.0.0", port, worker_is_running=True)
        assert (ours.grade, ours.found) == (Grade.OK, f"{port} is the running worker's")
        foreign = await check_port("127.0.0.1", port, worker_is_running=False)
        assert foreign.grade is Grade.FAIL
        assert "a worker with another AUTH_DIR has it" in foreign.found
        nursery.cancel_scope.cancel()


async def test_an_address_that_is_none_of_this_machine() -> None:
    found = await check_port("192.0.2.1", 3000, worker_is_running=False)
    assert found.grade is Grade.FAIL
    assert "set BIND_HOST" in (found.remedy or "")
