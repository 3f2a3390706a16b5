"""Several workers, one PostgreSQL, one proxy, one simulated WhatsApp: each worker with a disk and a line of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping
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


@attrs.define(eq=False)
class Member:
    """Holds one worker and its line to PostgreSQL."""

    name: str
    worker: Worker
    link: Link

    @property
    def id(self) -> str | None:
        """How PostgreSQL knows it, once it does."""
        known = [
            line["worker"] for line in self.worker.lines if line.get("event") == "this worker is known to its peers"
        ]
        return known[-1] if known else None


@attrs.define(eq=False)
class Cluster:
    """Starts workers in a world. `state`: how a test itself reaches PostgreSQL, without a line that can be spoiled."""

    world: World
    url: StateUrl
    state: psycopg.Connection
    _nursery: trio.Nursery
    members: list[Member] = attrs.Factory(list)

    async def start(self, **settings: str) -> Member:
        """Starts one more worker, and waits until its health answers."""
        name = f"worker{len(self.members)}"
        link: Link = await self._nursery.start(keep_link, self.url.port)
        through = attrs.evolve(self.url, port=link.port)
        worker = await self.world.start_worker(
            STATE_URL=through.with_options().reveal(), AUTH_DIR=str(self.world.folder / name), **settings
        )
        member = Member(name, worker, link)
        self.members.append(member)
        return member

    async def pair(self, count: int) -> list[str]:
        """Pairs so many instances, and returns their names."""
        names = [f"shop{n}" for n in range(count)]
        async with trio.open_nursery() as nursery:
            for n, name in enumerate(names):
                nursery.start_soon(self.world.pair, name, f"55119999{n:05}")
        return names

    async def balanced(self, names: list[str], workers: int) -> None:
        """Waits until these instances are connected, and no worker has more than its share and one."""
        share = -(-len(names) // workers)

        def is_so() -> bool:
            owners = Counter(owner for owner in self.owners().values() if owner is not None)
            return len(owners) == workers and max(owners.values()) <= share + 1 and self.world.connected()

        with trio.fail_after(90):
            while not is_so():  # noqa: ASYNC110 - nothing tells
                await trio.sleep(0.2)

    def owner_of(self, instance: str) -> Member:
        """Returns who has an instance."""
        owner = self.owners()[instance]
        return next(member for member in self.members if member.id == owner)

    def owners(self) -> Mapping[str, str | None]:
        """Returns which worker has each instance; None: a worker that is no more, or nobody."""
        rows = self.state.execute(
            "SELECT i.id, w.id::text FROM wa.instances i LEFT JOIN wa.workers w ON w.id = i.owner"
        ).fetchall()
        return dict(rows)

    def note(self, **figures: float) -> None:
        """Prints what was measured: `pytest -s` shows it, and a failure does."""
        print("measured:", ", ".join(f"{name} {value:.2f}" for name, value in figures.items()))

    def one(self, query: str, *parameters: Any) -> Any:
        """Returns the one value of a query."""
        row = self.state.execute(query.encode(), parameters).fetchone()
        assert row is not None
        return row[0]


@asynccontextmanager
async def open_cluster(folder: Path, url: StateUrl) -> AsyncIterator[Cluster]:
    async with open_world(folder, contract=2) as world, trio.open_nursery() as nursery:
        with await trio.to_thread.run_sync(connect, url, "tests") as state:
            yield Cluster(world, url, state, nursery)
        nursery.cancel_scope.cancel()
