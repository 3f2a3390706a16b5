"""One fault run: a world, traffic both ways, a schedule of faults, and the account at the end.

The oracle is outside the worker: what the contacts' phones decrypted, and what `/inbound` accepted, against what was
queued and delivered. The ledger is only asked which rows it counts as uncertain.

Most contacts either write or are written to; one does both, at a human pace. whatsmeow can use a Signal key twice
when a session encrypts and decrypts in the same instant, which costs WhatsApp's own retries and, after a kill -9,
a message: that is not what this suite is about, and `unreadable` counts it.
"""

from __future__ import annotations

import random
import signal
import sqlite3
from collections import Counter, defaultdict
from contextlib import closing
from pathlib import Path

import trio

from tests.e2e.world import Worker, World, open_world
from tests.faults.account import Account
from tests.faults.field import PORTALS, STATUSES, not_utf8
from tests.faults.schedule import Incident, Trouble, from_the_field, schedule, unknown_receipts
from wa_worker.dev.proxy import Fault, Store

INSTANCES = 4
EACH_WAY = 50
"""Messages per instance and direction."""
LENGTH = 12.0
"""Seconds of faults; with pairing and recovery a run takes about 20."""
SETTLE = 90.0
"""Seconds in which everything must have arrived once the last fault is over."""


