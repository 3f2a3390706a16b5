"""Groups between the real neonize and simulated contacts: sender keys both ways, members, changes, refusals."""

import pytest
import trio

from tests.dev.simulator.conftest import Client, Clients
from tests.dev.simulator.test_messages import settled
from wa_worker.dev.simulator import Group, Simulator
from wa_worker.dev.simulator.groups import Addressing
from wa_worker.dev.simulator.protobufs import Message
from wa_worker.dev.simulator.stanza import Node

OWN = "5511999990001"
OTHER = "5511999990002"
ANA = "5511988880001"
BIA = "5511988880002"
CAI = "5511988880003"


async def write(client: Client, group: Group, text: str, session: int = 0) -> str:
    """The client sends a text to the group; returns its id."""
    await client.tell(session, send=text, to=group.jid.partition("@")[0], server="g.us")
    return str((await client.wait("sent", session, text=text))["id"])


async def refused(client: Client, group: Group, text: str) -> str:
    await client.tell(send=text, to=group.jid.partition("@")[0], server="g.us")
    return str((await client.wait("send_failed", text=text))["error"])


@pytest.mark.parametrize("addressing", ["lid", "pn"])
async def test_a_message_each_way(simulator: Simulator, clients: Clients, addressing: Addressing) -> None:
    client, [jid] = await clients.pair(OWN)
    group = simulator.create_group("Loja", ANA, BIA, OWN, addressing=addressing)
    wa_id = await group.send(ANA, "oi", attributes={"notify": "Ana"})
    heard = await client.wait("message", id=wa_id, text="oi")
    phone, lid = (ANA, "s.whatsapp.net"), (f"9{ANA}", "lid")
    assert (heard["sender"], heard["server"]) == (lid if addressing == "lid" else phone)
    assert (heard["alt"], heard["chat"]) == (phone[0] if addressing == "lid" else lid[0], group.jid)
    sent = await write(client, group, "hello")
    for contact in (simulator.contact(ANA), simulator.contact(BIA)):
        [received] = await contact.wait_received(1)
        assert (received.wa_id, received.text, received.from_device) == (sent, "hello", jid)
        assert received.attrs["to"] == group.jid
    await settled(simulator, jid)
    assert (group.queries, group.outdated) == (1, 0)


async def test_order_and_exactly_once_with_many_authors(simulator: Simulator, clients: Clients) -> None:
    client, [jid] = await clients.pair(OWN)
    group = simulator.create_group("Loja", ANA, BIA, OWN)
    for number in range(20):
        await group.send(ANA, f"a {number}")
        await group.send(BIA, f"b {number}")
        await write(client, group, f"own {number}")
    await client.wait("message", text="b 19")
    for author in ("a", "b"):
        texts = [each["text"] for each in client.said("message") if each["text"].startswith(f"{author} ")]
        assert texts == [f"{author} {number}" for number in range(20)]
    for contact in (simulator.contact(ANA), simulator.contact(BIA)):
        await contact.wait_received(20)
        assert [each.text for each in contact.received] == [f"own {number}" for number in range(20)]
        assert contact.undecryptable == 0
    await settled(simulator, jid)


async def test_a_device_that_lacks_the_sender_key_asks_for_the_message(simulator: Simulator, clients: Clients) -> None:
    client, [jid] = await clients.pair(OWN)
    group = simulator.create_group("Loja", ANA, OWN)
    first = await group.send(ANA, "first", distribute=False)
    await client.wait("undecryptable")
    await client.wait("message", id=first, text="first")
    second = await group.send(ANA, "second", distribute=False)  # the key came with the first
    await client.wait("message", id=second, text="second")
    assert len(client.said("undecryptable")) == 1
    await settled(simulator, jid)


async def test_a_phone_that_lost_the_sender_key_gets_the_message_all_the_same(
    simulator: Simulator, clients: Clients
) -> None:
    client, [jid] = await clients.pair(OWN)
    group = simulator.create_group("Loja", ANA, BIA, OWN)
    simulator.no_keys = True  # so no phone is given the key with the message
    await client.tell(send="hello", to=group.jid.partition("@")[0], server="g.us")
    await simulator.wait_for(lambda: simulator.contact(BIA).undecryptable == 1)
    simulator.no_keys = False
    sent = (await client.wait("sent"))["id"]
    for contact in (simulator.contact(ANA), simulator.contact(BIA)):
        [received] = await contact.wait_received(1)
        assert (received.wa_id, received.text, contact.undecryptable) == (sent, "hello", 1)
    assert simulator.devices[jid].accepted == {sent}


