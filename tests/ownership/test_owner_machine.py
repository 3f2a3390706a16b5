"""One owner of an instance under any interleaving of faults that hypothesis thinks of, in the simulated fleet."""

from __future__ import annotations

import random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.ownership.schedules import calm
from tests.ownership.world import Network, Process, Trap, World
from wa_worker.models import InstanceId
from wa_worker.ownership.steps import Claim, GiveAway, ListMine, Look, Reap, Renew

WHICH = st.integers(0, 5)
LENGTH = st.sampled_from((0.5, 2.9, 4.0, 6.0, 9.0, 11.0, 14.0, 20.0, 60.0))


class FleetMachine(RuleBasedStateMachine):
    """The world itself looks at what must hold, whenever a worker begins to believe or to write something."""

    world: World

    @initialize(seed=st.integers(0, 99), workers=st.integers(1, 4), instances=st.integers(1, 4))
    def begin(self, seed: int, workers: int, instances: int) -> None:
        self.world = World(random.Random(seed), extremes=seed % 2 == 0)
        for n in range(instances):
            self.world.database.add(InstanceId(f"i{n}"))
        for _ in range(workers):
            self.world.start()

    def any(self, which: int) -> Process:
        return self.world.processes[which % len(self.world.processes)]

    @rule(seconds=LENGTH)
    def time_passes(self, seconds: float) -> None:
        self.world.run(seconds)

    @rule(usual=st.sampled_from((0.001, 0.3, 1.2)), slow=st.sampled_from((0.0, 0.3)), lost=st.sampled_from((0.0, 0.3)))
    def network_changes(self, usual: float, slow: float, lost: float) -> None:
        self.world.network = Network(usual, slow, lost=lost, late_writes=slow / 2)

    @rule()
    def worker_starts(self) -> None:
        if len(self.world.processes) < 6:
            self.world.start()

    @precondition(lambda self: self.world.processes)
    @rule(which=WHICH, length=LENGTH)
    def worker_is_paused(self, which: int, length: float) -> None:
        self.world.pause(self.any(which), length)

    @precondition(lambda self: self.world.processes)
    @rule(which=WHICH, length=LENGTH, to=st.booleans(), back=st.booleans())
    def worker_is_cut_off(self, which: int, length: float, to: bool, back: bool) -> None:
        process = self.any(which)
        process.cut_to = self.world.now + length * to
        process.cut_from = self.world.now + length * back

    @precondition(lambda self: self.world.processes)
    @rule(
        which=WHICH,
        step=st.sampled_from((Renew, Claim, GiveAway, ListMine, Look, Reap)),
        trap=st.sampled_from(Trap),
        length=LENGTH,
    )
    def answer_is_lost_or_late(self, which: int, step: type[Renew], trap: Trap, length: float) -> None:
        self.any(which).traps[step] = (trap, length)

    @precondition(lambda self: self.world.processes)
    @rule(which=WHICH)
    def worker_is_killed(self, which: int) -> None:
        self.world.kill(self.any(which))

    @precondition(lambda self: self.world.processes)
    @rule(which=WHICH)
    def worker_is_stopped(self, which: int) -> None:
        self.world.stop(self.any(which))

    @rule(which=WHICH)
    def instance_is_listed_or_not(self, which: int) -> None:
        database = self.world.database
        instance = InstanceId(f"i{which % len(database.instances)}")
        if instance in database.unwanted:
            del database.unwanted[instance]
        else:
            database.unwanted[instance] = None

    @rule()
    def all_is_calm(self) -> None:
        calm(self.world)

    @invariant()
    def one_owner_in_the_database(self) -> None:
        if not hasattr(self, "world"):
            return
        workers = self.world.database.workers
        for instance, row in self.world.database.instances.items():
            assert row.owner is None or row.owner not in workers or instance in workers[row.owner].mine


FleetMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
TestOneOwner = FleetMachine.TestCase
