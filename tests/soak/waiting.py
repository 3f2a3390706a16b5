"""Scenarios in which a worker mostly waits: codes that nobody scans, deaf sessions, WhatsApp out of reach."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import trio

from tests.e2e.world import Worker, World, open_world
from tests.soak.measure import (
    REOPENING_DESCRIPTORS,
    REOPENING_MB,
    THREADS_KEPT,
    Meter,
    Tables,
    all_connected,
    assert_no_abort,
    died,
    holds_within,
    logged_within,
    pair_all,
)
from wa_worker.dev.proxy import Contract
from wa_worker.dev.world.qr import read_png_data_url
from wa_worker.instances.session import OFFLINE_PATIENCE
from wa_worker.states import Event

STALE = 3.0
"""Seconds for which the proxy may show a code that no client accepts any more, or none at all between two rounds."""

HOST_THREADS = 45
"""A full pairing host's: about 12 of its own, and two for each of its sixteen pairings."""

AWAY = 60.0
"""Seconds for which WhatsApp takes no connection."""
RETURN = 15.0
"""Seconds after which all must be CONNECTED again."""


class Codes:
    """What the proxy shows, looked at as often as a person could."""

    def __init__(self, world: World, names: list[str]) -> None:
        self._world = world
        self._names = names
        self.rounds: dict[str, set[str]] = defaultdict(set)
        self.longest_bad = 0.0
        """Seconds without a code that a scan would be accepted for, once there had been one."""

    async def watch(self) -> None:
        good_at: dict[str, float] = {}
        read: dict[str, str] = {}
        while True:
            now = trio.current_time()
            for name in self._names:
                row = self._world.proxy.store.instance(name)
                if row is not None and row.qr_code:
                    if row.qr_code not in read:
                        read[row.qr_code] = read_png_data_url(row.qr_code)
                    code = read[row.qr_code]
                    self.rounds[name].add(code)
                    if any(client.shows(code) for client in self._world.simulator.waiting):
                        good_at[name] = now
                self.longest_bad = max(self.longest_bad, now - good_at.get(name, now))
            await trio.sleep(0.1)


async def pairing_without_end(folder: Path, tables: Tables, contract: Contract, seconds: float) -> None:
    """Nobody scans for so long."""
    names = [f"u{n}" for n in range(4)]
    async with open_world(folder, contract=contract) as world:
        world.simulator.qr_refs = 1  # rounds of 20 s
        worker = await world.start_worker()
        for name in names:
            world.proxy.store.add_instance(name)
        codes = Codes(world, names)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(died, worker)
            nursery.start_soon(codes.watch)
            await holds_within(30, lambda: len(codes.rounds) == len(names), "a code for each")
            meter = Meter(worker)
            nursery.start_soon(meter.run, seconds / 9)
            await trio.sleep(seconds)
            nursery.cancel_scope.cancel()
        tables.add(
            f"Pairing without end: {len(names)} instances, nobody scans for {seconds:.0f} s, a round is 20 s; rounds "
            f"{sorted(len(shown) for shown in codes.rounds.values())}, "
            f"longest time without a code that works {codes.longest_bad:.1f} s",
            meter.columns,
            meter.rows,
        )
        await world.pair(names[0], "5511999990001")
        assert_no_abort(worker)
        assert all(len(shown) >= seconds / 30 for shown in codes.rounds.values()), codes.rounds
        assert codes.longest_bad <= STALE
        threads = [taken.threads for _, taken in meter.samples]
        assert max(threads) - min(threads) <= 6, threads
        first, last = meter.samples[0][1], meter.samples[-1][1]
        assert abs(last.descriptors - first.descriptors) <= 6
        assert last.rss <= first.rss + 5
        # a host goes after sixteen pairings, or when none of them is live; until then it keeps their threads
        assert all(taken.hosts <= 2 for _, taken in meter.samples)
        assert max(taken.host_threads for _, taken in meter.samples) <= 2 * HOST_THREADS


