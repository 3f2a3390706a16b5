"""One fault run: a world, traffic both ways, a schedule of faults, and the account at the end (oracle.py)."""

from __future__ import annotations

import signal
from pathlib import Path

import trio

from tests.e2e.world import Worker, World, open_world
from tests.faults.account import Account
from tests.faults.changes import ChangeTraffic, ReceiptWatch, not_ours
from tests.faults.files import FileTraffic, damaged_out, files_in
from tests.faults.misbehaviour import faults_of, media_host_of
from tests.faults.oracle import settled, take_account
from tests.faults.schedule import (
    FILES,
    Contract,
    Incident,
    Trouble,
    flips,
    from_the_field,
    of_files,
    of_version_2,
    schedule,
    unknown_receipts,
)
from tests.faults.traffic import Traffic
from tests.link_host import Answer, LinkHost, open_link_host
from wa_worker.dev.proxy import Fault, Store
from wa_worker.dev.simulator.media_host import Behaviour
from wa_worker.edge.evidence import LIST

INSTANCES = 4
LENGTH = 12.0
"""Seconds of faults; with pairing and recovery a run takes about 20."""
SETTINGS = {"MSG_POLL_MS": "300", "LOG_LEVEL": "debug", "MEDIA_ALLOW_PRIVATE": "1", "FORWARD_KINDS": "all"}
_LINKS = {Trouble.LINKS_503: Answer(status=503), Trouble.LINKS_CUT: Answer(bytes(500), declared=100_000)}
SETTLE = 90.0
"""Seconds in which everything must have arrived once the last fault is over."""
IN_VAIN = 30.0
"""The same, for messages in, where some may have been caught in the library: those never arrive."""


