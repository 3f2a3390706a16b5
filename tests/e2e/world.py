"""The world of an end-to-end test, which checks what its workers logged when it closes."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar

import trio

from tests.e2e.privacy import leaks
from wa_worker.dev.proxy import Contract
from wa_worker.dev.world import world
from wa_worker.dev.world.worker_process import WorkerProcess as Worker
from wa_worker.dev.world.worker_process import alive

__all__ = ["PATIENCE", "SECRET", "Worker", "World", "alive", "eventually", "open_world"]

SECRET = "a-secret-of-the-tests"
PATIENCE = world.World.patience


class World(world.World):
    """A world with quick polls. Workers that a test leaves running are killed."""

    settings: ClassVar = {"INSTANCE_POLL_MS": "300", "MSG_POLL_MS": "200"}
    grace = 0.0

    def inherited(self) -> Mapping[str, str]:
        return {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}

    def environment(self, **settings: str) -> dict[str, str]:
        variables = super().environment(**settings)
        del variables["NEONIZE_BOT_TAG"]  # the worker sees to it by itself
        return variables

    def private(self) -> dict[str, list[str]]:
        """What no log may show (P8), by kind."""
        store = self.proxy.store
        inbound = store.inbound()
        names = [row.payload["push_name"] for row in inbound if row.payload.get("push_name")]
        return {
            "body": [row.body for row in store.messages()] + [row.body for row in inbound] + names,
            "LID": [row.payload["sender_lid"] for row in inbound if row.payload.get("sender_lid")],
            "QR code": [*self.codes, *(part for code in self.codes for part in code.split("#")[-1].split(",")[:4])],
            "QR picture": ["data:image/png;base64"],
            "secret": [SECRET],
        }

    async def close(self) -> None:
        await super().close()
        for worker in self.workers:
            print(f"--- worker {worker.pid}", *worker.raw, sep="\n")  # shown by pytest when a test fails
        leaked = leaks((line for worker in self.workers for line in worker.raw), self.private())
        assert not leaked, f"a worker logged what is private: {leaked[:3]}"
        unexpected = [line for worker in self.workers for line in worker.lines if "exception" in line]
        assert not unexpected, f"a worker logged a traceback: {unexpected[0]['exception'][-2000:]}"


async def eventually(holds: Callable[[], object]) -> None:
    """Waits for what rings no bell, such as a process of somebody else's that ends."""
    with trio.fail_after(PATIENCE):
        while not holds():  # noqa: ASYNC110 - nothing tells
            await trio.sleep(0.05)


@asynccontextmanager
async def open_world(folder: Path, *, contract: Contract = 1) -> AsyncIterator[World]:
    async with world.open_world(World, folder, secret=SECRET, contract=contract) as opened:
        yield opened
