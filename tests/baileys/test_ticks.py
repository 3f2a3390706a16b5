"""What each side is told of how far its messages have come."""

from __future__ import annotations

from tests.baileys.conversation import INSTANCE, Conversation
from wa_worker.dev.proxy import Store
from wa_worker.dev.proxy.rows import ReceiptRow

READ = 4
"""`READ` of WebMessageInfo.Status."""


async def told(conversation: Conversation, wa_id: str, status: str) -> ReceiptRow:
    """Waits until the proxy has been told this of a message of the worker's."""

    def row(store: Store) -> ReceiptRow | None:
        rows = store.receipts(INSTANCE, wa_id)
        return next((each for each in rows if each.status == status), None)

    return await conversation.world.until(row)


async def test_the_proxy_is_told_when_baileys_has_a_message_and_when_it_was_read(conversation: Conversation) -> None:
    peer, simulator = conversation.peer, conversation.world.simulator
    simulator.no_receipts = {peer.phone}  # its phone would say the same
    wa_id = await conversation.send("are you there?")
    await peer.message(wa_id)
    delivered = await told(conversation, wa_id, "delivered")
    assert delivered.read_at is None
    await peer.do("read", of=wa_id)
    read = await told(conversation, wa_id, "read")
    assert read.delivered_at == delivered.delivered_at
    assert {delivered.recipient_id, read.recipient_id} <= {peer.jid, peer.lid}


async def test_baileys_sees_that_its_message_was_read_once_the_proxy_has_it(conversation: Conversation) -> None:
    peer = conversation.peer
    wa_id = await peer.do("text", to=conversation.lid, text="are you there?")
    await conversation.inbound(wa_id)
    await peer.heard("update", lambda update: update["wa_id"] == wa_id and update.get("status") == READ)
