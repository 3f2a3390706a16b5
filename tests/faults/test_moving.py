"""Twenty instances that move house under traffic."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.moving import move_house
from tests.e2e.world import open_world


async def test_twenty_instances_move_house_and_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    async with open_world(tmp_path, contract=2) as world:
        await move_house(world, 20, str(tmp_path / "new"))
