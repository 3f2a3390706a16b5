"""Messages both ways for all instances of a cluster, and the account of them at the end."""

from __future__ import annotations

from collections import Counter

import attrs
import trio

from tests.cluster.cluster import Cluster
from wa_worker.dev.proxy import Store

PATIENCE = 120.0
"""Seconds until all that was written has arrived, on a busy machine."""


@attrs.define
class Account:
    """Says what became of the messages. All but the last two should be empty or 0."""

    lost_out: list[str] = attrs.Factory(list)
    doubled_out: list[str] = attrs.Factory(list)
    """Second copies of messages that were never uncertain."""
    out_of_order: list[str] = attrs.Factory(list)
    lost_in: list[str] = attrs.Factory(list)
    """Of those that the journal had."""
    doubled_in: list[str] = attrs.Factory(list)
    copies_of_uncertain: int = 0
    gone_in: list[str] = attrs.Factory(list)
    """What a kill -9 caught within the library: it was acknowledged, and in no journal."""

    def check(self, *, killed: bool = False) -> None:
        """Asserts that all is well. killed: whether a process was, so that some may be gone."""
        found = attrs.asdict(self, filter=lambda field, _: field.name not in ("copies_of_uncertain", "gone_in"))
        assert not any(found.values()), self
        assert killed or not self.gone_in, self


class Traffic:
    """Writes to and from each instance, `rate` messages a second each way in all.

    Each instance has a contact that writes and another that is written to: whatsmeow can use a Signal key twice when a
    session sends to and hears from the same one in the same instant (docs/delivery.md).
    """

    def __init__(self, cluster: Cluster, names: list[str], rate: float = 10.0) -> None:
        self._cluster = cluster
        self._pause = len(names) / rate
        self._over = trio.Event()
        self._ended = trio.Event()
        self.names = names
        self.rounds = 0
        simulator = cluster.world.simulator
        self._writers = {name: simulator.contact(f"55119888{n:05}") for n, name in enumerate(names)}
        self._readers = {name: simulator.contact(f"55119777{n:05}") for n, name in enumerate(names)}

    async def run(self) -> None:
        """Writes until `end()`."""
        world = self._cluster.world
        while not self._over.is_set():
            for name in self.names:
                world.proxy.store.queue(name, self._readers[name].phone, f"out {name} {self.rounds}")
                await self._writers[name].send(world.jids[name], f"in {name} {self.rounds}")
            self.rounds += 1
            with trio.move_on_after(self._pause):
                await self._over.wait()
        self._ended.set()

    def pause(self) -> None:
        """Ends the writing."""
        self._over.set()

    async def end(self) -> Account:
        """Ends the writing, waits until all has arrived that can, and says what became of it.

        What a session could not decrypt because its store was gone WhatsApp delivers again: so its mailboxes are empty,
        too.
        """
        self.pause()
        await self._ended.wait()
        with trio.fail_after(PATIENCE):
            await self._cluster.world.proxy.wait_for(self._settled)
            while not (self._fetched() and await trio.to_thread.run_sync(self._quiet)):  # noqa: ASYNC110
                await trio.sleep(0.2)
        return self._account()

    def _settled(self, store: Store) -> bool:
        return all(row.status != "queued" for row in store.messages())

    def _fetched(self) -> bool:
        world = self._cluster.world
        return not any(world.simulator.pending(world.jids[name]) for name in self.names)

    def _quiet(self) -> bool:
        """Says whether the journal has nothing left to deliver or to send."""
        return not self._cluster.one(
            "SELECT (SELECT count(*) FROM wa.inbox WHERE state = 'pending')"
            " + (SELECT count(*) FROM wa.ledger WHERE state NOT IN ('marked', 'failed'))"
        )

    def _account(self) -> Account:
        account, store = Account(), self._cluster.world.proxy.store
        doubts: dict[str, int] = dict(self._cluster.rows("SELECT message_id, doubts FROM wa.ledger"))
        uncertain = {row.body: doubts.get(str(row.id), 0) for row in store.messages()}
        for name, contact in self._readers.items():
            wanted = [f"out {name} {n}" for n in range(self.rounds)]
            received = [message.text for message in contact.received]
            copies = Counter(received)
            account.lost_out += [text for text in wanted if not copies[text]]
            for text, times in copies.items():
                account.copies_of_uncertain += min(times - 1, uncertain.get(text, 0))
                account.doubled_out += [text] * max(times - 1 - uncertain.get(text, 0), 0)
            firsts = list(dict.fromkeys(received))
            account.out_of_order += [text for text, other in zip(firsts, wanted, strict=False) if text != other][:3]
            posted = Counter(row.body for row in store.inbound(name))
            account.doubled_in += [body for body, times in posted.items() if times > 1]
            account.gone_in += [f"in {name} {n}" for n in range(self.rounds) if f"in {name} {n}" not in posted]
        journaled = set(self._cluster.rows(_JOURNALED))
        account.lost_in = sorted(map(str, journaled - {(r.instance_id, r.wa_message_id) for r in store.inbound()}))
        return account


_JOURNALED = "SELECT c.instance, i.wa_id FROM wa.inbox i JOIN wa.chats c ON c.id = i.chat"
