"""The edits, reactions and read receipts of a fault run, all from contacts, and what became of the receipts.

An edit and a reaction are messages like others: each is in the account of what came in, known by its target and by what
it says. A receipt is told once by WhatsApp and may be lost with a line or a worker; what is promised is that the proxy
hears of none of a message that the worker did not send, and of none that is behind one that it has heard of.
"""

from __future__ import annotations

import random

import attrs
import trio

from tests.e2e.world import World
from tests.faults.traffic import Traffic
from tests.known_by import edit_of, edited, reacted, reaction_to
from wa_worker.dev.proxy import ReceiptRow, Store
from wa_worker.dev.proxy.rows import RECEIPTS
from wa_worker.dev.simulator.contact import Contact, Received
from wa_worker.dev.simulator.protobufs import Message

CHANGES = 4
"""Edits per instance, and as many reactions."""

READ = 0.6
"""The share of messages that contacts read, and tell so."""

FOREIGN = "3EB0F0E1D2C3B4A59687"
"""The id of a message that nobody has sent."""


class ChangeTraffic:
    """Changes some of what contacts wrote, over `length` seconds; the changes count among the messages of `traffic`."""

    def __init__(self, world: World, traffic: Traffic, seed: int, length: float) -> None:
        self._world = world
        self._traffic = traffic
        self._rng = random.Random(f"changes {seed}")
        self._pause = 2 * length / CHANGES / 3

    async def write_in(self, name: str) -> None:
        for n in range(CHANGES):
            contact = self._traffic.contact(name, "b", self._rng.randrange(3))
            first = f"{name} to be changed {n}"
            wa_id = await self._send(name, contact, first, first)
            after = f"{name} changed {n}"
            await self._send(name, contact, Message(**edited(contact.jid, wa_id, after)), edit_of(wa_id, after))
            emoji = self._rng.choice("\u2764\u270c\u2714")
            message = Message(**reacted(contact.jid, wa_id, emoji))
            await self._send(name, contact, message, reaction_to(wa_id, emoji))

    async def _send(self, name: str, contact: Contact, content: object, known_by: str) -> str:
        await trio.sleep(self._rng.uniform(0, self._pause))
        self._traffic.inbound.add(known_by)
        return await contact.send(self._world.jids[name], content)

    def read_what_comes(self) -> None:
        """Makes contacts read messages, some before they say that they have them, and some that nobody has sent."""
        for name in self._traffic.names:
            for contact in self._traffic.contacts(name):
                contact.on_message = _Reader(contact, self._rng).reads


@attrs.frozen
class _Reader:
    contact: Contact
    rng: random.Random

    async def reads(self, received: Received) -> None:
        await trio.sleep(self.rng.uniform(0, 0.5))
        if self.rng.random() < READ:
            words = self.rng.choice((["read"], ["read", None], ["played", "read"], ["read", "played"]))
            for word in words:
                await self.contact.send_receipt(received.from_device, received.wa_id, word)
        if self.rng.random() < 0.1:
            await self.contact.send_receipt(received.from_device, FOREIGN, "read")


@attrs.define
class ReceiptWatch:
    """Looks at what the proxy has heard of messages, each time that it may have heard something."""

    _seen: dict[tuple[str, ...], str] = attrs.Factory(dict)
    _calls: int = -1
    back: list[str] = attrs.Factory(list)
    """Those that were told of when one that is further had been."""

    def look(self, store: Store) -> None:
        """Returns nothing: as a condition, it never holds."""
        calls = store.requests["events"] + store.requests["message-status"]
        if calls != self._calls:
            self._calls = calls
            self.take(store.receipts())

    def take(self, rows: list[ReceiptRow]) -> None:
        for row in rows:
            key = (row.instance_id, row.chat, row.wa_message_id, row.recipient_id)
            told = [status for status in RECEIPTS if getattr(row, f"{status}_at") is not None]
            before = self._seen.get(key, "").split()
            furthest = max(map(RECEIPTS.index, before), default=-1)
            for status in told:
                if status not in before and RECEIPTS.index(status) < furthest:
                    self.back.append(f"{row.wa_message_id}: {status} after {before}")
            self._seen[key] = " ".join(told)


def not_ours(rows: list[ReceiptRow], traffic: Traffic) -> list[str]:
    """The messages of which the proxy has heard though no contact got them from the worker."""
    got = {m.wa_id for name in traffic.names for contact in traffic.contacts(name) for m in contact.received}
    return sorted({row.wa_message_id for row in rows} - got)
