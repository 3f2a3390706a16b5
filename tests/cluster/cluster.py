"""Several workers, one PostgreSQL, one proxy, one simulated WhatsApp: each worker with a disk and lines of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import psycopg
import trio

from tests.cluster.link import Link, keep_link
from tests.e2e.world import Worker, World, open_world
from wa_worker.postgres.connecting import connect
from wa_worker.postgres.url import StateUrl

SCANNING = 12
"""Phones that scan a code at the same time: a code has an end."""


@attrs.define(eq=False)
class Member:
    """Holds one worker and its lines: to PostgreSQL, to WhatsApp and to the proxy."""

    name: str
    worker: Worker
    link: Link
    to_whatsapp: Link
    to_proxy: Link
    settings: Mapping[str, str]
    former: list[Worker] = attrs.Factory(list)
    """The processes that it was before."""

    @property
    def id(self) -> str | None:
        """How PostgreSQL knows it, once it does."""
        known = [
            line["worker"] for line in self.worker.lines if line.get("event") == "this worker is known to its peers"
        ]
        return known[-1] if known else None

    @property
    def ended(self) -> bool:
        return self.worker.process.returncode is not None


@attrs.define(eq=False)
class Cluster:
    """Starts workers in a world."""

    world: World
    url: StateUrl
    _nursery: trio.Nursery
    members: list[Member] = attrs.Factory(list)
    _state: psycopg.Connection | None = None
    """How a test itself reaches PostgreSQL: without a line that can be spoiled."""

    async def start(self, *, refused: bool = False, **settings: str) -> Member:
        """Starts one more worker, and waits until its health answers. refused: its line to PostgreSQL is closed."""
        name = f"worker{len(self.members)}"
        simulator, proxy = self.world.simulator, self.world.proxy
        link: Link = await self._nursery.start(keep_link, self.url.port)
        link.refuses = refused
        to_whatsapp: Link = await self._nursery.start(keep_link, simulator.port)
        to_proxy: Link = await self._nursery.start(keep_link, proxy.port)
        through = attrs.evolve(self.url, port=link.port)
        variables = {
            "STATE_URL": through.with_options().reveal(),
            "AUTH_DIR": str(self.world.folder / name),
            "HTTPS_PROXY": f"http://127.0.0.1:{to_whatsapp.port}",
            "EDGE_BASE_URL": f"http://127.0.0.1:{to_proxy.port}",
            **settings,
        }
        worker = await self.world.start_worker(**variables)
        member = Member(name, worker, link, to_whatsapp, to_proxy, variables)
        self.members.append(member)
        return member

    async def working(self, *, workers: int, instances: int) -> list[str]:
        """Starts so many workers and pairs so many instances, which are connected and shared out evenly then. Returns
        their names."""
        for _ in range(workers):
            await self.start()
        names = await self.pair(instances)
        await self.balanced(names, workers)
        return names

    async def start_again(self, member: Member) -> None:
        """Starts a worker that has ended, on its disk, and waits until its health answers."""
        assert member.ended
        member.former.append(member.worker)
        member.worker = await self.world.start_worker(**member.settings)

    async def play_host(self) -> None:
        """Starts each worker again that ends by itself, as hosts do. Runs until cancelled."""
        async with trio.open_nursery() as nursery:
            for member in self.members:
                nursery.start_soon(self._keep, member)

    async def _keep(self, member: Member) -> None:
        while True:
            await member.worker.process.wait()
            await self.start_again(member)

    async def lead_to(self, port: int) -> None:
        """Has PostgreSQL's address lead to another server, as after a failover: to a port of this machine."""
        self.url = attrs.evolve(self.url, port=port)
        self.close()
        for member in self.members:
            member.link.to_port = port
            await member.link.cut()

    async def pair(self, count: int) -> list[str]:
        """Pairs so many instances, and returns their names."""
        names = [f"shop{n}" for n in range(count)]
        scanning = trio.CapacityLimiter(SCANNING)

        async def pair(n: int, name: str) -> None:
            async with scanning:
                await self.world.pair(name, f"55119999{n:05}")

        async with trio.open_nursery() as nursery:
            for n, name in enumerate(names):
                nursery.start_soon(pair, n, name)
        return names

    async def balanced(self, names: list[str], workers: int) -> None:
        """Waits until these instances are connected, and shared out so evenly that none is handed over any more."""

        def is_so() -> bool:
            owners = Counter(owner for owner in self.owners().values() if owner is not None)
            counts = owners.values()
            shared_out = len(owners) == workers and max(counts) - min(counts) <= 1 and sum(counts) == len(names)
            return shared_out and self.world.connected()

        await self.until(is_so, 90)

    async def until(self, holds: Callable[[], object], seconds: float) -> float:
        """Waits for what rings no bell. Returns how many seconds it took. Raises trio.TooSlowError."""
        began = trio.current_time()
        with trio.fail_after(seconds):
            while not holds():  # noqa: ASYNC110 - nothing tells
                await trio.sleep(0.1)
        return trio.current_time() - began

    def all_connected(self, names: list[str]) -> bool:
        """Says whether WhatsApp has a session of each."""
        return all(self.world.simulator.connected(self.world.jids[name]) for name in names)

    def owner_of(self, instance: str) -> Member:
        """Returns who has an instance."""
        owner = self.owners()[instance]
        return next(member for member in self.members if member.id == owner)

    def owners(self) -> Mapping[str, str | None]:
        """Returns which worker has each instance; None: a worker that is no more, or nobody."""
        return dict(self.rows("SELECT i.id, w.id::text FROM wa.instances i LEFT JOIN wa.workers w ON w.id = i.owner"))

    def of(self, member: Member) -> list[str]:
        """Returns the instances that a worker has."""
        return [name for name, owner in self.owners().items() if owner == member.id]

    def waiting(self, names: list[str]) -> int:
        """Returns how many received messages of these the proxy has not heard of."""
        query = "SELECT count(*) FROM wa.inbox i JOIN wa.chats c ON c.id = i.chat WHERE i.state = 'pending'"
        return int(self.one(f"{query} AND c.instance = ANY(%s)", names))

    def note(self, **figures: float) -> None:
        """Prints what was measured: `pytest -s` shows it, and a failure does."""
        print("measured:", ", ".join(f"{name} {value:.2f}" for name, value in figures.items()))

    def one(self, query: str, *parameters: Any) -> Any:
        """Returns the one value of a query."""
        return self.rows(query, *parameters)[0][0]

    def rows(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Returns the rows of a query, on a new connection where the server has ended the last one."""
        for last in (False, True):
            if self._state is None or self._state.closed:
                self._state = connect(self.url, "tests")
            try:
                return self._state.execute(query.encode(), parameters).fetchall()
            except psycopg.OperationalError:
                if last or not self._state.closed:
                    raise
        raise AssertionError

    def close(self) -> None:
        if self._state is not None:
            self._state.close()


@asynccontextmanager
async def open_cluster(folder: Path, url: StateUrl) -> AsyncIterator[Cluster]:
    async with open_world(folder, contract=2) as world, trio.open_nursery() as nursery:
        cluster = Cluster(world, url, nursery)
        try:
            yield cluster
        finally:
            cluster.close()
        nursery.cancel_scope.cancel()
