"""What a session finds out of a send that failed, with the real library against the simulated WhatsApp.

The first tests pin what the rest is built on: when whatsmeow writes the id of a message down, and when it says that it
could not.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import trio

from tests.proxy_fixture import SHOP, until
from tests.whatsapp import test_session
from tests.whatsapp.test_session import CONTACT, Session, World
from wa_worker.dev.simulator import Received
from wa_worker.whatsapp.folder_store import FolderStore
from wa_worker.whatsapp.message_secrets import sent_id
from wa_worker.whatsapp.session import UNSYNCED

world = test_session.world
"""The fixture."""

TO = f"{CONTACT}@s.whatsapp.net"


def store_of(world: World) -> FolderStore:
    return FolderStore.of(world.auth_dir, SHOP)


def secrets_in(file: Path) -> int:
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
        count: int = database.execute("SELECT count(*) FROM whatsmeow_message_secrets").fetchone()[0]
        return count


def refuse_secrets(file: Path) -> None:
    with closing(sqlite3.connect(file)) as database:
        database.execute(
            "CREATE TRIGGER refused BEFORE INSERT ON whatsmeow_message_secrets BEGIN SELECT RAISE(ABORT, 'no'); END"
        )


async def sent(world: World, session: Session, text: str) -> str:
    """A message that goes well; after it nothing has to be asked before the next one to the same contact."""
    await session.hears("report", event="CONNECTED")
    await session.tell("send", to=TO, text=text)
    return str((await session.hears("sent"))["id"])


async def cut_off(world: World, session: Session) -> str:
    """A message that arrives and is cut off before its answer, twice; returns the id that the session finds."""
    await sent(world, session, "warm")
    world.simulator.swallow_acks = 2
    await session.tell("send", to=TO, text="maybe")
    return str((await session.hears("error", kind="SendUncertain"))["wa_id"])


async def test_the_id_is_written_down_before_the_message_leaves(world: World) -> None:
    """With slow answers one sees: the row, then the message, then the answer to it."""
    contact, file = world.simulator.contact(CONTACT), store_of(world).file
    async with world.session() as session:
        await session.hears("report", event="CONNECTED")
        world.simulator.answer_delay = 0.7
        await session.tell("send", to=TO, text="slow")
        await until(lambda: secrets_in(file))
        assert contact.received == [], "the keys are still to be fetched"
        (received,) = await contact.wait_received(1)
        secret = received.message.messageContextInfo.messageSecret
        assert len(secret) == 32
        assert sent_id(store_of(world), secret, None) == received.wa_id
        assert not any(line["is"] == "sent" for line in session.said)
        assert (await session.hears("sent"))["id"] == received.wa_id


async def test_each_message_has_a_secret_of_its_own(world: World) -> None:
    contact = world.simulator.contact(CONTACT)
    async with world.session() as session:
        await sent(world, session, "one")
        await session.tell("send", to=TO, text="two")
        await contact.wait_received(2)
        assert len({received.message.messageContextInfo.messageSecret for received in contact.received}) == 2


async def test_a_cut_gives_the_id_and_whatsmeow_itself_sends_no_second_copy(world: World) -> None:
    contact = world.simulator.contact(CONTACT)
    world.simulator.no_receipts.add(CONTACT)
    async with world.session() as session:
        wa_id = await cut_off(world, session)
        assert world.simulator.swallow_acks == 0, "it has tried twice, under one id"
        (_, maybe) = contact.received
        assert wa_id == maybe.wa_id
        await session.hears("expect", ids=[maybe.wa_id])
        await world.simulator.wait_connected(world.jid)
        await contact.send_receipt(world.jid, maybe.wa_id, "read")
        await session.hears("heard", ids=[maybe.wa_id])


async def test_a_cut_that_is_mended_within_seconds_is_none(world: World) -> None:
    contact = world.simulator.contact(CONTACT)
    async with world.session() as session:
        await sent(world, session, "warm")
        world.simulator.swallow_acks = 1
        await session.tell("send", to=TO, text="maybe")
        await until(lambda: [line["is"] for line in session.said].count("sent") == 2)
        assert [received.text for received in contact.received] == ["warm", "maybe"]


async def test_a_receipt_that_came_before_the_cut_is_an_answer(world: World) -> None:
    contact = world.simulator.contact(CONTACT)
    world.simulator.no_receipts.add(CONTACT)
    async with world.session() as session:
        await sent(world, session, "warm")

        async def read_and_cut(received: Received) -> None:
            await contact.send_receipt(world.jid, received.wa_id)
            await session.hears("heard", ids=[received.wa_id])
            world.simulator.refusing = True  # for longer than whatsmeow waits for its second try
            await world.simulator.drop(world.jid)

        contact.on_message = read_and_cut
        world.simulator.answer_delay = 60
        await session.tell("send", to=TO, text="maybe")
        (_, received) = await contact.wait_received(2)
        await session.hears("sent", id=received.wa_id)
        world.simulator.refusing = False


@pytest.mark.parametrize("same", [True, False], ids=["its own session", "a later session"])
async def test_a_receipt_that_asks_once_more_proves_something_only_where_it_is_heeded(world: World, same: bool) -> None:
    """whatsmeow keeps what it sent in memory: in a later session nobody could read that message ever."""
    contact = world.simulator.contact(CONTACT)
    world.simulator.no_receipts.add(CONTACT)
    async with world.session() as session:
        wa_id = await cut_off(world, session)
        if same:
            await world.simulator.wait_connected(world.jid)
            await contact.send_receipt(world.jid, wa_id, "retry")
            await session.hears("heard", ids=[wa_id])
    if not same:
        async with world.session() as session:
            await session.hears("report", event="CONNECTED")
            await contact.send_receipt(world.jid, wa_id, "retry")
            await contact.send_receipt(world.jid, "another", "read")
            await session.hears("heard", ids=["another"])
            assert not any(line["is"] == "heard" and wa_id in line["ids"] for line in session.said)


async def test_what_could_not_be_written_down_is_no_proof_that_it_stayed(world: World) -> None:
    """whatsmeow says so before the message leaves, and sends it all the same."""
    contact = world.simulator.contact(CONTACT)
    async with world.session() as session:
        await session.hears("report", event="CONNECTED")
        refuse_secrets(store_of(world).file)
        world.simulator.answer_delay = 0.7
        world.simulator.swallow_acks = 2
        await session.tell("send", to=TO, text="maybe")
        await session.hears("distrust")
        assert contact.received == [], "the keys are still to be fetched"
        error = await session.hears("error", kind="SendUncertain")
        assert error["wa_id"] is None
        assert [received.text for received in contact.received] == ["maybe"]


async def test_the_line_is_steady_once_what_waited_has_come(world: World) -> None:
    """Receipts are among what waits: before they have come, or while the line is down, no time passes."""

    async def steady() -> float:
        session.said = [line for line in session.said if line["is"] != "steady"]
        await session.tell("steady")
        return float((await session.hears("steady"))["seconds"])

    async with world.session() as session:
        await session.hears("report", event="CONNECTED")
        await trio.sleep(1.0)
        assert 0.5 < await steady() < 5
        world.simulator.refusing = True
        await world.simulator.drop(world.jid)
        await session.hears("report", event="DISCONNECTED")
        assert await steady() <= 0
        world.simulator.skip_offline.add(world.jid)
        world.simulator.refusing = False
        await until(lambda: [line.get("event") for line in session.said].count("CONNECTED") == 2)
        assert -UNSYNCED <= await steady() < -UNSYNCED + 10, "it is not known what may still come"


async def test_a_message_without_a_copy_for_the_phone_is_sent_again(world: World) -> None:
    """whatsmeow sends it all the same, to nobody, and calls that a success."""
    contact = world.simulator.contact(CONTACT)
    world.simulator.no_keys = True
    async with world.session() as session:
        await session.hears("report", event="CONNECTED")
        await session.tell("send", to=TO, text="to nobody")
        assert (await session.hears("error"))["kind"] == "SendDelayed"
        world.simulator.no_keys = False
        await session.tell("send", to=TO, text="to somebody")
        await session.hears("sent")
    assert [message.text for message in contact.received] == ["to somebody"]
