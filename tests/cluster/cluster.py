"""Several workers, one PostgreSQL, one proxy, one simulated WhatsApp: each worker with a disk and a line of its own."""

from __future__ import annotations

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

    def owners(self) -> Mapping[str, str | None]:
        """Returns which worker has each instance, by the host and process that it wrote down."""
        rows = self.state.execute(
            "SELECT i.id, i.owner::text FROM wa.instances i LEFT JOIN wa.workers w ON w.id = i.owner"
        ).fetchall()
        return dict(rows)

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
