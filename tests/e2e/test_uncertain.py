"""P2 through the real process: a send whose answer never came is not sent twice if anything can tell that it left."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.e2e.world import Worker, World, eventually
from tests.link_host import open_link_host
from tests.media_files import picture
from wa_worker.delivery.uncertain import UNCERTAIN_WAIT
from wa_worker.dev.proxy import MessageRow, Store

PHONE, CONTACT = "5511999990001", "5511988880002"


def _all_marked(store: Store) -> list[MessageRow]:
    rows = store.messages("shop")
    return rows if all(row.status == "sent" for row in rows) else []


def _rows(file: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
        return database.execute(query).fetchall()


def _ledger(world: World, columns: str) -> list[tuple[object, ...]]:
    return _rows(world.auth_dir / "@worker" / "journal.db", f"SELECT {columns} FROM ledger ORDER BY seq")


async def _warm(world: World, **settings: str) -> Worker:
    """A worker that has sent this contact a message: for the next one it need not ask for anything before."""
    worker = await world.start_worker(**settings)
    await world.pair("shop", PHONE)
    world.proxy.store.queue("shop", CONTACT, "warm")
    await world.until(_all_marked)
    return worker


@pytest.mark.parametrize("policy", ["resend", "hold"])
async def test_a_cut_after_which_the_receipt_comes_makes_no_second_copy(world: World, policy: str) -> None:
    await _warm(world, ON_UNCERTAIN_SEND=policy)
    contact = world.simulator.contact(CONTACT)
    world.simulator.swallow_acks = 2
    world.proxy.store.queue_many("shop", [(CONTACT, "maybe"), (CONTACT, "next")])
    rows = await world.until(_all_marked)
    assert [received.text for received in contact.received] == ["warm", "maybe", "next"]
    assert [row.wa_message_id for row in rows] == [received.wa_id for received in contact.received]


ROWS: list[dict[str, Any]] = [
    {"type": "reaction", "reaction": {"message_id": "{first}", "emoji": "x"}},
    {"type": "edit", "edit": {"message_id": "{first}"}, "body": "colder"},
    {"type": "revoke", "revoke": {"message_id": "{first}"}},
    {"type": "location", "location": {"latitude": 1, "longitude": 2}},
    {"type": "contacts", "contacts": [{"name": "Ana", "phones": [{"phone": "+5511988880003"}]}]},
    {"type": "poll", "poll": {"name": "When?", "options": ["a", "b"]}},
    {"type": "image", "media": {"link": "{link}"}},
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["type"])
async def test_so_it_is_for_every_type_of_row(world: World, row: dict[str, Any]) -> None:
    """whatsmeow writes the secret of each down, and a receipt for its id is the proof."""
    await _warm(world, MEDIA_ALLOW_PRIVATE="1")
    contact = world.simulator.contact(CONTACT)
    async with open_link_host() as host:
        named = {"{first}": contact.received[0].wa_id, "{link}": host.serve("/a.jpg", picture())}
        text = json.dumps(row)
        for name, value in named.items():
            text = text.replace(name, value)
        world.simulator.swallow_acks = 2
        world.proxy.store.queue_row("shop", CONTACT, **json.loads(text))
        rows = await world.until(_all_marked)
    assert [row.wa_message_id for row in rows] == [received.wa_id for received in contact.received]
    assert world.simulator.swallow_acks == 0


async def test_receipts_that_wait_while_the_line_is_down_are_waited_for(world: World) -> None:
    worker = await _warm(world)
    contact = world.simulator.contact(CONTACT)
    world.simulator.receipt_delay = 2.0
    world.simulator.swallow_acks = 1
    world.proxy.store.queue("shop", CONTACT, "maybe")
    await contact.wait_received(2)
    world.simulator.refusing = True  # whatsmeow gives its second try up, and the receipt finds nobody
    await worker.logged("a message may or may not have left")
    await trio.sleep(UNCERTAIN_WAIT + 1)
    assert _ledger(world, "state, unproven")[-1] == ("waiting", 1)
    world.simulator.refusing = False
    await world.until(_all_marked)
    assert [received.text for received in contact.received] == ["warm", "maybe"]


async def test_without_a_receipt_it_is_sent_again_after_a_while(world: World) -> None:
    worker = await _warm(world)
    contact = world.simulator.contact(CONTACT)
    world.simulator.no_receipts.add(CONTACT)
    world.simulator.swallow_acks = 2
    world.proxy.store.queue_many("shop", [(CONTACT, "maybe"), (CONTACT, "next")])
    await worker.logged("a message may or may not have left")
    began = trio.current_time()
    await world.until(_all_marked)
    assert trio.current_time() - began >= UNCERTAIN_WAIT - 0.5
    assert [received.text for received in contact.received] == ["warm", "maybe", "maybe", "next"]
    assert _ledger(world, "doubts") == [(0,), (1,), (0,)]


async def test_what_is_held_is_settled_by_a_receipt_that_comes_late(world: World) -> None:
    worker = await _warm(world, ON_UNCERTAIN_SEND="hold")
    contact = world.simulator.contact(CONTACT)
    world.simulator.no_receipts.add(CONTACT)
    world.simulator.swallow_acks = 2
    world.proxy.store.queue("shop", CONTACT, "maybe")
    await worker.logged("a message may or may not have left", then="uncertain")
    await worker.stop(signal.SIGTERM)
    await world.start_worker(ON_UNCERTAIN_SEND="hold")
    await world.status("shop", "CONNECTED")
    (_, maybe) = contact.received
    await world.simulator.wait_connected(world.jids["shop"])
    await contact.send_receipt(world.jids["shop"], maybe.wa_id, "read")
    rows = await world.until(_all_marked)
    assert rows[-1].wa_message_id == maybe.wa_id


async def test_a_kill_9_after_it_left_makes_no_second_copy(world: World) -> None:
    """The receipt comes while nobody is there, and after the next login."""
    worker = await _warm(world)
    contact = world.simulator.contact(CONTACT)
    world.simulator.answer_delay = 60
    world.simulator.receipt_delay = 0.5
    world.proxy.store.queue_many("shop", [(CONTACT, "maybe"), (CONTACT, "next")])
    await contact.wait_received(2)
    await worker.stop(signal.SIGKILL)
    world.simulator.answer_delay = 0
    worker = await world.start_worker()
    await worker.logged("sends were cut off by the last stop: they may or may not have left", messages=1)
    await world.until(_all_marked)
    assert [received.text for received in contact.received] == ["warm", "maybe", "next"]
    assert _ledger(world, "doubts") == [(0,), (1,), (0,)]


async def _killed_before_it_left(world: World, **settings: str) -> None:
    """While the worker still asks for what it needs to send to a new contact."""
    worker = await world.start_worker(**settings)
    await world.pair("shop", PHONE)
    world.simulator.answer_delay = 60
    world.proxy.store.queue("shop", CONTACT, "certain")
    await eventually(lambda: _ledger(world, "state, secret IS NULL, store IS NULL") == [("intent", 0, 0)])
    await worker.stop(signal.SIGKILL)
    world.simulator.answer_delay = 0


@pytest.mark.parametrize("policy", ["resend", "hold"])
async def test_a_kill_9_before_it_left_is_no_doubt(world: World, policy: str) -> None:
    await _killed_before_it_left(world, ON_UNCERTAIN_SEND=policy)
    worker = await world.start_worker(ON_UNCERTAIN_SEND=policy)
    await worker.logged("sends were cut off by the last stop before they left: they are sent again", messages=1)
    await world.until(_all_marked)
    assert [received.text for received in world.simulator.contact(CONTACT).received] == ["certain"]
    assert _ledger(world, "doubts") == [(0,)]


@pytest.mark.parametrize("how", ["the volume", "the session store", "gone"])
async def test_a_store_that_was_put_back_is_no_witness(world: World, how: str) -> None:
    await _killed_before_it_left(world, ON_UNCERTAIN_SEND="hold")
    backup = world.auth_dir.with_name("backup")
    match how:
        case "the volume":
            shutil.copytree(world.auth_dir, backup)
            world.auth_dir.rename(world.auth_dir.with_name("old"))
            backup.rename(world.auth_dir)
        case "the session store":
            shutil.copytree(world.auth_dir / "shop", backup)
            for file in backup.iterdir():
                file.replace(world.auth_dir / "shop" / file.name)
        case "gone":
            shutil.rmtree(world.auth_dir / "shop")
    worker = await world.start_worker(ON_UNCERTAIN_SEND="hold")
    await worker.logged("sends were cut off by the last stop: they may or may not have left", messages=1)
    assert _ledger(world, "state, doubts") == [("uncertain", 1)]
