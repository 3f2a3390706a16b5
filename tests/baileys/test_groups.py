"""A group of the worker's instance, Baileys and somebody with a phone."""

from __future__ import annotations

from tests.baileys.conversation import WORKER_PHONE, Conversation

CONTACT = "5511988880003"


async def test_a_group_hears_both(conversation: Conversation) -> None:
    """Its members are named by number: in a group that names them by LID, this Baileys cannot write."""
    peer, simulator = conversation.peer, conversation.world.simulator
    group = simulator.create_group("Shop", CONTACT, WORKER_PHONE, peer.phone, addressing="pn")
    contact = simulator.contact(CONTACT)
    for number in range(3):
        wa_id = await conversation.send(f"offer {number}", to=group.jid)
        heard = await peer.message(wa_id)
        assert heard["content"]["conversation"] == f"offer {number}"
        assert heard["key"]["remoteJid"] == group.jid
        assert heard["key"]["participant"] == f"{WORKER_PHONE}@s.whatsapp.net"
        answer = await peer.do("text", to=group.jid, text=f"taken {number}")
        inbound = await conversation.inbound(answer)
        assert (inbound.body, inbound.payload["chat_id"], inbound.payload["sender_id"]) == (
            f"taken {number}",
            group.jid,
            peer.jid,
        )
        receipt = await peer.heard("receipt", lambda event, wa_id=answer: event["wa_id"] == wa_id)  # type: ignore[misc]
        assert receipt["chat"] == group.jid
    received = await contact.wait_received(6)
    assert [each.text for each in received] == [text for n in range(3) for text in (f"offer {n}", f"taken {n}")]
    assert contact.undecryptable == 0


async def test_in_a_group_by_lid_it_can_read(conversation: Conversation) -> None:
    peer = conversation.peer
    group = conversation.world.simulator.create_group("Shop", CONTACT, WORKER_PHONE, peer.phone)
    heard = await peer.message(await conversation.send("offer", to=group.jid))
    assert heard["content"]["conversation"] == "offer"
    assert heard["key"]["participant"] == conversation.lid


async def test_a_group_by_number_after_a_chat_by_lid(conversation: Conversation) -> None:
    """Both ways of naming people, with one who keeps their sessions apart: what it cannot read, it asks for."""
    peer, simulator = conversation.peer, conversation.world.simulator
    await peer.message(await conversation.send("direct"))
    await conversation.inbound(await peer.do("text", to=conversation.lid, text="direct, too"))
    group = simulator.create_group("Shop", CONTACT, WORKER_PHONE, peer.phone, addressing="pn")
    conversation.undecryptable = 1  # the first message, which brings the sender key
    heard = await peer.message(await conversation.send("offer", to=group.jid))
    assert heard["content"]["conversation"] == "offer"
    answer = await conversation.inbound(await peer.do("text", to=group.jid, text="taken"))
    assert (answer.body, answer.payload["chat_id"]) == ("taken", group.jid)
    heard = await peer.message(await conversation.send("another", to=group.jid))
    assert heard["content"]["conversation"] == "another"


async def test_in_a_group_what_is_about_another_message(conversation: Conversation) -> None:
    peer, simulator = conversation.peer, conversation.world.simulator
    group = simulator.create_group("Shop", CONTACT, WORKER_PHONE, peer.phone, addressing="pn")
    ours = await conversation.send("offer", to=group.jid)
    await peer.message(ours)

    reply = await conversation.inbound(await peer.do("text", to=group.jid, text="how much?", quote=ours))
    assert (reply.payload["context"]["message_id"], reply.payload["chat_id"]) == (ours, group.jid)
    reaction = await conversation.inbound(await peer.do("react", to=group.jid, of=ours, text="x"))
    assert (reaction.payload["reaction"]["message_id"], reaction.payload["sender_id"]) == (ours, peer.jid)
    edit = await conversation.inbound(await peer.do("edit", to=group.jid, of=reply.wa_message_id, text="how many?"))
    assert (edit.body, edit.payload["edit"]["message_id"]) == ("how many?", reply.wa_message_id)
    revoke = await conversation.inbound(await peer.do("delete", to=group.jid, of=reply.wa_message_id))
    assert revoke.payload["revoke"]["message_id"] == reply.wa_message_id

    quote = {"message_id": str(edit.wa_message_id), "from": peer.jid, "body": "how many?"}
    answer = (await peer.message(await conversation.send("two", to=group.jid, context=quote)))["content"]
    assert answer["extendedTextMessage"]["contextInfo"]["participant"] == peer.jid
    await conversation.send("better offer", to=group.jid, type="edit", edit={"message_id": ours})
    edited = await peer.heard("update", lambda update: update["wa_id"] == ours and "message" in update)
    assert edited["message"]["editedMessage"]["message"]["conversation"] == "better offer"
