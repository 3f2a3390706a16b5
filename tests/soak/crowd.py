"""Many at once: forty unpaired instances, a hundred paired ones that boot twenty times, and an abort in mid-traffic."""

from __future__ import annotations

import random
import signal
from pathlib import Path

import trio

from tests.e2e.world import Worker, World, open_world
from tests.soak.measure import (
    Sample,
    Tables,
    all_connected,
    assert_no_abort,
    died,
    holds_within,
    pair_all,
    sample,
    take_account,
)
from wa_worker.dev.proxy import Contract
from wa_worker.dev.world.qr import read_png_data_url

UNPAIRED = 40
QR_WITHIN = 30.0

PAIRED = 100
BOOTS = 20
TALKING = 20
"""Instances that have messages queued while a boot is under way."""


async def unpaired(folder: Path, tables: Tables, contract: Contract) -> None:
    async with open_world(folder, contract=contract) as world:
        alone = await world.start_worker()
        await trio.sleep(3)
        empty = await sample(alone)
        names = [f"u{n:02}" for n in range(UNPAIRED)]
        began = trio.current_time()
        for name in names:
            world.proxy.store.add_instance(name)
        first = await holds_within(
            QR_WITHIN, lambda: any(row.qr_code for row in world.proxy.store.instances()), "the first code"
        )
        await holds_within(
            QR_WITHIN, lambda: all(row.qr_code for row in world.proxy.store.instances()), "a code for each"
        )
        took = trio.current_time() - began
        shown = [read_png_data_url(row.qr_code) for row in world.proxy.store.instances() if row.qr_code]
        works = [any(client.shows(code) for client in world.simulator.waiting) for code in shown]
        await trio.sleep(5)
        waiting = await sample(alone)
        seconds = await alone.stop()
        tables.add(
            f"{UNPAIRED} unpaired instances listed at once: the first code after {first:.1f} s, all after "
            f"{took:.1f} s; then SIGTERM took {seconds:.1f} s",
            ("", *Sample.COLUMNS),
            [("no instance", *empty.row), (f"{UNPAIRED} codes shown", *waiting.row)],
        )
        assert_no_abort(alone)
        assert all(works)
        assert len(set(shown)) == UNPAIRED
        assert took <= QR_WITHIN
        assert alone.process.returncode == 0
        assert waiting.hosts == 3, "sixteen a host"
        assert waiting.pss + waiting.host_pss < 350, "fits a host of 1 GB with room for the paired"


class Boots:
    def __init__(self, world: World, seed: int) -> None:
        self._world = world
        self._rng = random.Random(seed)
        self._jids: dict[str, str] = {}
        self._queued = 0
        self.rows: list[tuple[object, ...]] = []

    async def run(self) -> None:
        world = self._world
        worker = await world.start_worker(MSG_POLL_MS="2000")
        began = trio.current_time()
        self._jids = await pair_all(world, worker, {f"i{n:03}": f"55119990{n:05}" for n in range(PAIRED)})
        print(f"{PAIRED} paired in {trio.current_time() - began:.0f} s", flush=True)
        await worker.stop()
        assert worker.process.returncode == 0
        for boot in range(1, BOOTS + 1):
            await self._boot(boot, signal.SIGKILL if boot % 4 == 0 else signal.SIGTERM)

    async def _boot(self, boot: int, ending: signal.Signals) -> None:
        world, jids = self._world, self._jids
        logins = dict(world.simulator.logins)
        self._queue()  # they are sent while the others still start
        began = trio.current_time()
        worker = await world.start_worker(MSG_POLL_MS="1000")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(died, worker)
            await holds_within(
                60,
                lambda: (
                    all(world.simulator.logins[jid] > logins[jid] for jid in jids.values())
                    and all_connected(world, jids.values())
                ),
                f"boot {boot}: all logged in anew",
            )
            took = trio.current_time() - began
            if boot == BOOTS:
                await self._talk(worker)
            counts = (await worker.health())["instances"]
            measured = await sample(worker)
            self._queue()  # and these while they stop
            await trio.sleep(self._rng.uniform(0, 1.5))
            nursery.cancel_scope.cancel()
        assert counts == {"connected": PAIRED, "connecting": 0, "reconnecting": 0}
        stopped = await worker.stop(ending)
        assert_no_abort(worker)
        if ending is signal.SIGTERM:
            assert worker.process.returncode == 0
            assert stopped < 10
            assert not any("too long" in str(line.get("event")) for line in worker.lines)
            assert {row.status for row in world.proxy.store.instances()} == {"DISCONNECTED"}
        self.rows.append((boot, took, ending.name, stopped, *measured.row[:4]))

    def _queue(self) -> None:
        for name in self._rng.sample(sorted(self._jids), TALKING):
            self._queued += 1
            self._world.proxy.store.queue(name, _contact(name), f"{name} out {self._queued}")

    async def _talk(self, worker: Worker) -> None:
        """The last boot: all hundred send and receive."""
        for name, jid in self._jids.items():
            self._world.proxy.store.queue(name, _contact(name), f"{name} says goodbye")
            await self._world.simulator.contact(f"55118{_contact(name)[5:]}").send(jid, f"to {name}")
        store = self._world.proxy.store
        await holds_within(
            60,
            lambda: not store.count_messages("queued") and all(store.count_inbound(name) for name in self._jids),
            "all talk",
        )
        assert worker.process.returncode is None


