"""A simulated fleet: workers with the real Owner, a model of the database, and a network that delays and loses.

Time is virtual, each clock has a rate of its own, and all that is random comes from one seed. What must hold is looked
at whenever a worker begins to believe something; to stop believing needs no event, for its deadline passes by itself.
"""

from __future__ import annotations

import enum
import heapq
import itertools
import random
from collections.abc import Callable
from typing import Any

import attrs

from tests.ownership.database_model import DatabaseModel
from wa_worker.errors import LeaseLost
from wa_worker.models import InstanceId
from wa_worker.ownership.lease import UNLIMITED, Claimed
from wa_worker.ownership.owner import Owner
from wa_worker.ownership.steps import Claim, GiveAway, ListMine, Look, Reap, Renew, Step, Wait

GIVES_UP = 3.0
"""Seconds after which a worker no longer waits for an answer: the request may still be carried out later."""


class Trap(enum.Enum):
    """What becomes of one request that is drawn beforehand."""

    LOST = "its answer is lost"
    LATE = "it is carried out long after its worker gave it up"
    PAUSED = "its worker is paused between sending it and reading the answer, and then cut off"


class Violated(AssertionError):
    """Says what did not hold, and when."""


@attrs.define(eq=False)
class Process:
    """A run of a worker. It knows its own clock; what it may do it asks its Owner."""

    id: int
    rate: float
    owner: Owner
    born: float
    capacity: int
    alive: bool = True
    registered: bool = False
    connects: bool = True
    """Whether WhatsApp can be reached from it."""
    paused_until: float = 0.0
    cut_to: float = 0.0
    """Until when nothing of it reaches the database."""
    cut_from: float = 0.0
    request: int = 0
    writing: dict[InstanceId, int] = attrs.Factory(dict)
    stopping: bool = False
    traps: dict[type[Step], tuple[Trap, float]] = attrs.Factory(dict)

    def local(self, real: float) -> float:
        return 1000.0 + (real - self.born) * self.rate

    def real(self, local: float) -> float:
        return self.born + (local - 1000.0) / self.rate

    def believes(self, real: float) -> bool:
        return self.alive and self.owner.lease.holds(self.local(real))


@attrs.define
class Network:
    """Says how long a message takes, in seconds, and how many never come."""

    usual: float = 0.005
    slow: float = 0.0
    """The share of messages that take up to `slowest`."""
    slowest: float = 25.0
    lost: float = 0.0
    late_writes: float = 0.0
    """The share of the journal's transactions that take 5 to 40 seconds."""


