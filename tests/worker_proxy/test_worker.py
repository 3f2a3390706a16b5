"""The real worker and the Edge Function: end-to-end tests of the reference proxy that need no faults of it, and one
whole life.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
import trio

from tests.e2e.test_coming_back import test_a_lost_status_is_announced_again, test_a_restart_resumes_without_a_qr
from tests.e2e.test_delivery import test_a_refused_destination_is_marked_failed_and_others_go_on
from tests.e2e.test_main_path import test_pair_send_receive_and_health, test_two_instances_do_not_mix
from tests.e2e.test_sharding import test_each_instance_has_one_worker_and_the_end_of_one_leaves_the_others
from tests.e2e.world import SECRET, World
from tests.worker_proxy.backend import Backend, EdgeProxy
from tests.worker_proxy.processes import SERVICE_KEY, Server
from wa_worker.dev.simulator import open_simulator

__all__ = [
    "test_a_lost_status_is_announced_again",
    "test_a_refused_destination_is_marked_failed_and_others_go_on",
    "test_a_restart_resumes_without_a_qr",
    "test_each_instance_has_one_worker_and_the_end_of_one_leaves_the_others",
    "test_pair_send_receive_and_health",
    "test_two_instances_do_not_mix",
]


@pytest.fixture
async def world(function: Server, backend: Backend, tmp_path: Path) -> AsyncIterator[World]:
    proxy = EdgeProxy(function.url, SECRET, backend, function.lines)
    async with open_simulator() as simulator, trio.open_nursery() as nursery:
        world = World(simulator, cast(Any, proxy), tmp_path, nursery)
        try:
            yield world
        finally:
            with trio.CancelScope(shield=True):
                await world.close()


async def test_a_whole_life(world: World, function: Server) -> None:
    """Pair, 5 out, 5 in, restart with both waiting, mark-failed, switched off, switched on again."""
    said = len(function.lines)
    backend = cast(Backend, world.proxy.store)
    contact = world.simulator.contact("5511988880002")
    worker = await world.start_worker()
    jid = await world.pair("shop", "5511999990001")
    (row,) = [backend.instance("shop")]
    assert row is not None
    assert row.qr_code is None

    out = [f"out {n}" for n in range(5)]
    backend.queue_many("shop", [(contact.phone, text) for text in out])
    assert [message.text for message in await contact.wait_received(5)] == out
    for n in range(5):
        await contact.send(jid, f"in {n}", push_name="Ana")
    await world.until(lambda s: len(s.inbound("shop")) == 5)

    assert await worker.stop() < 10
    stopped = backend.instance("shop")
    assert stopped is not None
    assert stopped.status == "DISCONNECTED"
    await contact.send(jid, "in 5")
    late = backend.queue("shop", contact.phone, "out 5")
    bad = backend.queue("shop", "not a number", "to nobody")
    worker = await world.start_worker()
    await world.status("shop", "CONNECTED")
    await world.until(lambda s: len(s.inbound("shop")) == 6)
    rows = await world.until(lambda s: rows if not _queued(rows := s.messages("shop")) else None)
    assert {row.id: row.status for row in rows if row.id in (late, bad)} == {late: "sent", bad: "failed"}
    assert next(row.error for row in rows if row.id == bad)
    assert [message.text for message in contact.received] == [*out, "out 5"]
    assert [row.body for row in backend.inbound("shop")] == [f"in {n}" for n in range(6)]

    backend.enable("shop", False)
    await worker.logged("instance let go: the proxy does not know it", instance="shop")
    assert (await worker.health())["instances"] == {"connected": 0, "connecting": 0, "reconnecting": 0}
    backend.enable("shop", True)
    await world.status("shop", "CONNECTED")
    assert all(change.qr_code is None for change in backend.statuses("shop")[-3:])

    lines = "".join(function.lines[said:])
    secrets = (SECRET, SERVICE_KEY, "out 0", "in 0", contact.phone, "data:image")
    assert not [secret for secret in secrets if secret in lines]


def _queued(rows: list[Any]) -> bool:
    return any(row.status == "queued" for row in rows)
