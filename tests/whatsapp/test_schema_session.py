"""A session whose keys are in a schema of PostgreSQL: the real library and a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import attrs
import pytest

from tests.proxy_fixture import until
from tests.state_fixture import state_server as state_server
from tests.state_fixture import state_url as state_url
from tests.whatsapp.schema_world import SchemaWorld, connections, pair, store_of, take_over
from tests.whatsapp.test_session import CONTACT, PHONE
from wa_worker.dev.simulator import Simulator
from wa_worker.dev.simulator.contact import Received
from wa_worker.jid import without_device
from wa_worker.models import Jid
from wa_worker.postgres.url import StateUrl
from wa_worker.whatsapp.message_secrets import senders, sent_id, store_mark
from wa_worker.whatsapp.store import StoreLost


@pytest.fixture
async def world(
    simulator: Simulator, tmp_path: Path, state_url: StateUrl, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[SchemaWorld]:
    """A schema that is paired."""
    for name, value in simulator.environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    with store_of(state_url) as store:
        world = SchemaWorld(simulator, tmp_path, "", state_url, store)
        yield attrs.evolve(world, jid=await pair(world, store))


HERE = f"{CONTACT}@s.whatsapp.net"


async def test_it_moves_from_worker_to_worker_without_a_code(world: SchemaWorld) -> None:
    """What is looked up for it, too: whose it is, addresses, the ids of sends."""
    contact, store = world.simulator.contact(CONTACT), world.store
    account = store.account()
    assert account is not None
    assert account.jid == without_device(world.jid)
    async with world.opened("wa_7_41") as first:
        await first.hears("report", event="CONNECTED")
        await first.tell("send", to=HERE, text="one")
        sent = await first.hears("sent")
        await contact.send(world.jid, "two", use_lid=True)
        await first.hears("message")
        assert store.phone_of(Jid(contact.lid)) == HERE
        assert store.lid_of(Jid(HERE)) == contact.lid
        mark = store_mark(store)
        assert sent_id(store, secret_of(contact.received[0]), mark) == sent["id"]
        assert sent_id(store, bytes(32), mark) is None
        assert [whose for whose, _ in senders(store, Jid(HERE), sent["id"])] == [f"9{PHONE}@lid"]

        take_over(world.url, "wa_7_41", "wa_7_42")
        await first.tell("send", to=HERE, text="three")
        assert "42P01" in (await first.hears("error", kind="SendDelayed"))["text"]
        await first.hears("report", event="STORE_LOST")
        with pytest.raises(StoreLost, match="wa_7_42"):
            store.is_paired()
        with pytest.raises(StoreLost):
            store.prepare()
        with store_of(world.url, "wa_7_42") as taken:
            assert store_mark(taken) == mark, "what the former owner sent is known to the next"
            async with world.opened("wa_7_42") as second:
                await second.hears("report", event="CONNECTED")
                await second.tell("send", to=HERE, text="four")
                await second.hears("sent")
                await contact.send(world.jid, "five")
                await second.hears("message")
            assert taken.is_paired()
    assert [received.text for received in contact.received] == ["one", "four"]
    assert contact.undecryptable == 0
    assert world.inbox() == ["two", "five"]
    assert world.simulator.waiting == set(), "nobody was shown a code"


async def test_an_idle_session_holds_no_connection(world: SchemaWorld) -> None:
    """whatsmeow keeps two of each session, and those of one that was closed, for ever: the server closes them, and that
    is no trouble."""
    contact = world.simulator.contact(CONTACT)

    async def none() -> None:
        await until(lambda: connections(world.url, "wa_7_41") == 0)

    async with world.opened("wa_7_41", TEST_IDLE="1") as session:
        await session.hears("report", event="CONNECTED")
        assert connections(world.url, "wa_7_41") > 0
        await none()
        await session.tell("send", to=HERE, text="after a while")
        await session.hears("sent")
        await none()
        await contact.send(world.jid, "oi")
        await session.hears("message")
        await none()
        assert [line["event"] for line in session.said if line["is"] == "report"] == ["CONNECTED"]
        await session.close()
        await none()
    log = (world.auth_dir / "log").read_text()
    assert "57P05" not in log
    assert world.url.password.reveal() not in log


def secret_of(received: Received) -> bytes:
    return bytes(received.message.messageContextInfo.messageSecret)
