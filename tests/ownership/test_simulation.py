"""A fleet under faults: a few of the schedules of tests/schedules, and proof that such schedules find faults."""

from __future__ import annotations

import random

import pytest

from tests.ownership.database_model import DatabaseModel
from tests.ownership.planted import PLANTED, a_world, found_by
from tests.ownership.schedules import Size, build, calm, first_violation, play, settle
from tests.ownership.world import World
from wa_worker.models import InstanceId
from wa_worker.ownership.lease import CUT_OFF, HAND_OVER, MOST_CLAIMS, TTL
from wa_worker.ownership.owner import Owner


def test_at_most_one_worker_owns_an_instance_whatever_happens() -> None:
    for seed in range(250):
        play(seed)


def test_a_larger_fleet_recovers_and_becomes_fair() -> None:
    world = play(3, Size(12, 400, 60.0, 25))
    calm(world)
    settle(world, 300)


def a_fleet(workers: int, instances: int, **kwargs: object) -> World:
    world = World(random.Random(7), **kwargs)  # type: ignore[arg-type]
    for n in range(instances):
        world.database.add(InstanceId(f"i{n}"))
    for _ in range(workers):
        world.start()
    return world


def test_what_a_killed_worker_owned_is_owned_again_within_20_seconds() -> None:
    world = a_fleet(3, 60, database=DatabaseModel())
    world.run(20)
    assert not world.homeless()
    world.run(10)
    world.kill(max(world.processes, key=lambda each: len(each.owner.owned)))
    assert world.homeless()
    world.run(TTL / 0.8 + 5)
    assert not world.homeless()


def test_a_new_worker_gets_its_share() -> None:
    world = a_fleet(2, 40)
    world.run(20)
    late = world.start()
    world.run(20 * HAND_OVER)
    assert 11 <= len(late.owner.owned) <= 15


def test_a_worker_that_is_stopped_hands_all_over_in_seconds() -> None:
    world = a_fleet(3, 60)
    world.run(20)
    stopped = world.processes[0]
    world.stop(stopped)
    world.run(15)
    assert stopped not in world.processes
    assert not world.homeless()


def test_a_worker_that_whatsapp_does_not_answer_gives_its_instances_to_those_it_answers() -> None:
    world = a_fleet(3, 30)
    world.run(20)
    deaf = world.processes[0]
    deaf.connects = False
    world.run(CUT_OFF / 0.8 + 25)
    assert not deaf.owner.owned
    world.run(3 * CUT_OFF)
    assert len(deaf.owner.owned) <= 1
    deaf.connects = True
    world.run(6 * CUT_OFF)
    assert len(deaf.owner.owned) >= 9
    assert not world.homeless()


def test_when_whatsapp_answers_nobody_nothing_moves() -> None:
    world = a_fleet(3, 30)
    world.run(20)
    before = {name: (row.owner, row.token) for name, row in world.database.instances.items()}
    for each in world.processes:
        each.connects = False
    world.run(6 * CUT_OFF)
    assert before == {name: (row.owner, row.token) for name, row in world.database.instances.items()}


def test_an_instance_that_kills_its_workers_is_held() -> None:
    class Deadly(World):
        deaths = 0

        def _gain(self, process, gained):  # type: ignore[no-untyped-def]
            super()._gain(process, gained)
            if any(each.instance == "i0" for each in gained):
                self.deaths += 1
                self._exit(process)

    world = Deadly(random.Random(7))
    for n in range(12):
        world.database.add(InstanceId(f"i{n}"))
    for _ in range(4):
        world.start()
    world.run(500)
    assert world.deaths == MOST_CLAIMS
    assert world.homeless() == ["i0"]
    world.run(1500)
    assert MOST_CLAIMS < world.deaths <= MOST_CLAIMS + 3


# --- the simulator itself: one that finds nothing proves nothing


@pytest.mark.parametrize("name", sorted(PLANTED))
def test_the_simulator_finds_what_is_planted(name: str) -> None:
    assert found_by(name) is not None


def test_it_finds_nothing_where_nothing_is_planted() -> None:
    assert first_violation(range(600, 640), Owner, a_world(DatabaseModel)) is None


def test_a_schedule_is_the_same_each_time() -> None:
    def trace(seed: int) -> tuple[int, list[tuple[int | None, int]]]:
        world = play(seed, Size(3, 4, 40.0, 5))
        return world.events, [(row.owner, row.token) for row in world.database.instances.values()]

    assert trace(11) == trace(11)
    assert build(11)[1] == build(11)[1]
