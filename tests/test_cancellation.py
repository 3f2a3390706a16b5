"""Cancelled at each of its waits: what owns something leaves nothing open, locked, lost or done twice."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from tests.cancelling import Unchanged, at_each_wait
from tests.stage import SHOP, open_stage, until
from wa_worker.edge.transport import open_transport
from wa_worker.models import ProxyStatus, Status
from wa_worker.ownership.volume import hold_volume
from wa_worker.wakeup import Wakeup


async def test_hold_volume_leaves_the_volume_free(tmp_path: Path) -> None:
    async def hold() -> None:
        async with hold_volume(tmp_path):
            await trio.lowlevel.checkpoint()

    with Unchanged():
        async for _ in at_each_wait(hold):
            with trio.fail_after(5):
                async with hold_volume(tmp_path):
                    pass


async def test_waiting_for_the_volume_ends(tmp_path: Path) -> None:
    async with hold_volume(tmp_path):
        with Unchanged(), trio.move_on_after(0.7) as waiting:
            async with hold_volume(tmp_path):
                raise AssertionError
    assert waiting.cancelled_caught


async def test_open_transport_closes_what_it_has_opened() -> None:
    async def once() -> None:
        async with open_transport("https://127.0.0.1:1", keep=60):
            await trio.lowlevel.checkpoint()

    with Unchanged():
        async for _ in at_each_wait(once):
            pass


# httpcore does not close httpx's iterator over a request's body; nothing is open in it
@pytest.mark.filterwarnings("ignore:Async generator 'httpx._content.ByteStream:ResourceWarning")
async def test_a_call_leaves_no_connection_open_that_is_not_used_again() -> None:
    """Each call of the client, the first on a new connection and the second on one that is kept."""
    async with open_stage(SHOP) as on:
        calls = {
            "list": on.edge.disconnected_instances,
            "queued": lambda: on.edge.queued_messages(SHOP),
            "status": lambda: on.edge.update_status(SHOP, Status(ProxyStatus.CONNECTING)),
        }
        await on.edge.disconnected_instances()  # a connection that is kept
        for name, call in calls.items():
            with Unchanged():
                async for _ in at_each_wait(call):
                    await until(lambda: on.proxy.connections_open <= 1)
                    assert (await on.edge.disconnected_instances()).good == (SHOP,), name


async def test_a_wakeup_that_nobody_waits_for_any_more_still_wakes_the_others() -> None:
    bell, woken = Wakeup(), 0

    async def wait() -> None:
        nonlocal woken
        await bell.wait()
        woken += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        with trio.move_on_after(0.05):
            await bell.wait()
        bell.ring()
    assert woken == 1