async def deaf_sessions(folder: Path, tables: Tables, contract: Contract) -> None:
    """Two ways to be deaf, and one neighbour who is not."""
    async with open_world(folder, contract=contract) as world:
        worker = await world.start_worker()
        jids = await pair_all(
            world, worker, {name: f"551199999000{n}" for n, name in enumerate(("mute", "behind", "well"))}
        )
        logins = dict(world.simulator.logins)
        contact = world.simulator.contact("5511988880002")
        rows: list[tuple[object, ...]] = []
        deaf = {"because": Event.DEAF.value}

        async def keepalives() -> None:
            world.simulator.silent.add(jids["mute"])
            noticed = await logged_within(100, worker, "retrying", instance="mute", **deaf)
            await contact.send(jids["mute"], "to the deaf")
            world.simulator.silent.discard(jids["mute"])
            back = await holds_within(30, lambda: world.simulator.logins[jids["mute"]] > logins[jids["mute"]], "login")
            back += await holds_within(30, lambda: _status(world, "mute") == "CONNECTED", "mute CONNECTED")
            rows.append(("keepalives unanswered", noticed, back))
            assert 50 <= noticed <= 85

        async def offline() -> None:
            world.simulator.skip_offline.add(jids["behind"])
            await world.simulator.drop(jids["behind"])
            await holds_within(30, lambda: world.simulator.connected(jids["behind"]), "behind logged in")
            noticed = await logged_within(OFFLINE_PATIENCE + 30, worker, "retrying", instance="behind", **deaf)
            await contact.send(jids["behind"], "to the deaf")
            world.simulator.skip_offline.discard(jids["behind"])
            back = await holds_within(
                30, lambda: world.simulator.logins[jids["behind"]] > logins[jids["behind"]] + 1, "login"
            )
            back += await holds_within(30, lambda: _status(world, "behind") == "CONNECTED", "behind CONNECTED")
            rows.append(("no end of what waited", noticed, back))
            assert OFFLINE_PATIENCE - 1 <= noticed <= OFFLINE_PATIENCE + 15

        async with trio.open_nursery() as watch:
            watch.start_soon(died, worker)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(keepalives)
                nursery.start_soon(offline)
            watch.cancel_scope.cancel()
        tables.add("Deaf sessions", ("deaf because of", "noticed after s", "CONNECTED again after s"), rows)
        for name in ("mute", "behind"):
            found = await world.until(lambda s, name=name: s.inbound(name))  # type: ignore[misc]
            assert [row.body for row in found] == ["to the deaf"]
        assert world.simulator.logins[jids["well"]] == logins[jids["well"]], "the neighbour noticed nothing"
        assert_no_abort(worker)


def _status(world: World, name: str) -> str:
    row = world.proxy.store.instance(name)
    return row.status if row else ""


class Door:
    """A way to the simulator that can be shut: then its port refuses connections, as where there is no network."""

    def __init__(self, world: World, nursery: trio.Nursery) -> None:
        self._world = world
        self._nursery = nursery
        self._open = trio.CancelScope()
        self.port = 0

    async def open(self) -> None:
        self._open = trio.CancelScope()
        await self._nursery.start(self._listen)

    def shut(self) -> None:
        self._open.cancel()

    async def _listen(self, task_status: trio.TaskStatus[None]) -> None:
        with self._open:
            listeners = await trio.open_tcp_listeners(self.port, host="127.0.0.1")
            self.port = listeners[0].socket.getsockname()[1]
            task_status.started()
            await trio.serve_listeners(self._pass, listeners)

    async def _pass(self, outer: trio.SocketStream) -> None:
        inner = await trio.open_tcp_stream("127.0.0.1", self._world.simulator.port)
        async with inner, trio.open_nursery() as nursery:

            async def pump(source: trio.SocketStream, sink: trio.SocketStream) -> None:
                with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                    async for chunk in source:
                        await sink.send_all(chunk)
                nursery.cancel_scope.cancel()

            nursery.start_soon(pump, outer, inner)
            nursery.start_soon(pump, inner, outer)


async def whatsapp_drops_connections(folder: Path, tables: Tables, contract: Contract) -> None:
    """The port answers, but nobody is behind it."""
    async with open_world(folder, contract=contract) as world:

        async def away() -> None:
            world.simulator.refusing = True
            await world.simulator.drop_all()

        async def back() -> None:
            await trio.lowlevel.checkpoint()
            world.simulator.refusing = False

        await _away(world, await world.start_worker(), "takes connections and drops them", tables, away, back)


async def whatsapp_out_of_reach(folder: Path, tables: Tables, contract: Contract) -> None:
    """No TCP connection at all."""
    async with open_world(folder, contract=contract) as world, trio.open_nursery() as nursery:
        door = Door(world, nursery)
        await door.open()

        async def away() -> None:
            await trio.lowlevel.checkpoint()
            door.shut()

        worker = await world.start_worker(HTTPS_PROXY=f"http://127.0.0.1:{door.port}")
        await _away(world, worker, "is out of reach", tables, away, door.open)
        nursery.cancel_scope.cancel()


async def _away(
    world: World,
    worker: Worker,
    how: str,
    tables: Tables,
    leave: Callable[[], Awaitable[None]],
    come_back: Callable[[], Awaitable[None]],
) -> None:
    jids = await pair_all(world, worker, {f"i{n}": f"55119999900{n:02}" for n in range(10)})
    await trio.sleep(12)
    meter = Meter(worker)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(died, worker)
        before = await meter.take()
        logins = dict(world.simulator.logins)
        await leave()
        with trio.move_on_after(AWAY):
            await meter.run(10)
        await come_back()
        took = await holds_within(
            60,
            lambda: (
                all(world.simulator.logins[jid] > logins[jid] for jid in jids.values())
                and all_connected(world, jids.values())
            ),
            "all logged in anew",
        )
        await trio.sleep(12)
        after = await meter.take()
        nursery.cancel_scope.cancel()
    tables.add(
        f"WhatsApp {how} for {AWAY:.0f} s, 10 instances: all CONNECTED {took:.1f} s after the end",
        meter.columns,
        meter.rows,
    )
    assert_no_abort(worker)
    assert took < RETURN
    assert after.threads <= before.threads + THREADS_KEPT
    # once away for longer than whatsmeow's patience, each session is closed, and opened once when there is a way
    assert after.descriptors <= before.descriptors + REOPENING_DESCRIPTORS * len(jids)
    assert after.rss <= before.rss + REOPENING_MB * len(jids) + 5
