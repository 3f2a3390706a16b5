"""A whole world for a worker: the simulated WhatsApp, the reference proxy, and worker processes on one volume.

`open_world()` assembles it. Owns the workers that it has started: they are gone when the world is closed. Tests and
benchmarks have a World of their own, with the settings that they need.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar, TypeVar

import attrs
import trio

from wa_worker.dev.proxy import Contract, InstanceRow, ReferenceProxy, Store, open_proxy
from wa_worker.dev.simulator import Simulator, open_simulator
from wa_worker.dev.world.qr import read_png_data_url
from wa_worker.dev.world.simulated_worker import worker_command
from wa_worker.dev.world.worker_process import STOP_PATIENCE, WorkerProcess, environment, open_worker

T = TypeVar("T")


@attrs.define
class World:
    """Holds the workers and what surrounds them. `jids` are the device JIDs of the instances that `pair` paired."""

    simulator: Simulator
    proxy: ReferenceProxy
    folder: Path
    _nursery: trio.Nursery
    jids: dict[str, str] = attrs.Factory(dict)
    codes: set[str] = attrs.Factory(set)
    """The QR codes that were read."""
    workers: list[WorkerProcess] = attrs.Factory(list)
    """All that were ever started."""

    settings: ClassVar[Mapping[str, str]] = {}
    """Variables of each worker's environment."""
    patience: ClassVar[float] = 30.0
    """Seconds to wait for something that takes well under one on a quiet machine."""
    grace: ClassVar[float] = STOP_PATIENCE
    """Seconds that a worker gets to stop by itself; 0: it is killed."""

    @property
    def auth_dir(self) -> Path:
        return self.folder / "auth"

    def inherited(self) -> Mapping[str, str]:
        """Returns the part of this process's environment that a worker gets."""
        return os.environ

    def environment(self, **settings: str) -> dict[str, str]:
        """Returns the environment of a worker with these settings."""
        ours = environment(
            self.inherited(),
            url=self.proxy.url,
            secret=self.proxy.secret,
            auth_dir=self.auth_dir,
            simulation=self.simulator.environment(self.folder),
        )
        return {**ours, "PORT": "0", **self.settings, **settings}

    # --- workers

    @asynccontextmanager
    async def worker(self, **settings: str) -> AsyncIterator[WorkerProcess]:
        """Yields a worker process, which is told to stop when the block is left. Its health need not answer yet."""
        variables, log = self.environment(**settings), self.folder / "worker.log"
        async with open_worker(worker_command(), variables, log=log, grace=self.grace) as worker:
            worker.patience = self.patience
            self.workers.append(worker)
            yield worker

    async def start_worker(self, **settings: str) -> WorkerProcess:
        """Returns a worker process whose health answers. It is ended with the world if it still runs."""
        worker: WorkerProcess = await self._nursery.start(self._keep_worker, settings)
        await worker.answers()
        return worker

    async def _keep_worker(self, settings: Mapping[str, str], *, task_status: trio.TaskStatus[WorkerProcess]) -> None:
        async with self.worker(**settings) as worker:
            task_status.started(worker)
            await trio.sleep_forever()

    async def close(self) -> None:
        """Ends all workers, cancelled or not."""
        for worker in self.workers:
            await worker.end(self.grace)
        self._nursery.cancel_scope.cancel()

    # --- instances

    async def until(self, predicate: Callable[[Store], T | None]) -> T:
        """Waits for the first truthy value of `predicate` for the proxy's state."""
        with trio.fail_after(self.patience):
            found = await self.proxy.wait_for(predicate)
        assert found
        return found

    async def status(self, instance: str, status: str) -> InstanceRow:
        """Waits until the proxy has this status for the instance."""

        def has_status(store: Store) -> InstanceRow | None:
            row = store.instance(instance)
            return row if row is not None and row.status == status else None

        return await self.until(has_status)

    async def qr(self, instance: str, *, other_than: str | None = None) -> str:
        """Waits for a QR picture at the proxy; returns the code in it, read by an independent decoder."""

        def new_code(store: Store) -> str | None:
            row = store.instance(instance)
            return row.qr_code if row and row.qr_code != other_than else None

        code = read_png_data_url(await self.until(new_code))
        self.codes.add(code)
        return code

    async def pair(self, instance: str, phone: str) -> str:
        """Pairs an instance, which is added at the proxy unless it is there, and waits until it is CONNECTED.

        Returns the device's JID.
        """
        if self.proxy.store.instance(instance) is None:
            self.proxy.store.add_instance(instance)
        code = await self.qr(instance)
        with trio.fail_after(self.patience):
            self.jids[instance] = await self.simulator.scan(code, phone)
        await self.status(instance, "CONNECTED")
        return self.jids[instance]

    def connected(self) -> bool:
        """Says whether WhatsApp and the proxy both say that each paired instance is connected."""
        return all(
            self.simulator.connected(jid)
            and (row := self.proxy.store.instance(name)) is not None
            and row.status == "CONNECTED"
            for name, jid in self.jids.items()
        )


W = TypeVar("W", bound=World)


@asynccontextmanager
async def open_world(
    kind: Callable[..., W],
    folder: Path,
    *,
    secret: str,
    database: Path | str = ":memory:",
    contract: Contract = 2,
) -> AsyncIterator[W]:
    """Opens a world of this kind. `database` is the proxy's file, `contract` the version that it speaks.

    What the block raises leaves it in an exception group: there are nurseries around it.
    """
    async with (
        open_simulator() as simulator,
        open_proxy(database, secret=secret, contract=contract) as proxy,
        trio.open_nursery() as nursery,
    ):
        world = kind(simulator, proxy, folder, nursery)
        try:
            yield world
        finally:
            with trio.CancelScope(shield=True):
                await world.close()