def _contact(name: str) -> str:
    return f"551170000{int(name[1:]):04}"


async def boots(folder: Path, tables: Tables, contract: Contract, seed: int) -> None:
    async with open_world(folder, contract=contract) as world:
        run = Boots(world, seed)
        await run.run()
        # what was queued as the last one stopped
        last = await world.start_worker(MSG_POLL_MS="1000")
        await holds_within(60, lambda: not world.proxy.store.count_messages("queued"), "the rest is sent")
        await last.stop()
        account = take_account(world, [_contact(f"i{n:03}") for n in range(PAIRED)])
        tables.add(
            f"{BOOTS} boots of {PAIRED} paired instances, {TALKING} messages queued before and after each "
            f"({account.out} out, {account.doubts} doubts, {account.unreadable} unreadable)",
            ("boot", "all CONNECTED s", "ended by", "in s", *Sample.COLUMNS[:4]),
            run.rows,
        )
        assert not account.broken, account.broken


async def abort_in_mid_traffic(folder: Path, tables: Tables, contract: Contract) -> None:
    """The library's own way to end a process cannot be caught; the next start must make up for it."""
    names = [f"i{n}" for n in range(4)]
    async with open_world(folder, contract=contract) as world:
        worker = await world.start_worker()
        jids = await pair_all(world, worker, {name: f"551199999000{n}" for n, name in enumerate(names)})
        sent_in = 0

        async def talk(name: str) -> None:
            nonlocal sent_in
            contact = world.simulator.contact(f"551188888000{name[1:]}")
            for n in range(60):
                world.proxy.store.queue(name, f"551177777000{name[1:]}", f"{name} out {n}")
                await contact.send(jids[name], f"{name} in {n}")
                sent_in += 1
                await trio.sleep(0.05)

        logins = dict(world.simulator.logins)
        async with trio.open_nursery() as nursery:
            for name in names:
                nursery.start_soon(talk, name)
            await holds_within(30, lambda: world.proxy.store.count_messages("sent") > 40, "traffic")
            waiting = world.proxy.store.count_messages("queued")
            await worker.stop(signal.SIGABRT)
            assert worker.process.returncode not in (None, 0), "it died of it"
            began = trio.current_time()
            worker = await world.start_worker()  # as the container host does
            await holds_within(
                30,
                lambda: (
                    all(world.simulator.logins[jid] > logins[jid] for jid in jids.values())
                    and all_connected(world, jids.values())
                ),
                "all are back",
            )
            back = trio.current_time() - began
        store = world.proxy.store
        await holds_within(60, lambda: not store.count_messages("queued"), "all sent")
        await holds_within(60, lambda: not any(map(world.simulator.pending, jids.values())), "all received")
        await holds_within(60, lambda: sum(map(store.count_inbound, names)) >= sent_in, "all handed in")
        await trio.sleep(2)  # anything twice would come now
        await worker.stop()
        account = take_account(world, [f"551177777000{n}" for n in range(4)])
        tables.add(
            "Aborted in mid-traffic, 4 instances",
            ("queued then", "all CONNECTED s", "out", "in sent", "in accepted", "doubts", "unreadable"),
            [(waiting, back, account.out, sent_in, account.inbound, account.doubts, account.unreadable)],
        )
        assert waiting, "there was traffic to abort"
        assert not account.broken, account.broken
