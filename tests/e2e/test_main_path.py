"""The main path through the real process: pair, CONNECTED, messages out and in, a true health answer."""

from __future__ import annotations

import resource

from tests.e2e.world import World
from wa_worker.dev.proxy import Fault, MessageRow
from wa_worker.dev.simulator.protobufs import Message


async def test_pair_send_receive_and_health(world: World) -> None:
    worker = await world.start_worker()
    phone, contact = "5511999990001", world.simulator.contact("5511988880002")
    jid = await world.pair("shop", phone)

    queued = [world.proxy.store.queue("shop", "+55 (11) 98888-0002", f"hello {n}") for n in range(5)]
    received = await contact.wait_received(5)
    assert [message.text for message in received] == [f"hello {n}" for n in range(5)]
    assert all(message.message.conversation for message in received)
    assert not any("bot" in message.tags for message in received)
    marked = await world.until(lambda s: _all_sent(s.messages("shop")))
    assert {row.id: row.wa_message_id for row in marked} == dict(
        zip(queued, (message.wa_id for message in received), strict=True)
    )

    sent = [await contact.send(jid, f"answer {n}", push_name="Ana") for n in range(5)]
    inbound = await world.until(lambda s: rows if len(rows := s.inbound("shop")) == 5 else [])
    assert [row.body for row in inbound] == [f"answer {n}" for n in range(5)]
    assert [row.wa_message_id for row in inbound] == sent
    first = inbound[0].payload
    assert first["from"] == first["chat_id"] == first["sender_id"] == "5511988880002@s.whatsapp.net"
    assert first["to"] == f"{phone}@s.whatsapp.net"
    assert first["sender_lid"] == contact.lid
    assert (first["chat_type"], first["message_type"], first["push_name"]) == ("direct", "text", "Ana")

    connected = {"status": "ok", "instances": {"connected": 1, "connecting": 0, "reconnecting": 0}}
    assert await worker.health("/") == connected
    assert await worker.health("/health") == connected
    assert await worker.health("/elsewhere") == 404


def _all_sent(rows: list[MessageRow]) -> list[MessageRow]:
    return rows if all(row.status == "sent" for row in rows) else []


async def test_open_files_are_limited_by_the_hard_limit_only(world: World) -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(512, limits[1]), limits[1]))  # inherited by the worker
    try:
        worker = await world.start_worker()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    await worker.logged("working")
    assert resource.prlimit(worker.process.pid, resource.RLIMIT_NOFILE) == (limits[1], limits[1])


async def test_two_instances_do_not_mix(world: World) -> None:
    await world.start_worker()
    contact = world.simulator.contact("5511988880002")
    jids = {"one": await world.pair("one", "5511999990001"), "two": await world.pair("two", "5511999990002")}
    for instance in jids:
        world.proxy.store.queue_many(instance, [(contact.phone, f"{instance} {n}") for n in range(5)])
    received = await contact.wait_received(10)
    for instance, jid in jids.items():
        assert [m.text for m in received if m.from_device == jid] == [f"{instance} {n}" for n in range(5)]
    for instance, jid in jids.items():
        await contact.send(jid, f"to {instance}")
    for instance, phone in (("one", "5511999990001"), ("two", "5511999990002")):
        (row,) = await world.until(lambda s, i=instance: s.inbound(i))  # type: ignore[misc]
        assert (row.body, row.payload["to"]) == (f"to {instance}", f"{phone}@s.whatsapp.net")


async def test_a_tap_on_an_option_reaches_the_proxy_with_its_words_and_its_id(world: World) -> None:
    await world.start_worker()
    jid = await world.pair("shop", "5511999990001")
    contact = world.simulator.contact("5511988880002")
    tap = {"body": {"text": "Sim"}, "nativeFlowResponseMessage": {"name": "quick_reply", "paramsJSON": '{"id": "yes"}'}}
    await contact.send(jid, Message(interactiveResponseMessage=tap))
    await contact.send(jid, Message(listResponseMessage={"singleSelectReply": {"selectedRowID": "blue"}}))
    await contact.send(jid, Message(albumMessage={"expectedImageCount": 1}))
    await contact.send(jid, "the last")
    first, second, last = await world.until(lambda s: rows if len(rows := s.inbound("shop")) == 3 else [])
    assert (first.body, first.payload["message_type"]) == ("Sim", "text")
    assert first.payload["interactive"] == {"type": "button_reply", "button_reply": {"id": "yes", "title": "Sim"}}
    assert second.payload["interactive"] == {"type": "list_reply", "list_reply": {"id": "blue", "title": ""}}
    assert last.body == "the last"
    assert not {"interactive", "button"} & set(last.payload)


async def test_an_unsafe_instance_id_touches_nothing(world: World) -> None:
    worker = await world.start_worker()
    fault = Fault(body=b'[{"id": "../x"}, {"id": ".."}, {"id": "fine"}]')
    world.proxy.store.add_instance("fine")
    world.proxy.faults.set("disconnected-instances", fault)
    await world.qr("fine")
    await worker.logged("a listed instance is refused")
    assert sorted(path.name for path in world.auth_dir.iterdir()) == ["@worker", "fine"]
    assert not (world.folder / "x").exists()