async def test_members_come_and_go(simulator: Simulator, clients: Clients) -> None:
    client, [jid] = await clients.pair(OWN)
    ana, bia, cai = (simulator.contact(phone) for phone in (ANA, BIA, CAI))
    group = simulator.create_group("Loja", ANA, BIA, OWN)
    await write(client, group, "one")
    await group.add(ANA, CAI)
    added = await client.wait("group", join=[f"9{CAI}"])
    assert added["by"] == f"9{ANA}"
    await write(client, group, "two")
    await group.remove(ANA, BIA)
    await client.wait("group", leave=[f"9{BIA}"])
    await write(client, group, "three")
    await group.send(CAI, "and I")
    await client.wait("message", text="and I")
    await cai.wait_received(2)
    await ana.wait_received(3)
    assert [each.text for each in ana.received] == ["one", "two", "three"]
    assert [each.text for each in bia.received] == ["one", "two"]
    assert [each.text for each in cai.received] == ["two", "three"]
    assert (cai.undecryptable, group.queries, group.outdated) == (0, 1, 0)
    await settled(simulator, jid)


async def test_who_was_not_told_of_a_member_hears_it_with_his_message(simulator: Simulator, clients: Clients) -> None:
    client, [jid] = await clients.pair(OWN)
    group = simulator.create_group("Loja", ANA, OWN)
    await write(client, group, "one")
    group.stale.add(jid)
    await group.add(ANA, CAI)
    await write(client, group, "two")
    [received] = await simulator.contact(CAI).wait_received(1)
    assert (received.text, simulator.contact(CAI).undecryptable, group.outdated) == ("two", 1, 1)
    await write(client, group, "three")
    await simulator.contact(CAI).wait_received(2)
    assert (simulator.contact(CAI).undecryptable, group.queries) == (1, 2)


async def test_changes(simulator: Simulator, clients: Clients) -> None:
    client, [jid] = await clients.pair(OWN)
    group = simulator.create_group("Loja", ANA, OWN)
    await group.rename(ANA, "Loja nova")
    await client.wait("group", subject="Loja nova", by=f"9{ANA}")
    await group.promote(ANA, OWN)
    await client.wait("group", promote=[f"9{OWN}"])
    await group.demote(ANA, OWN)
    await client.wait("group", demote=[f"9{OWN}"])
    await group.describe(ANA, "Das 9 as 18")
    await client.wait("group", topic="Das 9 as 18")
    await group.announce(ANA)
    await client.wait("group", announce=True)
    await group.announce(ANA, on=False)
    await client.wait("group", announce=False)
    await group.leave(ANA)
    await client.wait("group", leave=[f"9{ANA}"], by=f"9{ANA}")
    await settled(simulator, jid)


async def test_a_change_waits_for_who_is_away_and_comes_once(simulator: Simulator, clients: Clients) -> None:
    client, [jid] = await clients.pair(OWN)
    group = simulator.create_group("Loja", ANA, OWN)
    simulator.unreachable.add(jid)
    await simulator.drop(jid)
    await group.send(ANA, "before")
    await group.rename(ANA, "Loja nova")
    await group.send(ANA, "after")
    simulator.unreachable.clear()
    await client.wait("message", text="after")
    said = [each for each in client.events if each["event"] in ("message", "group")]
    texts = [each.get("text", each.get("subject")) for each in said]
    assert list(filter(None, texts)) == ["before", "Loja nova", "after"]
    await settled(simulator, jid)


async def test_an_account_that_is_added_hears_what_the_group_is(simulator: Simulator, clients: Clients) -> None:
    client, [jid] = await clients.pair(OWN)
    group = simulator.create_group("Loja", ANA)
    await group.add(ANA, OWN)
    await client.wait("joined", subject="Loja")
    await group.send(ANA, "welcome")
    await client.wait("message", text="welcome")
    await group.remove(ANA, OWN)
    await client.wait("group", leave=[f"9{OWN}"])
    await settled(simulator, jid)
    await group.send(ANA, "without you")
    assert simulator.pending(jid) == []


