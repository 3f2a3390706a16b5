"""Kinds of content through the whole worker: what the proxy wants goes out, and nothing of any shows in a log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.world import open_world
from wa_worker.dev.proxy import Contract
from wa_worker.dev.simulator.calls import IncomingCall
from wa_worker.dev.simulator.protobufs import Message
from wa_worker.dev.simulator.stanza_types import sent_on_phone

OWN, CONTACT = "5511999990001", "5511988880002"
KEY = {"remoteJID": f"{CONTACT}@s.whatsapp.net", "ID": "3EB0FIRST"}
SENT: list[tuple[str, dict[str, Any]]] = [
    ("image", {"imageMessage": {"caption": "Olha a legenda", "fileSHA256": bytes(32), "mimetype": "image/png"}}),
    ("reaction", {"reactionMessage": {"key": KEY, "text": "\u2764"}}),
    ("edit", {"protocolMessage": {"type": 14, "key": KEY, "editedMessage": {"conversation": "Corrigido agora"}}}),
    ("revoke", {"protocolMessage": {"type": 0, "key": KEY}}),
    ("location", {"locationMessage": {"degreesLatitude": 1.5, "degreesLongitude": 2.5, "name": "Loja Centro"}}),
]


@pytest.mark.parametrize(
    ("contract", "forwarded", "told"),
    [
        (1, "", ["image", "location", "text"]),
        (1, "all", ["image", "reaction", "edit", "revoke", "location", "text", "call", "view_once", "text"]),
        (2, "edit,from_me", ["image", "edit", "location", "text", "text"]),
    ],
)
async def test_what_is_wanted_reaches_the_proxy(
    tmp_path: Path, contract: Contract, forwarded: str, told: list[str]
) -> None:
    async with open_world(tmp_path, contract=contract) as world:
        await world.start_worker(FORWARD_KINDS=forwarded)
        jid = await world.pair("shop", OWN)
        contact, phone = world.simulator.contact(CONTACT), world.simulator.contact(OWN)
        for _, fields in SENT:
            await contact.send(jid, Message(**fields))
        on_phone = sent_on_phone(contact.jid, Message(conversation="digitado no telefone"))
        await phone.send(jid, on_phone, recipient=contact.jid)
        await contact.send_placeholder(jid, "view_once")
        call = IncomingCall(contact, world.simulator.device(jid))
        call.offer()
        call.terminate("timeout")
        world.proxy.store.queue("shop", CONTACT, "do worker")
        await contact.wait_received(1)
        await world.until(lambda s: all(row.status == "sent" for row in s.messages()))
        await contact.send(jid, "Fim")
        await world.until(lambda s: any(row.body == "Fim" for row in s.inbound("shop")))
        await world.until(lambda s: len(s.inbound("shop")) >= len(told))
        found = world.proxy.store.inbound("shop")
        assert sorted(row.payload["message_type"] for row in found) == sorted(told)
        assert "do worker" not in [row.body for row in found]
