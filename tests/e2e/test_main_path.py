"""The main path through the real process: pair, CONNECTED, messages out and in, a true health answer."""

from __future__ import annotations

from tests.e2e.world import World


async def test_pair_send_receive_and_health(world: World) -> None:
    worker = await world.start_worker()
    phone, contact = "5511999990001", world.simulator.contact("5511988880002")
    jid = await world.pair("shop", phone)

    queued = [world.proxy.store.queue("shop", "+55 (11) 98888-0002", f"hello {n}") for n in range(5)]
    received = await contact.wait_received(5)
    assert [message.text for message in received] == [f"hello {n}" for n in range(5)]
    assert all(message.message.conversation for message in received)
    assert not any("bot" in message.tags for message in received)
    rows = await world.until(lambda s: _all_sent(s.messages("shop")))
    assert {row.id: row.wa_message_id for row in rows} == dict(
        zip(queued, (message.wa_id for message in received), strict=True)
    )

    sent = [await contact.send(jid, f"answer {n}", push_name="Ana") for n in range(5)]
    inbound = await world.until(lambda s: rows if len(rows := s.inbound("shop")) == 5 else None)
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


def _all_sent(rows: list) -> list | None:  # type: ignore[type-arg]
    return rows if rows and all(row.status == "sent" for row in rows) else None