class Run:
    def __init__(self, world: World, seed: int, contract: Contract, links: LinkHost) -> None:
        self._world = world
        self._seed = seed
        self._contract = contract
        self._incidents = schedule(seed, LENGTH, INSTANCES)
        self._receipts = unknown_receipts(seed, LENGTH, INSTANCES)
        self._field = from_the_field(seed, LENGTH)
        self._of_version_2 = of_version_2(seed, LENGTH) if contract != "1" else []
        self._of_files = of_files(seed, LENGTH)
        incidents = [*self._incidents, *self._receipts, *self._field, *self._of_version_2, *self._of_files]
        self._account = Account(seed, contract, incidents)
        self._names = [f"i{n}" for n in range(INSTANCES)]
        self._traffic = Traffic(world, seed, self._names, LENGTH)
        self._files = FileTraffic(world, self._traffic, links, seed, LENGTH)
        self._changes = ChangeTraffic(world, self._traffic, seed, LENGTH)
        self._receipts_seen = ReceiptWatch()
        self._links = links
        self._worker: Worker
        self._kills = 0

    async def run(self) -> Account:
        account, world = self._account, self._world
        self._worker = await world.start_worker(**SETTINGS)
        async with trio.open_nursery() as nursery:
            for n, name in enumerate(self._names):
                nursery.start_soon(world.pair, name, f"55119990000{n:02}")
        self._changes.read_what_comes()
        async with trio.open_nursery() as flipping:
            flipping.start_soon(world.proxy.wait_for, self._receipts_seen.look)
            if self._contract == "flips":
                flipping.start_soon(self._flip)
            async with trio.open_nursery() as nursery:
                for name in self._names:
                    nursery.start_soon(self._traffic.write_out, name)
                    nursery.start_soon(self._traffic.write_in, name)
                    nursery.start_soon(self._files.write_out, name)
                    nursery.start_soon(self._files.write_in, name)
                    nursery.start_soon(self._changes.write_in, name)
                for incidents in (self._receipts, self._field, self._of_version_2, self._of_files):
                    nursery.start_soon(self._go_wrong, incidents)
                await self._go_wrong(self._incidents)
            world.proxy.faults.clear()
            self._all_hosts_work()
            await self._settle()
            flipping.cancel_scope.cancel()
        await self._worker.stop(signal.SIGTERM)
        account.out, account.inbound = self._traffic.out, len(self._traffic.inbound)
        account.calls = world.proxy.store.requests.total()
        account.calls_of_version_2 = sum(world.proxy.store.requests[call] for call in ("poll", "events"))
        account.files = len(self._files.queued) + len(self._files.written)
        account.damaged_files += damaged_out(self._traffic, self._files)
        receipts = world.proxy.store.receipts()
        account.receipts, account.receipts_back = len(receipts), self._receipts_seen.back
        account.receipts_not_ours = not_ours(receipts, self._traffic)
        files_in(account, world, self._traffic, self._files)
        take_account(account, world, self._traffic, killed=self._kills > 0, unknown_receipts=bool(self._receipts))
        return account

    async def _flip(self) -> None:
        """Changes the version again and again. Of version 2 a worker would hear ten minutes later: so it comes as a
        deploy does, with a call that fails, after which a worker asks anew."""
        proxy, account = self._world.proxy, self._account
        requests, asked_by = proxy.store.requests, {1: LIST, 2: "poll"}
        announcement = Fault(status=503, times=1)
        for pause in flips(self._seed):
            before = requests[asked_by[proxy.contract]]
            await trio.sleep(pause)
            account.followed += requests[asked_by[proxy.contract]] > before
            account.flips += 1
            proxy.contract = 1 if proxy.contract == 2 else 2
            if proxy.contract == 2 and LIST not in proxy.faults.in_force():
                proxy.faults.set(LIST, announcement)
            elif proxy.contract == 1 and proxy.faults.in_force().get(LIST) is announcement:
                proxy.faults.clear(LIST)

    async def _go_wrong(self, incidents: list[Incident]) -> None:
        started = trio.current_time()
        for incident in incidents:
            await trio.sleep_until(started + incident.at)
            await self._do(incident)

    async def _do(self, incident: Incident) -> None:
        """Lets an incident happen. What an endpoint has for a fault is that of the last one that has begun."""
        world, lasts = self._world, incident.lasts
        name = self._names[incident.pick % INSTANCES]
        jid = world.jids[name]
        faults = faults_of(incident, self._contract)
        for endpoint, fault in faults.items():
            world.proxy.faults.set(endpoint, fault)
        match incident.trouble:
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
            case Trouble.UNKNOWN_RECEIPT:
                await self._traffic.contact(name, "a", 0).send_receipt(jid, "3EB0", "of-an-unknown-type")
            case Trouble.UNKNOWN_BAN:
                world.simulator.ban_code, world.simulator.bans[jid] = 999, 2
                await world.simulator.drop(jid)
                await trio.sleep(lasts)
                world.simulator.bans.pop(jid, None)
            case Trouble.LINE_FLAPS:
                for _ in range(3):
                    await world.simulator.drop(jid)
                    await trio.sleep(lasts / 3)
            case trouble if trouble in FILES:
                world.simulator.media.all = media_host_of(incident)
                world.simulator.media.uploads.status = 503 if trouble is Trouble.MEDIA_HOST_TAKES_NONE else None
                self._links.all = _LINKS.get(trouble)
                await trio.sleep(lasts)
                self._all_hosts_work()
            case Trouble.INVALID_BYTES:
                await self._traffic.write_invalid_bytes(name, incident.at)
            case _:
                await trio.sleep(lasts)
        for endpoint, fault in faults.items():
            if world.proxy.faults.in_force().get(endpoint) is fault:
                world.proxy.faults.clear(endpoint)
        if incident.trouble is Trouble.PROXY_HANGS:
            world.proxy.close_connections()  # as a load balancer would, not after our 30 s

    def _all_hosts_work(self) -> None:
        self._world.simulator.media.all, self._world.simulator.media.uploads.status = Behaviour(), None
        self._links.all = None

    async def _restart(self, number: signal.Signals) -> None:
        await self._worker.stop(number)
        self._worker = await self._world.start_worker(**SETTINGS)

    async def _settle(self) -> None:
        """Waits until all has arrived, or nothing does any more."""
        started = trio.current_time()
        world, names = self._world, self._names
        world.simulator.swallow_acks = 0

        def all_went_out(store: Store) -> bool:
            return all(m.status != "queued" for name in names for m in store.messages(name))

        def all_came_in(store: Store) -> bool:
            return all(not world.simulator.pending(world.jids[name]) for name in names) and (
                sum(store.count_inbound(name) for name in names) >= len(self._traffic.inbound)
            )

        with trio.move_on_after(SETTLE) as patience:
            await world.proxy.wait_for(all_went_out)
            if self._kills or self._receipts:
                patience.deadline = trio.current_time() + IN_VAIN
            await world.proxy.wait_for(all_came_in)
        self._account.recovery = trio.current_time() - started
        with trio.move_on_after(SETTLE):
            # an answer that said it was not so had to be told once more
            while not await trio.to_thread.run_sync(settled, world):  # noqa: ASYNC110 - nothing tells
                await trio.sleep(0.1)
        await trio.sleep(0.5)  # anything twice would come now


async def fault_run(seed: int, contract: Contract, folder: Path) -> Account:
    """Runs one seed in a world of its own."""
    async with open_link_host() as links, open_world(folder, contract=2 if contract == "2" else 1) as world:
        return await Run(world, seed, contract, links).run()