class World:
    """Runs everything. `make_owner` is another one where a fault is planted."""

    def __init__(
        self,
        rng: random.Random,
        *,
        database: DatabaseModel | None = None,
        network: Network | None = None,
        make_owner: Callable[[int, random.Random], Owner] = Owner,
        extremes: bool = False,
    ) -> None:
        self.rng = rng
        self.now = 0.0
        self.database = database or DatabaseModel(rate=self._rate(extremes))
        self.network = network or Network()
        self.processes: list[Process] = []
        self.stepped = False
        self.events = 0
        self._make_owner = make_owner
        self._extremes = extremes
        self._queue: list[tuple[float, int, Callable[..., object], tuple[Any, ...]]] = []
        self._numbers = itertools.count(1)
        self._believers: dict[InstanceId, dict[Process, None]] = {}
        self._newest: dict[InstanceId, int] = {}

    def _rate(self, extremes: bool) -> float:
        return self.rng.choice((0.8, 1.2)) if extremes else self.rng.uniform(0.8, 1.2)

    # --- what may be done to it

    def start(self, capacity: int = UNLIMITED) -> Process:
        number = next(self._numbers)
        process = Process(number, self._rate(self._extremes), self._make_owner(capacity, self.rng), self.now, capacity)
        self.processes.append(process)
        self._register(process)
        return process

    def kill(self, process: Process) -> None:
        process.alive = False
        self.processes.remove(process)
        for instance in process.owner.owned:
            self._believers[instance].pop(process, None)

    def pause(self, process: Process, seconds: float) -> None:
        process.paused_until = self.now + seconds

    def step_clock(self, seconds: float) -> None:
        """Sets the database's clock: from now on only tokens protect."""
        self.database.step += seconds
        self.stepped = True

    def stop(self, process: Process) -> None:
        """SIGTERM."""
        process.stopping = True
        process.owner.drain()

    def run(self, seconds: float) -> None:
        """Lets time pass. Raises Violated."""
        until = self.now + seconds
        queue = self._queue
        while queue and queue[0][0] <= until:
            self.now, _, call, arguments = heapq.heappop(queue)
            self.events += 1
            call(*arguments)
        self.now = until

    def later(self, seconds: float, call: Callable[..., object], *arguments: Any) -> None:
        heapq.heappush(self._queue, (self.now + seconds, next(self._numbers), call, arguments))

    # --- what can be seen of it

    def holder(self, instance: InstanceId) -> Process | None:
        """Returns who believes that it owns the instance, and is right."""
        for process in self._believers.get(instance, ()):
            row = self.database.instances[instance]
            if process.believes(self.now) and row.owner == process.id and process.owner.owned[instance] == row.token:
                return process
        return None

    def homeless(self) -> list[InstanceId]:
        return [
            each for each in self.database.instances if each not in self.database.unwanted and self.holder(each) is None
        ]

    # --- requests and answers

    def _delay(self) -> float:
        network, rng = self.network, self.rng
        if network.slow and rng.random() < network.slow:
            return rng.random() * network.slowest
        return network.usual * (0.2 + rng.random())

    def _send(
        self,
        process: Process,
        execute: Callable[[], Any],
        answered: Callable[[Any], None],
        failed: Callable[[], None],
        trap: tuple[Trap | None, float] = (None, 0.0),
    ) -> None:
        process.request = number = next(self._numbers)
        gives_up = self.now + GIVES_UP / process.rate
        sprung, length = trap

        def arrive() -> None:
            if self.now < process.cut_to:
                self.later(max(0.0, gives_up - self.now), deliver, False, None)
                return
            result = execute()
            if sprung is Trap.PAUSED:
                process.paused_until = self.now + length
                process.cut_to = process.paused_until + 2 * length
            delay = self._delay()
            if self.now + delay > gives_up or sprung is Trap.LOST or self._lost():
                self.later(max(0.0, gives_up - self.now), deliver, False, None)
            else:
                self.later(delay, deliver, True, result)

        def deliver(heard: bool, result: Any) -> None:
            if self._held(process, deliver, heard, result) or process.request != number or not process.alive:
                return
            if heard and self.now < process.cut_from:
                self.later(max(0.0, gives_up - self.now), deliver, False, None)
                return
            process.request = 0
            try:
                if heard:
                    answered(result)
                else:
                    failed()
            except LeaseLost:
                self._exit(process)
            else:
                self._drive(process)

        delay = length if sprung is Trap.LATE else self._delay()
        if delay > gives_up - self.now or self._lost():  # it gives up first; what was only slow comes all the same
            self.later(gives_up - self.now, deliver, False, None)
            if sprung or self.rng.random() < 0.5:
                self.later(delay, execute)
        else:
            self.later(delay, arrive)

    def _lost(self) -> bool:
        return self.network.lost > 0 and self.rng.random() < self.network.lost

    def _held(self, process: Process, call: Callable[..., object], *arguments: Any) -> bool:
        """Puts off what a paused process would do until it goes on."""
        if self.now < process.paused_until and process.alive:
            self.later(process.paused_until - self.now, call, *arguments)
            return True
        return False

    # --- a worker

    def _register(self, process: Process) -> None:
        started = process.local(self.now)

        def execute() -> None:
            self.database.register(self.database.clock(self.now), process.id, process.capacity)

        def answered(_: None) -> None:
            process.registered = True
            process.owner.registered(started)

        self._send(process, execute, answered, lambda: self._exit(process))

    def _exit(self, process: Process) -> None:
        """The process ends, and its host starts another, which is another worker."""
        if process.alive:
            self.kill(process)
            if not process.stopping:
                self.later(self.rng.uniform(0.5, 2.0), self.start, process.capacity)

    def _drive(self, process: Process) -> None:
        if not process.alive or process.request or not process.registered or self._held(process, self._drive, process):
            return
        now = process.local(self.now)
        if process.stopping and not process.owner.owned and not process.owner.leaving:
            self.kill(process)
            return
        process.owner.health.observe(now, len(process.owner.owned), len(process.owner.owned) * process.connects)
        try:
            step = process.owner.step(now)
        except LeaseLost:
            self._exit(process)
            return
        if isinstance(step, Wait):
            self.later(max(0.0, process.real(step.until) - self.now) + 1e-6, self._drive, process)
        else:
            self._take(process, step, now)

    def _take(self, process: Process, step: Step, started: float) -> None:
        database, owner = self.database, process.owner

        def execute() -> Any:
            now = database.clock(self.now)
            match step:
                case Renew(capacity, through, draining):
                    return database.renew(now, process.id, capacity, through=through, draining=draining)
                case Look():
                    return database.look(now, process.id)
                case Reap():
                    return database.reap(now)
                case Claim(count):
                    return database.claim(now, process.id, count)
                case GiveAway(instances):
                    return database.give_away(process.id, instances)
                case ListMine():
                    return database.list_mine(process.id)

        def answered(result: Any) -> None:
            now = process.local(self.now)
            match step:
                case Renew():
                    lapsed = not owner.lease.holds(now)
                    owner.renewed(started, now, alive=result)
                    if lapsed:
                        self._check(process, owner.owned)
                case Look():
                    self._leave(process, owner.looked(now, result))
                    self._write(process)
                case Reap():
                    owner.reaped(now)
                case Claim():
                    self._gain(process, owner.claimed(now, result))
                case GiveAway(instances):
                    owner.gave_away(instances)
                case ListMine():
                    gained, leaving = owner.listed(now, result)
                    self._leave(process, leaving)
                    self._gain(process, gained)

        self._send(
            process,
            execute,
            answered,
            lambda: owner.failed(step, process.local(self.now)),
            process.traps.pop(type(step), (None, 0.0)),
        )

    def _gain(self, process: Process, gained: list[Claimed]) -> None:
        for each in gained:
            if each.token <= self._newest.get(each.instance, 0):
                raise Violated(f"{self.now:.3f}: {each.instance} was owned under a token as high as {each.token}")
            self._newest[each.instance] = each.token
            self._believers.setdefault(each.instance, {})[process] = None
            if process.connects:
                self.later(1.0 + self.rng.random(), self._prove, process, each.instance)
        self._check(process, [each.instance for each in gained])

    def _check(self, process: Process, instances: Any) -> None:
        for each in instances:
            believers = self._believers[each]
            if len(believers) > 1 and not self.stepped:
                others = [other.id for other in believers if other is not process and other.believes(self.now)]
                if others and process.believes(self.now):
                    raise Violated(f"{self.now:.3f}: {each} is owned by {process.id} and by {others}")

    def _prove(self, process: Process, instance: InstanceId) -> None:
        if process.alive and instance in process.owner.owned:
            self.database.proven(process.id, instance)

    def _leave(self, process: Process, leaving: list[tuple[InstanceId, Any]]) -> None:
        for instance, _ in leaving:
            self._believers[instance].pop(process, None)
            self.later(self.rng.random() * 2, self._closed, process, instance)

    def _closed(self, process: Process, instance: InstanceId) -> None:
        """Its session has ended, and its journal has nothing under way."""
        if self._held(process, self._closed, process, instance):
            return
        if process.writing.get(instance):
            self.later(0.5, self._closed, process, instance)
            return
        process.owner.closed(instance)
        self._drive(process)

    def _write(self, process: Process) -> None:
        """Something of an instance is written into the journal, by a connection of its own."""
        if process.owner.owned and not self._lost():
            instance = self.rng.choice(list(process.owner.owned))
            process.writing[instance] = process.writing.get(instance, 0) + 1
            late = self.rng.random() < self.network.late_writes
            self.later(self.rng.uniform(5, 40) if late else self._delay(), self._written, process, instance)

    def _written(self, process: Process, instance: InstanceId) -> None:
        process.writing[instance] -= 1
        if self.now < process.cut_to:
            return
        row = self.database.instances[instance]
        if self.database.write(process.id, instance) and row.owner != process.id:
            raise Violated(f"{self.now:.3f}: {process.id} writes about {instance}, which {row.owner} owns")