async def test_refusals(simulator: Simulator, clients: Clients) -> None:
    client, _ = await clients.pair(OWN)
    group, foreign = simulator.create_group("Loja", ANA, OWN), simulator.create_group("Outra", ANA)
    await group.announce(ANA)
    assert await refused(client, group, "hello") == "server returned error 420"
    assert simulator.contact(ANA).received == []
    await group.promote(ANA, OWN, tell=False)
    await write(client, group, "as an admin")
    assert await refused(client, foreign, "hi") == (
        "failed to get group members: you're not participating in that group"
    )
    await group.remove(ANA, OWN)
    await client.wait("group", leave=[f"9{OWN}"])
    assert await refused(client, group, "anybody?") == "server returned error 403"
    del simulator.groups[foreign.jid]
    assert await refused(client, foreign, "gone") == ("failed to get group members: that group does not exist")


async def test_receipts_name_the_member(simulator: Simulator, clients: Clients) -> None:
    client, [jid] = await clients.pair(OWN)
    group = simulator.create_group("Loja", ANA, BIA, OWN)
    sent = await write(client, group, "hello")
    await client.wait("receipt", ids=[sent], count=2)
    ana = simulator.contact(ANA)
    await ana.send_receipt(jid, sent, "read", group=group.jid, member=group.name_of(ANA))
    read = await client.wait("receipt", ids=[sent], type="READ")
    assert (read["chat"], read["sender"]) == (group.jid, f"9{ANA}")


async def test_the_own_phone_and_other_devices_of_the_group(simulator: Simulator, clients: Clients) -> None:
    client, [jid, other] = await clients.pair(OWN, OTHER)
    group = simulator.create_group("Loja", ANA, OWN, OTHER)
    wa_id = await group.send(OWN, "from my phone")
    own = await client.wait("message", id=wa_id, text="from my phone")
    assert (own["from_me"], own["chat"]) == (True, group.jid)
    assert not (await client.wait("message", 1, id=wa_id, text="from my phone"))["from_me"]
    sent = await write(client, group, "from a device")
    heard = await client.wait("message", 1, id=sent, text="from a device")
    assert (heard["sender"], heard["alt"], heard["chat"]) == (f"9{OWN}", OWN, group.jid)
    await settled(simulator, jid)
    await settled(simulator, other)


async def test_only_a_link_of_a_kind_without_a_name_ends_the_loop(simulator: Simulator, clients: Clients) -> None:
    """neonize has no name for it, and the field is required: what the worker has loop_end.py for."""
    client, [jid] = await clients.pair(OWN)
    group = simulator.create_group("Loja", ANA, OWN)
    named = {"jid": "120363000000000001@g.us", "subject": "Outra", "s_t": "1700000000"}
    await group.notify(ANA, Node("mystery", {"a": "1", "who": f"9{ANA}@lid"}, [Node("b", {}, b"c")]))
    await client.wait("group", unknown=["mystery"])
    for kind in ("parent_group", "sub_group", "sibling_group"):
        await group.notify(ANA, Node("link", {"link_type": kind}, [Node("group", dict(named))]))
    await client.wait("group", link=True, count=3)
    unlinked = {"unlink_type": "sub_group", "unlink_reason": "of tomorrow"}
    await group.notify(ANA, Node("unlink", unlinked, [Node("group", dict(named))]))
    await group.send(ANA, "still here")
    await client.wait("message", text="still here")
    await group.notify(ANA, Node("link", {"link_type": "cousin_group"}, [Node("group", dict(named))]))
    assert (await client.wait("ended"))["error"] == "proto: required field neonize.GroupLinkChange.Type not set"
    assert simulator.connected(jid)


async def test_a_forged_message_is_not_taken(simulator: Simulator, clients: Clients) -> None:
    client, [jid] = await clients.pair(OWN)
    group = simulator.create_group("Loja", ANA, OWN)
    await write(client, group, "one")
    keys, device = simulator.contact(ANA).group_keys.known, simulator.devices[jid]
    with trio.fail_after(5):
        await simulator.contact(ANA).wait_received(1)
    own = simulator.contact(BIA).group_keys.own(group.jid)
    keys.learn(group.jid, ("1", 1), own.distribution())
    good = own.encrypt(Message(conversation="x").SerializeToString())
    from wa_worker.dev.simulator.keys import Undecryptable

    for bad in (good[:-1] + bytes([good[-1] ^ 1]), good[:-64] + good[-64:][::-1], b"\x33" + good[2:]):
        with pytest.raises(Undecryptable):
            keys.decrypt(group.jid, ("1", 1), bad)
    with pytest.raises(Undecryptable, match="no sender key"):
        keys.decrypt(group.jid, device.address, good)
    assert Message.FromString(keys.decrypt(group.jid, ("1", 1), good)).conversation == "x"
    with pytest.raises(Undecryptable, match="read before"):
        keys.decrypt(group.jid, ("1", 1), good)
