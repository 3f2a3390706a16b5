"""`wa-worker state import` and `export`: a real worker's volume, the simulated WhatsApp, a real PostgreSQL."""

from __future__ import annotations

import signal
import subprocess
from functools import partial
from pathlib import Path

import trio

from tests.e2e.moving import call, settled
from tests.e2e.world import PATIENCE, World, eventually
from tests.state_fixture import state_server as state_server
from tests.state_fixture import state_url as state_url
from tests.transfer.volume import moved, on_volume
from wa_worker.dev.proxy import Fault, Store
from wa_worker.dev.simulator.trust import command
from wa_worker.models import InstanceId
from wa_worker.postgres.connecting import connect
from wa_worker.postgres.url import StateUrl

CONTACT = "5511988880002"
SHOPS = [InstanceId(f"shop{n}") for n in range(3)]


async def test_a_killed_workers_volume_goes_to_postgresql_and_back_without_a_scan(
    world: World, tmp_path: Path, state_url: StateUrl
) -> None:
    """With messages that wait in both directions, and a send of which nobody knows whether it left."""
    worker = await world.start_worker()
    for n, shop in enumerate(SHOPS):
        await world.pair(shop, f"55119999900{n:02}")
    contact = world.simulator.contact(CONTACT)
    world.proxy.store.queue(SHOPS[0], CONTACT, "first")
    await world.until(settled)
    for path in ("mark-sent", "inbound"):
        world.proxy.faults.set(path, Fault(status=503))
    world.proxy.store.queue(SHOPS[1], CONTACT, "not reported")
    await contact.wait_received(2)
    await contact.send(world.jids[SHOPS[1]], "not told")
    await eventually(lambda: on_volume(world.auth_dir, SHOPS[1])["inbox"])
    world.simulator.swallow_acks = 1
    world.proxy.store.queue(SHOPS[0], CONTACT, "in doubt")
    await contact.wait_received(3)
    await worker.stop(signal.SIGKILL)
    world.proxy.faults.clear()
    scans = len(world.codes)
    before = {shop: moved(on_volume(world.auth_dir, shop)) for shop in SHOPS}
    assert "intent" in [row["state"] for row in before[SHOPS[0]]["ledger"]]
    state = {"STATE_URL": state_url.with_options().reveal()}

    await call(world, "state", "import", str(world.auth_dir), **state)
    with connect(state_url, "tests") as sql:
        schemas = {
            instance: f"wa_{n}_{token}"
            for instance, n, token in sql.execute("SELECT id, n, token FROM instances WHERE paired AND wanted")
        }
    assert schemas.keys() == set(SHOPS)
    dsn = state_url.with_options(search_path=schemas[SHOPS[2]], application_name="wa/test").reveal()
    await _log_in(world, dsn, world.jids[SHOPS[2]])

    back = str(tmp_path / "back")
    await call(world, "state", "export", back, **state)
    after = {shop: on_volume(Path(back), shop) for shop in SHOPS}
    journal = [name for name in before[SHOPS[0]] if not name.startswith("whatsmeow_")]
    assert {shop: [after[shop][name] for name in journal] for shop in SHOPS} == {
        shop: [before[shop][name] for name in journal] for shop in SHOPS
    }
    assert after[SHOPS[0]] == before[SHOPS[0]]  # with all of its keys: no session of it was open meanwhile

    worker = await world.start_worker(AUTH_DIR=back)
    for shop in SHOPS:
        await worker.logged("connected", instance=shop)
    with trio.fail_after(PATIENCE):
        await world.proxy.wait_for(lambda store: settled(store) and len(store.inbound()) == 1)
    texts = [message.text for message in contact.received]
    assert (texts.count("first"), texts.count("not reported")) == (1, 1)
    await contact.send(world.jids[SHOPS[2]], "after")
    await world.until(lambda store: "after" in [row.body for row in store.inbound()])
    assert len(world.codes) == scans


async def test_a_worker_on_postgresql_goes_on_and_so_does_the_one_on_the_volume_that_comes_back(
    world: World, tmp_path: Path, state_url: StateUrl
) -> None:
    state = {"STATE_URL": state_url.with_options().reveal(), "AUTH_DIR": str(tmp_path / "own")}
    worker = await world.start_worker()
    for n, shop in enumerate(SHOPS[:2]):
        await world.pair(shop, f"55119999900{n:02}")
    await worker.stop()
    contact = world.simulator.contact(CONTACT)
    scans = len(world.codes)
    await call(world, "state", "import", str(world.auth_dir), **state)
    back = str(tmp_path / "back")
    for number, settings in enumerate((state, {"AUTH_DIR": back}), 1):
        if number == 2:
            await call(world, "state", "export", back, **state)
        worker = await world.start_worker(**settings)
        for shop in SHOPS[:2]:
            await worker.logged("connected", instance=shop)
            world.proxy.store.queue(shop, CONTACT, f"out {number}")
            await contact.send(world.jids[shop], f"in {number}")
        with trio.fail_after(PATIENCE):
            await world.proxy.wait_for(partial(_through, count=2 * number))
        assert [message.text for message in contact.received].count(f"out {number}") == 2
        await worker.stop()
    assert len(world.codes) == scans


def _through(store: Store, count: int) -> bool:
    return settled(store) and len(store.inbound()) == count


async def _log_in(world: World, dsn: str, jid: str) -> None:
    """Opens a session on PostgreSQL with the library alone, until WhatsApp has accepted its login."""
    await eventually(lambda: not world.simulator.connected(jid))
    run = command("tests.whatsapp.client_process", dsn)
    process = await trio.lowlevel.open_process(run, env=world.environment(), stdin=subprocess.PIPE)
    assert process.stdin is not None
    try:
        await eventually(lambda: world.simulator.connected(jid))
    finally:
        process.kill()
        with trio.CancelScope(shield=True):  # it was killed: this does not take long
            await process.wait()
            await trio.aclose_forcefully(process.stdin)
