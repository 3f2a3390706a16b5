"""Cancelled at each await that matters: nothing is lost, kept, left locked or done twice."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import trio

from tests.cancelling import at_each_wait, open_descriptors
from tests.stage import SHOP, open_stage
from wa_worker.delivery.group_commit import GroupCommit
from wa_worker.delivery.keyed_queue import KeyedQueue
from wa_worker.edge.transport import open_transport
from wa_worker.instances.status import StatusPublisher
from wa_worker.models import ProxyStatus, Status
from wa_worker.ownership.volume import hold_volume
from wa_worker.wakeup import Wakeup
from wa_worker.whatsapp.gate import StartGate

CONNECTED = Status(ProxyStatus.CONNECTED)


async def cancelled_places(scene: Callable[[], Awaitable[None]]) -> int:
    """Counts at how many waits the scene was cancelled: at each that it has."""
    return len([wait async for wait in at_each_wait(scene)])


async def test_a_group_commit_loses_nothing_and_commits_nothing_twice() -> None:
    committed: list[int] = []
    group, added = GroupCommit(committed.extend), 0

    async def scene() -> None:
        nonlocal added
        added += 1
        await group.add(added)

    async for _ in at_each_wait(scene):
        assert len(committed) == added, "it is not left in the middle"
    with trio.fail_after(5):
        await group.add(0)  # nobody holds its turn any more
    assert sorted(committed) == list(range(added + 1))


async def test_the_lock_on_the_volume_is_given_back(tmp_path: Path) -> None:
    async def scene() -> None:
        async with hold_volume(tmp_path):
            await trio.lowlevel.checkpoint()

    before = open_descriptors()
    assert await cancelled_places(scene) >= 1
    assert open_descriptors() == before
    with trio.fail_after(5):
        async with hold_volume(tmp_path):
            pass


async def test_who_waits_for_the_volume_stops_waiting(tmp_path: Path) -> None:
    async with hold_volume(tmp_path):
        before = open_descriptors()
        with trio.move_on_after(0.05) as waiting:
            async with hold_volume(tmp_path):
                raise AssertionError("two have it")
        assert waiting.cancelled_caught
        assert open_descriptors() == before


async def test_the_start_gate_is_open_again() -> None:
    gate = StartGate()

    async def scene() -> None:
        gate.pass_through()  # so that it has a moment to wait for
        async with gate.exclusive():
            await trio.lowlevel.checkpoint()

    assert await cancelled_places(scene) >= 2
    with trio.fail_after(5):
        await trio.to_thread.run_sync(gate.pass_through)
        async with gate.exclusive():
            pass


async def test_a_wakeup_that_was_given_up_rings_the_next_time() -> None:
    wakeup = Wakeup()
    with trio.move_on_after(0.01):
        await wakeup.wait()
    wakeup.arm()
    wakeup.ring()
    with trio.fail_after(5):
        await wakeup.wait()


async def test_a_call_that_is_cancelled_leaves_no_connection_open() -> None:
    async with open_stage(SHOP) as stage:
        await stage.edge.disconnected_instances()

        async def scene() -> None:
            await stage.edge.queued_messages(SHOP)

        before = open_descriptors()
        assert await cancelled_places(scene) >= 3
        with trio.fail_after(5):
            while open_descriptors() > before + 2:  # noqa: ASYNC110 - the server's ends go when it notices
                await trio.sleep(0.01)
        assert await stage.edge.disconnected_instances(), "and the next call goes well"


async def test_a_transport_closes_what_it_has_opened() -> None:
    async with open_stage(SHOP) as stage:

        async def scene() -> None:
            async with open_transport(stage.proxy.url, keep=5):
                await trio.lowlevel.checkpoint()

        before = open_descriptors()
        await cancelled_places(scene)
        assert open_descriptors() == before


async def test_a_status_that_was_under_way_is_told_by_the_next_run() -> None:
    async with open_stage(SHOP) as stage:
        publisher = StatusPublisher(SHOP, stage.edge)

        async def scene() -> None:
            publisher.announce_again()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(publisher.run)
                await publisher.wait_settled()
                nursery.cancel_scope.cancel()

        publisher.announce(CONNECTED)
        assert await cancelled_places(scene) >= 2
        assert publisher.settled
        assert stage.proxy.store.statuses(SHOP)[-1].status == "CONNECTED"


async def test_a_queue_that_was_stopped_works_on_the_same_rows_again() -> None:
    rows, done = {1, 2, 3}, list[int]()

    def find(after: int, limit: int) -> list[int]:
        return sorted(key for key in rows if key > after)[:limit]

    async def work(key: int) -> None:
        await trio.sleep(0.002)
        done.append(key)
        rows.discard(key)

    async def scene() -> None:
        queue = KeyedQueue("test", find, work, width=2)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(queue.run)
            while rows:  # noqa: ASYNC110 - the scene's own checkpoints are what is counted
                await trio.sleep(0.001)
            nursery.cancel_scope.cancel()

    assert await cancelled_places(scene) >= 2
    assert sorted(done) == [1, 2, 3], "each once"
