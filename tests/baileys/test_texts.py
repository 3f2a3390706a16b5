"""Texts between a worker's instance and Baileys, and what each is told of them."""

from __future__ import annotations

from tests.baileys.conversation import WORKER_PHONE, Conversation

DELIVERED = 3
"""`DELIVERY_ACK` of WebMessageInfo.Status."""


async def test_texts_go_both_ways(conversation: Conversation) -> None:
    peer = conversation.peer
    for number in range(5):
        heard = await peer.message(await conversation.send(f"question {number}"))
        assert heard["content"]["conversation"] == f"question {number}"
        assert (heard["key"]["remoteJid"], heard["key"]["fromMe"]) == (conversation.lid, False)
        wa_id = await peer.do("text", to=heard["key"]["remoteJid"], text=f"answer {number}")
        inbound = await conversation.inbound(wa_id)
        assert inbound.body == f"answer {number}"
        assert (inbound.payload["from"], inbound.payload["sender_lid"]) == (peer.jid, peer.lid)


async def test_baileys_sees_that_its_messages_were_delivered(conversation: Conversation) -> None:
    peer = conversation.peer
    wa_id = await peer.do("text", to=conversation.lid, text="are you there?")
    await conversation.inbound(wa_id)
    worker = conversation.lid.replace("@", ":1@")  # its phone says so, too
    update = await peer.heard("update", lambda update: (update["wa_id"], update["chat"]) == (wa_id, worker))
    assert update["status"] == DELIVERED


async def test_what_was_written_while_one_side_was_away_comes_when_it_is_back(conversation: Conversation) -> None:
    peer, world = conversation.peer, conversation.world
    await peer.message(await conversation.send("before"))

    world.simulator.unreachable.add(peer.device)
    await world.simulator.drop(peer.device)
    sent = [await conversation.send(f"while away {number}") for number in range(3)]
    world.simulator.unreachable.clear()
    heard = [await peer.message(wa_id) for wa_id in sent]
    assert [(each["content"]["conversation"], each["offline"]) for each in heard] == [
        (f"while away {number}", True) for number in range(3)
    ]

    (worker,) = world.workers
    await worker.stop()
    wa_ids = [await peer.do("text", to=conversation.lid, text=f"while stopped {number}") for number in range(3)]
    await world.start_worker()
    assert [(await conversation.inbound(wa_id)).body for wa_id in wa_ids] == [f"while stopped {n}" for n in range(3)]


async def test_what_baileys_cannot_decrypt_it_asks_for_again_and_gets(conversation: Conversation) -> None:
    """It keeps the sessions of a phone number and of its LID apart, and whatsmeow does not: it writes into the one that
    Baileys has begun for the number, from the LID."""
    peer = conversation.peer
    conversation.undecryptable = 2  # whatsmeow's first answer is in the same session, its second in a new one
    wa_id = await peer.do("text", to=f"{WORKER_PHONE}@s.whatsapp.net", text="to a number")
    assert (await conversation.inbound(wa_id)).body == "to a number"
    wa_id = await conversation.send("from a LID")
    await peer.heard("undecryptable", lambda event: event["wa_id"] == wa_id)
    assert (await peer.message(wa_id))["content"]["conversation"] == "from a LID"
