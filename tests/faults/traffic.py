"""The messages of a fault run: what is queued at the proxy, and what contacts write.

Most contacts either write or are written to; one does both, at a human pace. whatsmeow can use a Signal key twice
when a session encrypts and decrypts in the same instant, which costs WhatsApp's own retries and, after a kill -9,
a message: that is not what this suite is about, and `unreadable` counts it.
"""

from __future__ import annotations

import random

import trio

from tests.e2e.world import World
from tests.faults.field import not_utf8
from wa_worker.dev.simulator import Contact

EACH_WAY = 50
"""Messages per instance and direction."""

HOPELESS = 2
"""Messages per instance, besides, that cannot be sent."""

NO_NUMBER = "12"


class Traffic:
    """Writes the messages of `names`, over `length` seconds, and keeps what contacts wrote."""

    def __init__(self, world: World, seed: int, names: list[str], length: float) -> None:
        self._world = world
        self._rng = random.Random(seed)
        self._pause = 2 * length / EACH_WAY
        self.names = names
        self.out = 0
        self.inbound: set[str] = set()
        """The texts that contacts wrote."""
        self.hopeless: set[str] = set()
        """The texts that are queued for what is no number: the proxy is to hear that they failed."""

    def contact(self, name: str, kind: str, which: int) -> Contact:
        """Returns a contact of an instance: `a` is written to, `b` writes, `c` does both."""
        return self._world.simulator.contact(self._number(name, kind, which))

    def contacts(self, name: str) -> list[Contact]:
        """Returns all that an instance may have."""
        return [self.contact(name, kind, which) for kind in "abc" for which in range(3)]

    async def write_out(self, name: str) -> None:
        for n in range(EACH_WAY):
            await trio.sleep(self._rng.uniform(0, self._pause))
            kind, which = ("c", 0) if n % 10 == 0 else ("a", self._rng.randrange(3))
            self._world.proxy.store.queue(name, self._number(name, kind, which), f"{name} out {n}")
            if n % (EACH_WAY // HOPELESS) == 1:
                text = f"{name} to nobody {n}"
                self.hopeless.add(text)
                self._world.proxy.store.queue(name, NO_NUMBER, text)
        self.out += EACH_WAY

    async def write_in(self, name: str) -> None:
        for n in range(EACH_WAY):
            await trio.sleep(self._rng.uniform(0, self._pause))
            kind, which = ("c", 0) if n % 10 == 5 else ("b", self._rng.randrange(3))
            text = f"{name} in {n}"
            self.inbound.add(text)
            await self.contact(name, kind, which).send(self._world.jids[name], text)

    async def write_invalid_bytes(self, name: str, at: float) -> None:
        text = f"{name} in at {at:.2f} "
        self.inbound.add(text + "\ufffd")
        await self.contact(name, "b", 0).send(self._world.jids[name], not_utf8(text))

    def _number(self, name: str, kind: str, which: int) -> str:
        return f"55118{self.names.index(name)}{'abc'.index(kind)}00{which:02}1"
