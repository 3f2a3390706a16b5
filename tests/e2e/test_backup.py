"""Moving house and coming back from a backup, with real workers on the simulated WhatsApp."""

from __future__ import annotations

import signal
import sqlite3
from contextlib import closing
from pathlib import Path

from tests.e2e.moving import call, move_house, settled
from tests.e2e.world import World
from tests.proxy_fixture import until
from wa_worker.dev.proxy import Fault

CONTACT = "5511988880002"


async def test_moving_house_under_traffic_loses_and_doubles_nothing(world: World, tmp_path: Path) -> None:
    await move_house(world, 2, str(tmp_path / "new"))


def uncertain(auth_dir: Path) -> int:
    with closing(sqlite3.connect(auth_dir / "@worker" / "journal.db")) as journal:
        return int(journal.execute("SELECT count(*) FROM ledger WHERE state = 'uncertain'").fetchone()[0])


async def test_what_was_sent_after_a_backup_is_held_if_the_proxy_was_not_told(world: World, tmp_path: Path) -> None:
    worker = await world.start_worker(ON_UNCERTAIN_SEND="hold")
    await world.pair("shop", "5511999990001")
    contact = world.simulator.contact(CONTACT)
    world.proxy.store.queue("shop", CONTACT, "before")
    await contact.wait_received(1)
    await world.until(settled)
    await call(world, "backup", str(tmp_path / "a.backup"))
    world.proxy.faults.set("mark-sent", Fault(status=503))
    world.proxy.store.queue("shop", CONTACT, "after")
    await contact.wait_received(2)
    await worker.stop(signal.SIGKILL)
    world.proxy.faults.clear()
    new = str(tmp_path / "new")
    await call(world, "restore", str(tmp_path / "a.backup"), "--into", new, "--the-source-is-stopped")
    worker = await world.start_worker(AUTH_DIR=new, ON_UNCERTAIN_SEND="hold")
    await worker.logged("messages may have been sent after the backup that was restored", instance="shop", messages=1)
    await call(world, "journal", "discard", "--state", "uncertain", "--yes", AUTH_DIR=new)
    await world.until(lambda store: [row.status for row in store.messages()][1] == "failed")
    world.proxy.store.queue("shop", CONTACT, "last")  # that it is new, the worker cannot know so soon
    await until(lambda: uncertain(Path(new)) == 1)
    await call(world, "journal", "retry", "--state", "uncertain", "--yes", AUTH_DIR=new)
    await world.until(lambda store: [row.status for row in store.messages()][-1] == "sent")
    texts = [message.text for message in contact.received]
    assert (texts.count("before"), texts.count("after"), texts.count("last")) == (1, 1, 1)
