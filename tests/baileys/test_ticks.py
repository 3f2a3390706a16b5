"""What each side is told of how far its messages have come."""

from __future__ import annotations

import pytest

from tests.baileys.conversation import INSTANCE, Conversation
from wa_worker.dev.proxy import Store
from wa_worker.dev.proxy.rows import ReceiptRow

pytestmark = pytest.mark.baileys


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
    await peer.do("played", of=wa_id)
    played = await told(conversation, wa_id, "played")
    assert played.read_at == read.read_at
    assert {delivered.recipient_id, read.recipient_id, played.recipient_id} <= {peer.jid, peer.lid}
