"""Seeded schedules of faults for the simulated fleet: small ones, many of them, and some of full size."""

from __future__ import annotations

import random
from collections.abc import Callable

import attrs

from tests.ownership.world import Network, Trap, Violated, World
from wa_worker.models import InstanceId
from wa_worker.ownership.lease import HAND_OVER, MOST_CLAIMS, PATIENCE, SLACK, TTL, UNLIMITED
from wa_worker.ownership.owner import Owner
from wa_worker.ownership.steps import Claim, GiveAway, ListMine, Renew

MakeOwner = Callable[[int, random.Random], Owner]

CALM = TTL / 0.8 + 32 / 0.8 + PATIENCE / 0.8 + 10
"""Seconds after the last fault in which all are owned again: the lease on a slow clock, the longest pause of an
instance that was claimed often, the patience with a full worker, and some looks."""


@attrs.frozen
class Size:
    workers: int
    instances: int
    seconds: float
    faults: int


def small(rng: random.Random) -> Size:
    return Size(rng.randint(2, 4), rng.randint(1, 5), rng.uniform(20, 45), rng.randint(1, 5))


FULL = Size(50, 5000, 90.0, 60)


def build(
    seed: int, size: Size | None = None, make_owner: MakeOwner = Owner, kind: type[World] = World
) -> tuple[World, Size]:
    rng = random.Random(seed)
    size = size or small(rng)
    network = Network(
        usual=rng.choice((0.002, 0.05, 0.5)),
        slow=rng.choice((0.0, 0.0, 0.02, 0.2)),
        slowest=rng.choice((4.0, 30.0)),
        lost=rng.choice((0.0, 0.0, 0.05, 0.2)),
        late_writes=rng.choice((0.0, 0.05)),
    )
    world = kind(rng, network=network, make_owner=make_owner, extremes=rng.random() < 0.5)
    for n in range(size.instances):
        world.database.add(InstanceId(f"i{n}"))
    for _ in range(size.workers):
        world.later(rng.random() * 3, world.start, UNLIMITED if rng.random() < 0.8 else -(-size.instances // 2))
    for _ in range(size.faults):
        world.later(rng.uniform(2, size.seconds), fault, world)
    return world, size


def fault(world: World) -> None:
    """Does something bad, to a worker that is drawn."""
    rng = world.rng
    if not world.processes:
        return
    process = rng.choice(world.processes)
    length = rng.choice((rng.uniform(1, 6), rng.uniform(4, 9), rng.uniform(9, 16), rng.uniform(15, 90)))
    match rng.randrange(20):
        case 0 | 1:
            world.kill(process)
            world.later(rng.uniform(0.5, 5), world.start, process.capacity)
        case 2 | 3:
            world.pause(process, length)
        case 4:
            process.cut_to = process.cut_from = world.now + length
        case 5:
            process.cut_to = world.now + length
        case 6:
            process.cut_from = world.now + length
        case 7:
            world.stop(process)
            world.later(rng.uniform(0, 5), world.start, process.capacity)
        case 8:
            for each in world.processes:
                each.cut_to = each.cut_from = world.now + length
        case 9:
            instance = rng.choice(list(world.database.instances))
            world.database.unwanted[instance] = None
            world.later(rng.uniform(0.5, 8), world.database.unwanted.pop, instance, None)
        case 10:
            if rng.random() < 0.1:
                world.step_clock(rng.uniform(-30, 30))
            else:
                instance = rng.choice(list(world.database.instances))
                if world.database.unwanted.pop(instance, instance) is instance:
                    world.database.unwanted[instance] = None
        case _:
            process.traps[rng.choice((Renew, Renew, Claim, GiveAway, ListMine))] = (rng.choice(list(Trap)), length)
            if rng.random() < 0.3:  # what it does next meets something, too
                process.traps[rng.choice((Claim, GiveAway))] = (rng.choice(list(Trap)), length)


def calm(world: World) -> None:
    """Ends all faults, and lets all be owned again. Raises Violated."""
    world.network = Network()
    for process in list(world.processes):
        process.cut_to = process.cut_from = 0.0
        process.connects = True
        process.traps.clear()
    paused = max((each.paused_until - world.now for each in world.processes), default=0.0)
    world.run(max(0.0, paused))
    if all(process.stopping for process in world.processes):
        world.start()
    left = set(world.database.instances)
    for wait in (CALM / 3, CALM / 3, CALM / 3, 5.0, 5.0):  # some are between two owners, but not the same ones for long
        world.run(wait)
        left.intersection_update(
            each for each in world.homeless() if world.database.instances[each].claims <= MOST_CLAIMS
        )
        if not left:
            return
    if not world.stepped:
        raise Violated(f"{world.now:.1f}: nobody owns {sorted(left)[:5]}, {len(left)} in all")


def play(seed: int, size: Size | None = None, make_owner: MakeOwner = Owner, kind: type[World] = World) -> World:
    """Plays one schedule; each fourth to the end, when all are owned again. Raises Violated."""
    world, size = build(seed, size, make_owner, kind)
    world.run(size.seconds)
    if seed % 4 == 0:
        calm(world)
    return world


def spread(world: World) -> list[int]:
    """Returns how many instances each worker without a limit owns."""
    return sorted(len(process.owner.owned) for process in world.processes if process.capacity == UNLIMITED)


def is_fair(world: World) -> bool:
    owned = spread(world)
    share = -(-len(world.database.instances) // max(1, len(owned)))
    return owned[-1] - owned[0] < max(2, 2 * SLACK * share)


def settle(world: World, seconds: float) -> float:
    """Waits until the fleet is fair. Returns the seconds that it took. Raises Violated."""
    began = world.now
    while not is_fair(world):
        if world.now - began > seconds:
            raise Violated(f"{world.now:.1f}: still unfair: {spread(world)}")
        world.run(HAND_OVER)
    return world.now - began


def first_violation(seeds: range, make_owner: MakeOwner = Owner, kind: type[World] = World) -> int | None:
    """Returns the seed of the first schedule in which something did not hold."""
    for seed in seeds:
        try:
            play(seed, make_owner=make_owner, kind=kind)
        except Violated:
            return seed
    return None
