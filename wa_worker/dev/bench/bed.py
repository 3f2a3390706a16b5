"""The test bed: simulated WhatsApp, reference proxy, and worker processes on one volume, one after another.

Owns them and who is paired; measures nothing. Each worker is stopped when its block is left, the rest with the bed.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import trio

from wa_worker.dev.proxy import ReferenceProxy, open_proxy
from wa_worker.dev.simulator import Simulator, open_simulator
from wa_worker.dev.world.qr import read_png_data_url
from wa_worker.dev.world.simulated_worker import worker_command
from wa_worker.dev.world.worker_process import WorkerProcess, environment, open_worker

SECRET = "bench-secret"
PATIENCE = 180.0
"""Seconds for anything that takes a second on a quiet machine."""


@attrs.define
class Bed:
    """`jids` are the device JIDs of the instances that are paired, by name."""

    simulator: Simulator
    proxy: ReferenceProxy
    folder: Path
    jids: dict[str, str] = attrs.Factory(dict)

    @asynccontextmanager
    async def worker(self, **settings: str) -> AsyncIterator[Running]:
        """A worker on the bed's volume, with default poll intervals unless told otherwise."""
        env = {
            **environment(
                os.environ,
                url=self.proxy.url,
                secret=SECRET,
                auth_dir=self.folder / "auth",
                simulation=self.simulator.environment(self.folder),
            ),
            "PORT": "0",
            "INSTANCE_POLL_MS": "10000",
            "MSG_POLL_MS": "2000",
            **settings,
        }
        started = trio.current_time()
        running = Running(started)
        async with open_worker(worker_command(), env, self.folder / "worker.log", on_log=running.take) as process:
            running.process = process
            yield running

    async def pair(self, count: int) -> None:
        """Pairs instances until there are `count`, with a worker of its own."""
        missing = [f"i{n:03}" for n in range(len(self.jids), count)]
        if not missing:
            return
        async with self.worker(INSTANCE_POLL_MS="300"):
            for start in range(0, len(missing), 8):  # making prekeys is the client's work, and long
                async with trio.open_nursery() as nursery:
                    for name in missing[start : start + 8]:
                        nursery.start_soon(self._pair, name)

    async def _pair(self, name: str) -> None:
        self.proxy.store.add_instance(name)
        with trio.fail_after(PATIENCE):
            picture = await self.proxy.wait_for(lambda s: (row := s.instance(name)) and row.qr_code)
            assert picture
            number = f"55119{int(name[1:]):08}"
            self.jids[name] = await self.simulator.scan(read_png_data_url(picture), number)
            await self.proxy.wait_for(lambda s: (row := s.instance(name)) and row.status == "CONNECTED")

    async def all_connected(self) -> None:
        """Returns when WhatsApp and the proxy both say that every paired instance is connected."""

        def connected() -> bool:
            store = self.proxy.store
            return all(
                self.simulator.connected(jid)
                and (row := store.instance(name)) is not None
                and row.status == "CONNECTED"
                for name, jid in self.jids.items()
            )

        with trio.fail_after(PATIENCE):
            await self.proxy.wait_for(lambda _store: connected())


class Running:
    """A worker under measurement, and when it said what (trio.current_time())."""

    process: WorkerProcess

    def __init__(self, started: float) -> None:
        self.started = started
        self.health_answered = trio.Event()

    def take(self, line: dict[str, Any]) -> None:
        if line.get("event") == "health answers":
            self.health_answered.set()

    @property
    def pid(self) -> int:
        return self.process.process.pid


@asynccontextmanager
async def open_bed(folder: Path, note: Callable[[str], None]) -> AsyncIterator[Bed]:
    """An empty bed. `note` hears of progress."""
    async with open_simulator() as simulator, open_proxy(folder / "proxy.db", secret=SECRET) as proxy:
        note("simulated WhatsApp and reference proxy are up")
        yield Bed(simulator, proxy, folder)
