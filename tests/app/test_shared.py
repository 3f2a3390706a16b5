"""What a worker does in the moment in which it loses its lease."""

from __future__ import annotations

import threading
from pathlib import Path

import psycopg
import pytest
import trio

from tests.ownership.test_keeper import a_keeper
from tests.ownership.test_keeper import admin as admin
from tests.proxy_fixture import until
from tests.state_fixture import state_server as state_server
from tests.state_fixture import state_url as state_url
from wa_worker.app.shared import _keep_lease
from wa_worker.errors import LeaseLost
from wa_worker.models import InstanceId, Jid
from wa_worker.postgres.url import StateUrl
from wa_worker.whatsapp.spool import Spool, Spooled

SHOP = InstanceId("shop")


async def test_what_is_on_its_way_to_the_journal_is_kept(
    state_url: StateUrl, admin: psycopg.Connection, tmp_path: Path
) -> None:
    spool, goes_on = Spool(tmp_path / "spool"), threading.Event()
    spool.load()
    event = Spooled(SHOP, Jid("5511999990001@s.whatsapp.net"), None, 17, b"one")
    thread = threading.Thread(target=spool.take, args=(event, lambda: goes_on.wait(20)))
    thread.start()
    keeper, _ = a_keeper(state_url)
    with pytest.RaisesGroup(LeaseLost, flatten_subgroups=True):
        async with trio.open_nursery() as nursery:
            await nursery.start(_keep_lease, keeper, spool)
            assert not spool.holds(SHOP)
            admin.execute("DELETE FROM workers")
            await until(lambda: False)
    assert spool.holds(SHOP)
    goes_on.set()
    thread.join()
