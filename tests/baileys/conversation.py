"""Two linked accounts that write to each other: a worker's instance, and one that runs on Baileys.

At its end nothing may have been undecryptable anywhere, no message key used twice, and Baileys in no trouble, but for
what a test expects.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs

from tests.baileys.ciphertexts import Ciphertexts
from tests.baileys.peer import Peer, open_peer, prepare
from tests.e2e.world import World, open_world
from wa_worker.dev.proxy import InboundRow, MessageId, MessageRow, Store
from wa_worker.dev.simulator.stanza import lid_of

INSTANCE = "shop"
WORKER_PHONE = "5511999990001"
PEER_PHONE = "5511988880002"
SETTINGS = {"MEDIA_ALLOW_PRIVATE": "1", "FORWARD_KINDS": "all", "SEND_READ_RECEIPTS": "1"}
"""The links of files are of this machine, each kind of content is wanted, and what came is marked as read."""


@attrs.define
class Conversation:
    """`lid` is the worker's account as Baileys writes to it."""

    world: World
    peer: Peer
    ciphertexts: Ciphertexts
    undecryptable: int = 0
    """How many messages a test expects that somebody could not decrypt at first."""

    @property
    def lid(self) -> str:
        return lid_of(f"{WORKER_PHONE}@s.whatsapp.net")

    async def send(self, body: str = "", *, to: str = "", **row: Any) -> str:
        """The worker sends a row, to Baileys if not `to` another; returns the message's id, once it is sent."""
        fields = {"body": body, **row} if body else row
        number = self.world.proxy.store.queue_row(INSTANCE, to or self.peer.phone, **fields)
        sent = await self.world.until(lambda store: _sent(store, number))
        assert sent.wa_message_id is not None
        return sent.wa_message_id

    async def inbound(self, wa_id: str) -> InboundRow:
        """Waits until the worker has handed this message in."""
        return await self.world.until(lambda store: _inbound(store, wa_id))

    def check(self) -> None:
        simulator = self.world.simulator
        phones = [simulator.contact(phone) for phone in (WORKER_PHONE, self.peer.phone)]
        assert self.peer.all("trouble") == []
        assert simulator.faults == []
        assert self.ciphertexts.used_twice == 0
        assert sum(self.ciphertexts.keys.values()), "no message went from one linked device to another"
        assert len(self.peer.all("undecryptable")) + sum(phone.undecryptable for phone in phones) == self.undecryptable


@asynccontextmanager
async def open_conversation(installation: Path, folder: Path) -> AsyncIterator[Conversation]:
    """Opens both accounts, connected. The worker is a process, and its proxy speaks version 2."""
    async with open_world(folder, contract=2) as world:
        prepare(world.simulator, installation)
        ciphertexts = Ciphertexts()
        world.simulator.on_relay = ciphertexts.take
        await world.start_worker(**SETTINGS)
        await world.pair(INSTANCE, WORKER_PHONE)
        async with open_peer(world.simulator, installation, folder, PEER_PHONE) as peer:
            conversation = Conversation(world, peer, ciphertexts)
            yield conversation
            conversation.check()


def _sent(store: Store, number: MessageId) -> MessageRow | None:
    """Returns the row, if it was sent. Raises AssertionError if it has failed."""
    (row,) = (row for row in store.messages(INSTANCE) if row.id == number)
    assert row.status != "failed", row.error
    return row if row.status == "sent" else None


def _inbound(store: Store, wa_id: str) -> InboundRow | None:
    return next((row for row in store.inbound(INSTANCE) if row.wa_message_id == wa_id), None)
