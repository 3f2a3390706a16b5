"""The test bed: a world with default poll intervals, whose workers run one after another.

Owns how many instances are paired; measures nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar

import trio

from wa_worker.dev.proxy import Contract
from wa_worker.dev.world.world import World, open_world


class Bed(World):
    settings: ClassVar = {"INSTANCE_POLL_MS": "10000", "MSG_POLL_MS": "2000"}
    patience = 180.0

    @property
    def contract(self) -> Contract:
        """The version of the contract that the proxy speaks. It may be set while no worker runs."""
        return self.proxy.contract

    @contract.setter
    def contract(self, contract: Contract) -> None:
        self.proxy.contract = contract

    def condition(self, text: str) -> str:
        """Says under which condition a scenario runs."""
        return f"contract {self.contract}: {text}"

    async def pair_up_to(self, count: int) -> None:
        """Pairs instances until there are `count`, with a worker of its own."""
        missing = [f"i{n:03}" for n in range(len(self.jids), count)]
        if not missing:
            return
        async with self.worker(INSTANCE_POLL_MS="300"):
            for start in range(0, len(missing), 8):  # making prekeys is the client's work, and long
                async with trio.open_nursery() as nursery:
                    for name in missing[start : start + 8]:
                        nursery.start_soon(self.pair, name, f"55119{int(name[1:]):08}")

    async def all_connected(self) -> None:
        """Waits until WhatsApp and the proxy both say that every paired instance is connected."""
        await self.until(lambda _store: self.connected())


@asynccontextmanager
async def open_bed(folder: Path, contract: Contract = 2) -> AsyncIterator[Bed]:
    """Opens an empty bed, whose proxy speaks this version of the contract."""
    database = folder / "proxy.db"
    async with open_world(Bed, folder, secret="bench-secret", database=database, contract=contract) as bed:
        yield bed
