"""Churn: thirty instances, and at every moment something happens to one of them. One seed, one course of events.

Incidents hit instances at random; a "person" in front of each scans whatever code the proxy shows, after a while;
messages of all kinds (conversation.py) go both ways all the time. Nothing holds for minutes here (being replaced does),
else there were little churn.
"""

from __future__ import annotations

import enum
import random
from collections import Counter

import trio

from tests.e2e.world import Worker, World
from tests.link_host import LinkHost
from tests.soak.conversation import Conversation
from tests.soak.measure import (
    Account,
    Meter,
    Sample,
    all_connected,
    assert_no_abort,
    died,
    holds_within,
    pair_all,
    scan_shown,
    take_account,
)
from wa_worker.dev.simulator import UnknownDevice

INSTANCES = 30
PACE = 2.0
"""Incidents a second."""
SETTLE = 90.0
"""Seconds after the last incident in which all must be CONNECTED and nothing be left to do."""


class Incident(enum.Enum):
    """Value: how often, against the others."""

    DROP = 45
    STREAM_ERROR = 11
    LOG_OUT = 10
    UNLINKED = 7
    BAN = 9
    SERVER_TROUBLE = 6
    DROP_ALL = 2


class Churn:
    def __init__(self, world: World, links: LinkHost, seed: int, seconds: float) -> None:
        self._world = world
        self._rng = random.Random(seed)
        self.said = Conversation(world, links, self._rng)
        self._seconds = seconds
        self._phones = {f"i{n:02}": f"55119990{n:05}" for n in range(INSTANCES)}
        self._jids: dict[str, str] = {}
        self._worker: Worker
        self.meter: Meter
        self.incidents: Counter[Incident] = Counter()
        self.scans = 0
        self.reopened = 0
        """Sessions that were opened beyond the first of each instance."""
        self.quiet: Sample
        """All are connected and have talked; nothing else has happened."""
        self.end: Sample
        """All are connected again."""
        self.journal_bytes = 0
        self.account: Account
        self.damaged: list[str] = []
        """Files that arrived and are not what was sent."""

    async def run(self) -> None:
        world = self._world
        self._worker = await world.start_worker(
            MSG_POLL_MS="1000", INSTANCE_POLL_MS="1000", FORWARD_KINDS="all", MEDIA_ALLOW_PRIVATE="1"
        )
        self._jids = await pair_all(world, self._worker, self._phones)
        for name in self._phones:
            await self._write(name, "first")
        await holds_within(60, self._settled, "the first messages")
        await trio.sleep(12)  # idle threads go after ten
        self.meter = Meter(self._worker)
        self.quiet = await self.meter.take()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(died, self._worker)
            nursery.start_soon(self.meter.run, max(self._seconds / 12, 10.0))
            for name in self._phones:
                nursery.start_soon(self._person, name)
            with trio.move_on_after(self._seconds):
                async with trio.open_nursery() as trouble:
                    for name in self._phones:
                        trouble.start_soon(self._talk, name)
                    trouble.start_soon(self._go_wrong)
            world.simulator.bans.clear()
            world.simulator.login_failures.clear()
            try:
                await holds_within(SETTLE, self._settled, "all settled")
            except AssertionError:
                print(self._unsettled(), flush=True)
                raise
            await trio.sleep(12)
            nursery.cancel_scope.cancel()
        self.end = await self.meter.take()
        self.reopened = sum(line.get("event") == "opening" for line in self._worker.lines) - INSTANCES
        await self._worker.stop()
        assert self._worker.process.returncode == 0
        assert_no_abort(self._worker)
        folder = world.auth_dir / "@worker"
        self.journal_bytes = sum(file.stat().st_size for file in folder.iterdir())
        phones = [self._contact(name, "out") for name in self._phones]
        self.account = take_account(world, phones)
        self.damaged = self.said.broken([world.simulator.contact(phone) for phone in phones])

    def _contact(self, name: str, way: str) -> str:
        return f"5511{7 if way == 'out' else 8}000{int(name[1:]):05}"

    async def _write(self, name: str, what: str) -> None:
        simulator, jid = self._world.simulator, self._jids[name]
        self.said.write_out(name, simulator.contact(self._contact(name, "out")), f"{name} out {what}")
        if simulator.connected(jid):
            await self.said.write_in(name, jid, simulator.contact(self._contact(name, "in")), f"{name} in {what}")

    async def _talk(self, name: str) -> None:
        for n in range(1_000_000):
            await trio.sleep(self._rng.uniform(2, 6))
            await self._write(name, str(n))

    async def _person(self, name: str) -> None:
        """Scans the codes of one instance, when it suits."""
        while True:
            await self._world.proxy.wait_for(lambda s: (row := s.instance(name)) is not None and row.qr_code)
            await trio.sleep(self._rng.uniform(0.2, 4))
            if jid := await scan_shown(self._world, name, self._phones[name]):
                self._jids[name] = jid
                self.scans += 1
                await self._world.proxy.wait_for(lambda s: (row := s.instance(name)) is None or not row.qr_code)

    async def _go_wrong(self) -> None:
        kinds = list(Incident)
        while True:
            await trio.sleep(self._rng.expovariate(PACE))
            incident = self._rng.choices(kinds, [kind.value for kind in kinds])[0]
            jid = self._jids[self._rng.choice(list(self._phones))]
            try:
                await self._do(incident, jid)
                self.incidents[incident] += 1
            except UnknownDevice:
                pass  # its code waits for the person

    async def _do(self, incident: Incident, jid: str) -> None:
        simulator = self._world.simulator
        match incident:
            case Incident.DROP:
                await simulator.drop(jid)
            case Incident.STREAM_ERROR:
                await simulator.stream_error(jid, self._rng.choice(["500", "503"]))
            case Incident.LOG_OUT:
                await simulator.log_out(jid)
            case Incident.UNLINKED:
                connection = simulator.device(jid).connection
                simulator.unlink(jid)
                if connection is not None:
                    connection.cut()
            case Incident.BAN:
                simulator.bans[jid] = self._rng.randint(2, 4)
                simulator.start_soon(self._lift, simulator.bans, jid, 4.0)
                await simulator.drop(jid)
            case Incident.SERVER_TROUBLE:
                simulator.login_failures[jid] = 503
                simulator.start_soon(self._lift, simulator.login_failures, jid, 3.0)
                await simulator.drop(jid)
            case Incident.DROP_ALL:
                await simulator.drop_all()

    async def _lift(self, knob: dict[str, int], jid: str, after: float) -> None:
        await trio.sleep(after)
        knob.pop(jid, None)

    def _settled(self) -> bool:
        store = self._world.proxy.store
        return (
            all_connected(self._world, self._jids.values())
            and not store.count_messages("queued")
            and not any(self._world.simulator.pending(jid) for jid in self._jids.values())
            and not self.said.unfinished()
        )

    def _unsettled(self) -> str:
        store = self._world.proxy.store
        states = Counter(row.status for row in store.instances())
        return f"{dict(states)}, {store.count_messages('queued')} queued, {self.said.unfinished()} in the journal"
