"""Long outages in which something answers in the proxy's place: nothing is let go of or set aside, all goes on soon."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from tests.e2e.test_foreign_answers import CONTACT, all_work, pair_all
from tests.e2e.world import open_world
from wa_worker.dev.proxy import Contract, Fault

SOON = 15.0
"""Seconds after its end within which every instance sends and receives."""


@pytest.mark.parametrize("status", [404, 402])
async def test_an_outage(tmp_path: Path, pytestconfig: pytest.Config, contract: Contract, status: int) -> None:
    """With the intervals as shipped; WhatsApp drops each line meanwhile, and people write all the time."""
    length = float(pytestconfig.getoption("--outage-seconds"))
    async with open_world(tmp_path, contract=contract) as world:
        worker = await world.start_worker(INSTANCE_POLL_MS="10000", MSG_POLL_MS="2000")
        await pair_all(world)
        contact, said = world.simulator.contact(CONTACT), 0
        world.proxy.faults.set("*", Fault(status=status))
        ends = trio.current_time() + length
        while trio.current_time() < ends:
            for jid in world.jids.values():
                await contact.send(jid, f"meanwhile {said}")
                said += 1
                await world.simulator.drop(jid)
            await trio.sleep(length / 10)
        world.proxy.faults.clear()
        with trio.fail_after(SOON):
            await all_work(world, "afterwards")
            await world.proxy.wait_for(lambda s: sum("meanwhile" in row.body for row in s.inbound()) == said)
        gone = ("instance let go", "instance released", "a message is set aside")
        assert not [line for line in worker.lines if line["event"].startswith(gone)]
