"""Groups through the real process: texts both ways, members by LID, what changes, where the account may not write."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.world import World, open_world
from wa_worker.dev.proxy import Store
from wa_worker.dev.simulator import Group
from wa_worker.errors import Failure

OWN = "5511999990001"
ANA, BIA, CAI = (f"551198888000{number}" for number in (1, 2, 3))


def person(phone: str) -> str:
    return f"{phone}@s.whatsapp.net"


def failures(store: Store) -> dict[str, str]:
    return {row.body: str(row.error) for row in store.messages() if row.status == "failed"}


def sent(store: Store) -> list[str]:
    return [row.body for row in store.messages() if row.status == "sent"]


def payloads(store: Store) -> list[dict[str, Any]]:
    return [row.payload for row in store.inbound()]


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[World]:
    """A world whose proxy speaks version 2."""
    async with open_world(tmp_path, contract=2) as opened:
        yield opened


async def test_texts_both_ways_in_order_and_once(world: World) -> None:
    await world.start_worker()
    await world.pair("shop", OWN)
    group = world.simulator.create_group("Loja", ANA, BIA, OWN)
    ana, bia, cai = (world.simulator.contact(phone) for phone in (ANA, BIA, CAI))
    await group.send(ANA, "first")
    [first] = await world.until(lambda s: payloads(s) if len(payloads(s)) == 1 else [])
    assert (first["from"], first["chat_id"], first["chat_type"]) == (group.jid, group.jid, "group")
    assert (first["sender_id"], first["sender_lid"], first["to"]) == (person(ANA), f"9{ANA}@lid", person(ANA))
    assert first["group"] == {"id": group.jid, "subject": None}, "it was not waited for"
    await world.until(lambda _: group.queries == 1)
    for number in range(10):
        await group.send(ANA, f"a{number}")
        await group.send(BIA, f"b{number}")
        world.proxy.store.queue("shop", group.jid, f"m{number}")
    await world.until(lambda s: len(sent(s)) == 10 and len(payloads(s)) == 21)
    assert [row.body for row in world.proxy.store.inbound()][1:] == [
        f"{who}{number}" for number in range(10) for who in "ab"
    ]
    assert payloads(world.proxy.store)[-1]["group"] == {"id": group.jid, "subject": "Loja"}
    await group.add(ANA, CAI)
    await world.until(lambda s: s.group_events())
    world.proxy.store.queue("shop", group.jid, "for three")
    await cai.wait_received(1)
    await group.remove(ANA, BIA)
    await world.until(lambda s: len(s.group_events()) == 2)
    world.proxy.store.queue("shop", group.jid, "for two")
    await cai.wait_received(2)
    await ana.wait_received(12)
    ours = [f"m{number}" for number in range(10)]
    assert [each.text for each in ana.received] == [*ours, "for three", "for two"]
    assert [each.text for each in bia.received] == [*ours, "for three"]
    assert [each.text for each in cai.received] == ["for three", "for two"]
    assert group.queries <= 2, "one by the worker for the name, one by whatsmeow for the members"


async def changes(group: Group) -> list[dict[str, Any]]:
    """Lets all sorts of things happen, and returns what the proxy is to hear of them."""
    said: list[dict[str, Any]] = []

    def add(action: str, *participants: str, subject: str = "Loja", by: str = ANA, **more: Any) -> None:
        said.append(
            {"action": action, "participants": [person(phone) for phone in participants], "by": person(by)}
            | {"group": {"id": group.jid, "subject": subject}, **more}
        )

    await group.rename(ANA, "Loja nova")
    await group.add(ANA, CAI)
    await group.promote(ANA, BIA)
    await group.demote(ANA, BIA)
    await group.announce(ANA)
    await group.describe(ANA, "Das 9 às 18")
    await group.leave(CAI)
    await group.remove(ANA, BIA)
    new = "Loja nova"
    add("subject", subject=new)
    add("add", CAI, subject=new)
    add("promote", BIA, subject=new)
    add("demote", BIA, subject=new)
    add("announce", subject=new, announce=True)
    add("description", subject=new, description="Das 9 às 18")
    add("leave", CAI, subject=new, by=CAI)
    add("remove", BIA, subject=new)
    return said


async def test_changes_are_told_in_order_with_the_messages(two: World) -> None:
    await two.start_worker()
    await two.pair("shop", OWN)
    group = two.simulator.create_group("Loja", ANA, BIA, OWN)
    await group.send(ANA, "before")
    expected = await changes(group)
    await group.send(ANA, "after")
    await two.until(lambda s: len(s.group_events()) == len(expected) and len(payloads(s)) == 2)
    told = [row.payload for row in two.proxy.store.group_events()]
    always = {"instanceId": "shop", "event_type": "group", "chat_id": group.jid}
    assert [{**each, "timestamp": 0} for each in told] == [{**always, "timestamp": 0, **each} for each in expected]
    order = two.proxy.store.inbound()[-1].received_at
    assert all(row.received_at <= order for row in two.proxy.store.group_events())
    assert payloads(two.proxy.store)[-1]["group"]["subject"] == "Loja nova"


async def test_a_proxy_without_the_call_hears_of_no_change_and_loses_no_message(world: World) -> None:
    world.proxy.store.has_event = False
    await world.start_worker()
    await world.pair("shop", OWN)
    group = world.simulator.create_group("Loja", ANA, BIA, OWN)
    await group.send(ANA, "before")
    await changes(group)
    for number in range(3):
        await group.send(ANA, f"after {number}")
    await world.until(lambda s: len(payloads(s)) == 4)
    assert world.proxy.store.requests["event"] == 4, "asked of two, and once more of each to make sure"
    await group.rename(ANA, "Loja velha")
    await group.send(ANA, "and on")
    await world.until(lambda s: len(payloads(s)) == 5)
    assert world.proxy.store.requests["event"] == 4
    assert payloads(world.proxy.store)[-1]["group"]["subject"] == "Loja velha"


@pytest.mark.parametrize("contract", [1, 2])
async def test_kill_9_loses_and_doubles_nothing(tmp_path: Path, contract: Any) -> None:
    async with open_world(tmp_path, contract=contract) as world:
        worker = await world.start_worker()
        jid = await world.pair("shop", OWN)
        group = world.simulator.create_group("Loja", ANA, BIA, OWN)
        for number in range(20):
            await group.send(ANA, f"a{number}")
            await group.rename(ANA, f"Loja {number}")
            world.proxy.store.queue("shop", group.jid, f"m{number}")
            if number == 9:
                await world.until(lambda s: len(sent(s)) >= 3 and len(payloads(s)) >= 3)
                await worker.end(signal.SIGKILL)
        await world.start_worker()
        await world.until(lambda s: len(sent(s)) == 20 and len(payloads(s)) == 20 and len(s.group_events()) == 20)
        await world.until(lambda _: not world.simulator.pending(jid))
        assert [row.body for row in world.proxy.store.inbound()] == [f"a{number}" for number in range(20)]
        told = [row.payload["group"]["subject"] for row in world.proxy.store.group_events()]
        assert told == [f"Loja {number}" for number in range(20)]
        for phone in (ANA, BIA):
            texts = [each.text for each in world.simulator.contact(phone).received]
            assert texts == [f"m{number}" for number in range(20)]


async def test_where_the_account_may_not_write(world: World) -> None:
    await world.start_worker()
    await world.pair("shop", OWN)
    group, foreign, cold = (
        world.simulator.create_group("Avisos", ANA, OWN),
        world.simulator.create_group("Outra", ANA),
        world.simulator.create_group("Cheia", ANA, OWN),
    )
    group.announcement = True
    cold.error = 420  # of too many messages, say: the group itself is open
    nowhere = "120363000000000000@g.us"
    for to, body in ((group, "hello"), (foreign, "may I?"), (cold, "again"), (None, "anybody?")):
        world.proxy.store.queue("shop", nowhere if to is None else to.jid, body)
    world.proxy.store.queue("shop", person(ANA), "in private")
    await world.until(lambda s: len(failures(s)) == 3 and "in private" in sent(s))
    assert failures(world.proxy.store) == {
        "hello": Failure.ADMINS_ONLY.value,
        "may I?": Failure.NO_SUCH_GROUP.value,
        "anybody?": Failure.NO_SUCH_GROUP.value,
    }
    await group.promote(ANA, OWN)
    world.proxy.store.queue("shop", group.jid, "as an admin")
    await world.until(lambda s: "as an admin" in sent(s))
    await group.remove(ANA, OWN)
    world.proxy.store.queue("shop", group.jid, "still here?")
    await world.until(lambda s: "still here?" in failures(s))
    assert failures(world.proxy.store)["still here?"] == Failure.NO_SUCH_GROUP.value
    assert [each.text for each in world.simulator.contact(ANA).received] == ["in private", "as an admin"]


async def test_an_account_that_is_added_says_so_and_its_own_phone_is_not_heard(world: World) -> None:
    await world.start_worker()
    await world.pair("shop", OWN)
    group = world.simulator.create_group("Loja", ANA, BIA)
    await group.add(ANA, OWN)
    [joined] = await world.until(lambda s: s.group_events())
    assert joined.payload["action"] == "add"
    assert joined.payload["participants"] == [person(OWN)]
    assert (joined.payload["by"], joined.payload["group"]["subject"]) == (person(ANA), "Loja")
    await group.send(OWN, "typed on my phone")
    await group.send(ANA, "welcome")
    [welcome] = await world.until(payloads)
    assert (welcome["body"], welcome["group"]["subject"]) == ("welcome", "Loja")
    assert group.queries == 0


async def test_a_link_without_a_name_costs_changes_and_no_message(world: World) -> None:
    from wa_worker.dev.simulator.stanza import Node

    worker = await world.start_worker()
    jid = await world.pair("shop", OWN)
    group = world.simulator.create_group("Loja", ANA, BIA, OWN)
    other = Node("group", {"jid": "120363000000000001@g.us", "subject": "Outra", "s_t": "1700000000"})
    logins = world.simulator.logins[jid]
    await group.notify(ANA, Node("link", {"link_type": "cousin_group"}, [other]))
    await world.until(lambda _: world.simulator.logins[jid] > logins and world.simulator.connected(jid))
    await group.send(ANA, "still here")
    await group.notify(ANA, Node("link", {"link_type": "cousin_group"}, [other]))
    await group.rename(ANA, "unheard")
    await group.send(ANA, "and here")
    await world.until(lambda s: len(payloads(s)) == 2)
    assert world.simulator.logins[jid] == logins + 1
    assert world.proxy.store.group_events() == []
    assert [line["seconds"] for line in worker.lines if "no changes of groups" in line["event"]] == [3600.0]