class Run:
    def __init__(self, world: World, seed: int) -> None:
        self._world = world
        self._rng = random.Random(seed)
        self._incidents = schedule(seed, LENGTH, INSTANCES)
        self._receipts = unknown_receipts(seed, LENGTH, INSTANCES)
        self._field = from_the_field(seed, LENGTH)
        self._account = Account(seed, [*self._incidents, *self._receipts, *self._field])
        self._names = [f"i{n}" for n in range(INSTANCES)]
        self._jids: dict[str, str] = {}
        self._worker: Worker
        self._texts_out: dict[str, str] = {}  # text -> instance
        self._texts_in: dict[str, tuple[str, str]] = {}  # text -> instance, contact
        self._kills = 0

    async def run(self) -> Account:
        world = self._world
        self._worker = await world.start_worker(MSG_POLL_MS="300", LOG_LEVEL="debug")
        async with trio.open_nursery() as nursery:
            for n, name in enumerate(self._names):
                nursery.start_soon(self._pair, name, f"55119990000{n:02}")
        async with trio.open_nursery() as nursery:
            for name in self._names:
                nursery.start_soon(self._write_out, name)
                nursery.start_soon(self._write_in, name)
            nursery.start_soon(self._send_receipts)
            nursery.start_soon(self._go_wrong_as_in_the_field)
            await self._go_wrong()
        await self._settle()
        self._take_account()
        return self._account

    async def _pair(self, name: str, phone: str) -> None:
        self._jids[name] = await self._world.pair(name, phone)

    def _contact_number(self, name: str, kind: str, which: int) -> str:
        return f"55118{self._names.index(name)}{'abc'.index(kind)}00{which:02}1"

    async def _write_out(self, name: str) -> None:
        for n in range(EACH_WAY):
            await trio.sleep(self._rng.uniform(0, 2 * LENGTH / EACH_WAY))
            kind, which = ("c", 0) if n % 10 == 0 else ("a", self._rng.randrange(3))
            text = f"{name} out {n}"
            self._texts_out[text] = name
            self._world.proxy.store.queue(name, self._contact_number(name, kind, which), text)
        self._account.out += EACH_WAY

    async def _write_in(self, name: str) -> None:
        for n in range(EACH_WAY):
            await trio.sleep(self._rng.uniform(0, 2 * LENGTH / EACH_WAY))
            kind, which = ("c", 0) if n % 10 == 5 else ("b", self._rng.randrange(3))
            contact = self._world.simulator.contact(self._contact_number(name, kind, which))
            text = f"{name} in {n}"
            self._texts_in[text] = (name, contact.jid)
            await contact.send(self._jids[name], text)
        self._account.inbound += EACH_WAY

    async def _go_wrong(self) -> None:
        started = trio.current_time()
        for incident in self._incidents:
            await trio.sleep_until(started + incident.at)
            await self._do(incident)
        self._world.proxy.faults.clear()
        await self._world.proxy.up()

    async def _send_receipts(self) -> None:
        started = trio.current_time()
        for incident in self._receipts:
            await trio.sleep_until(started + incident.at)
            name = self._names[incident.pick]
            contact = self._world.simulator.contact(self._contact_number(name, "a", 0))
            await contact.send_receipt(self._jids[name], "3EB0", "of-an-unknown-type")

    async def _go_wrong_as_in_the_field(self) -> None:
        started = trio.current_time()
        for incident in self._field:
            await trio.sleep_until(started + incident.at)
            await self._do_as_in_the_field(incident)

    async def _do_as_in_the_field(self, incident: Incident) -> None:
        simulator, faults, pick = self._world.simulator, self._world.proxy.faults, incident.pick
        name = self._names[pick % INSTANCES]
        jid = self._jids[name]
        match incident.trouble:
            case Trouble.PROXY_4XX:
                await self._answer_all(Fault(status=STATUSES[pick % len(STATUSES)]), incident.lasts)
            case Trouble.PORTAL:
                await self._answer_all(PORTALS[pick % len(PORTALS)], incident.lasts)
            case Trouble.UNKNOWN_BAN:
                simulator.ban_code, simulator.bans[jid] = 999, 2
                await simulator.drop(jid)
                await trio.sleep(incident.lasts)
                simulator.bans.pop(jid, None)
            case Trouble.LINE_FLAPS:
                faults.set("disconnected-instances", Fault(delay=0.5))
                for _ in range(3):
                    await simulator.drop(jid)
                    await trio.sleep(incident.lasts / 3)
                faults.clear("disconnected-instances")
            case Trouble.INVALID_BYTES:
                contact = simulator.contact(self._contact_number(name, "b", 0))
                text = f"{name} in at {incident.at:.2f} "
                self._texts_in[text + "\ufffd"] = (name, contact.jid)
                self._account.inbound += 1
                await contact.send(jid, not_utf8(text))

    async def _answer_all(self, fault: Fault, lasts: float) -> None:
        self._world.proxy.faults.set("*", fault)
        await trio.sleep(lasts)
        self._world.proxy.faults.clear("*")

    async def _do(self, incident: Incident) -> None:
        world, faults, lasts = self._world, self._world.proxy.faults, incident.lasts
        jid = self._jids[self._names[incident.pick]]
        calls: dict[Trouble, tuple[str, Fault]] = {
            Trouble.PROXY_SLOW: ("*", Fault(delay=0.3)),
            Trouble.PROXY_401: ("*", Fault(status=401)),
            Trouble.PROXY_503: ("*", Fault(status=503)),
            Trouble.PROXY_CUTS: ("*", Fault(cut=True, probability=0.33)),
            Trouble.PROXY_HANGS: ("*", Fault(hang=True)),
            Trouble.MARK_APPLIED_500: ("mark-sent", Fault(status=500, after_apply=True)),
            Trouble.INBOUND_APPLIED_500: ("inbound", Fault(status=500, after_apply=True)),
            Trouble.INBOUND_429: ("inbound", Fault(status=429, headers={"Retry-After": "1"})),
        }
        match incident.trouble:
            case trouble if trouble in calls:
                faults.set(*calls[trouble])
                await trio.sleep(lasts)
                faults.clear()
                if trouble is Trouble.PROXY_HANGS:
                    world.proxy.close_connections()  # as a load balancer would, not after our 30 s
            case Trouble.PROXY_DOWN:
                await world.proxy.down()
                await trio.sleep(lasts)
                await world.proxy.up()
            case Trouble.PROXY_FLAPS:
                for _ in range(4):
                    await world.proxy.down()
                    await trio.sleep(lasts / 8)
                    await world.proxy.up()
                    await trio.sleep(lasts / 8)
            case Trouble.SOCKETS_DROPPED:
                await world.simulator.drop_all()
            case Trouble.SOCKET_DROPPED:
                await world.simulator.drop(jid)
            case Trouble.ACKS_SWALLOWED:
                world.simulator.swallow_acks = 2
            case Trouble.WHATSAPP_REFUSES:
                world.simulator.refusing = True
                await world.simulator.drop_all()
                await trio.sleep(lasts)
                world.simulator.refusing = False
            case Trouble.KILLED:
                self._kills += 1
                await self._restart(signal.SIGKILL)
            case Trouble.TERMINATED:
                await self._restart(signal.SIGTERM)

    async def _restart(self, number: signal.Signals) -> None:
        await self._worker.stop(number)
        self._worker = await self._world.start_worker(MSG_POLL_MS="300", LOG_LEVEL="debug")

    async def _settle(self) -> None:
        """Waits until all has arrived, or nothing does any more."""
        started = trio.current_time()
        world = self._world
        world.simulator.swallow_acks = 0

        def arrived(store: Store) -> bool:
            return (
                all(m.status != "queued" for name in self._names for m in store.messages(name))
                and all(not world.simulator.pending(jid) for jid in self._jids.values())
                and sum(store.count_inbound(name) for name in self._names) >= len(self._texts_in)
            )

        with trio.move_on_after(SETTLE if not (self._kills or self._receipts) else SETTLE / 3):
            await world.proxy.wait_for(arrived)
            self._account.recovery = trio.current_time() - started
        if not self._account.recovery:  # something is missing: the journal tells whose fault it is
            self._account.recovery = trio.current_time() - started
        await trio.sleep(0.5)  # anything twice would come now
        await self._worker.stop(signal.SIGTERM)

    def _take_account(self) -> None:
        account, world = self._account, self._world
        with closing(sqlite3.connect(world.auth_dir / "@worker" / "journal.db")) as journal:
            doubts = dict(journal.execute("SELECT message_id, doubts FROM ledger WHERE doubts > 0"))
            ledger = dict(journal.execute("SELECT message_id, state FROM ledger"))
            inbox = journal.execute(
                "SELECT c.instance, c.jid, i.wa_id, i.state FROM inbox i JOIN chats c ON c.id = i.chat ORDER BY i.seq"
            ).fetchall()
        account.uncertain = sum(doubts.values())

        copies: Counter[str] = Counter()
        for name in self._names:
            for kind in "abc":
                for which in range(3):
                    contact = world.simulator.contact(self._contact_number(name, kind, which))
                    copies.update(m.text for m in contact.received)
        accepted_unread = self._unreadable(copies)
        for name in self._names:
            for row in world.proxy.store.messages(name):
                uncertain = doubts.get(str(row.id), 0)
                if row.status == "queued" or ledger.get(str(row.id)) not in ("marked", "failed"):
                    account.unfinished.append(f"{row.body}: {row.status}, {ledger.get(str(row.id))}")
                elif copies[row.body] == 0 and row.status == "sent" and row.body not in accepted_unread:
                    account.lost_out.append(row.body)
                extra = max(copies[row.body] - 1, 0)
                if extra and not uncertain:
                    account.doubled_out.append(row.body)
                account.copies_of_uncertain += min(extra, uncertain)
        account.unreadable = len(accepted_unread)

        posted = [row for name in self._names for row in world.proxy.store.inbound(name)]
        bodies = Counter(row.body for row in posted)
        account.doubled_in = [body for body, times in bodies.items() if times > 1]
        journaled = {(instance, wa_id) for instance, _, wa_id, _ in inbox}
        known = {(row.instance_id, row.wa_message_id) for row in posted}
        account.lost_in = [f"{instance} {wa_id}" for instance, wa_id in journaled - known]
        account.unfinished += [f"{i} {w} is {state}" for i, _, w, state in inbox if state != "posted"]
        gone = len(self._texts_in) - len(bodies)
        if self._kills:
            account.gone_with_a_kill = gone
        elif self._receipts:
            account.gone_with_a_receipt = gone
        elif gone:
            account.lost_in += sorted(set(self._texts_in) - set(bodies))[:5]
        journal_order: dict[tuple[str, str], list[str]] = defaultdict(list)
        for instance, chat, wa_id, _ in inbox:
            journal_order[instance, chat].append(wa_id)
        proxy_order: dict[tuple[str, str], list[str]] = defaultdict(list)
        for received in sorted(posted, key=lambda row: row.seq):
            proxy_order[received.instance_id, str(received.from_)].append(received.wa_message_id)
        account.out_of_order = [str(chat) for chat in proxy_order if proxy_order[chat] != journal_order[chat]]

    def _unreadable(self, copies: Counter[str]) -> set[str]:
        """Texts that WhatsApp accepted and the contact's phone could not read: only where it counted some."""
        unread: set[str] = set()
        for name in self._names:
            budget = sum(
                self._world.simulator.contact(self._contact_number(name, kind, which)).undecryptable
                for kind in "abc"
                for which in range(3)
            )
            missing = [
                row.body
                for row in self._world.proxy.store.messages(name)
                if row.status == "sent" and copies[row.body] == 0
            ]
            unread.update(missing[:budget])
        return unread


async def fault_run(seed: int, folder: Path) -> Account:
    """Runs one seed in a world of its own."""
    async with open_world(folder) as world:
        return await Run(world, seed).run()
