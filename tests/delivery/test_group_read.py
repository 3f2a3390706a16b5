"""Reading for several tasks in one hop."""

from __future__ import annotations

import threading
from collections.abc import Mapping

import attrs
import pytest
import trio

from wa_worker.delivery.group_read import GroupRead
from wa_worker.errors import JournalError


@attrs.define
class Reading:
    """What was read for, in each hop."""

    hops: list[list[int]] = attrs.Factory(list)
    fails: bool = False
    threads: set[int] = attrs.Factory(set)

    def read(self, keys: list[int]) -> Mapping[int, str]:
        self.threads.add(threading.get_ident())
        self.hops.append(list(keys))
        if self.fails:
            raise JournalError("no disk")
        return {key: str(key) for key in keys}


async def get_all(group: GroupRead[int, str], keys: range) -> dict[int, str]:
    found: dict[int, str] = {}

    async def get(key: int) -> None:
        found[key] = await group.get(key)

    async with trio.open_nursery() as nursery:
        for key in keys:
            nursery.start_soon(get, key)
    return found


async def test_what_is_asked_in_the_same_moment_is_read_at_once() -> None:
    reading = Reading()
    group = GroupRead(reading.read)
    assert await get_all(group, range(50)) == {key: str(key) for key in range(50)}
    assert len(reading.hops) == 1
    assert await get_all(group, range(2)) == {0: "0", 1: "1"}
    assert len(reading.hops) == 2
    assert threading.get_ident() not in reading.threads


async def test_all_who_asked_hear_of_an_error_and_the_next_are_read_for() -> None:
    reading = Reading(fails=True)
    group = GroupRead(reading.read)
    heard = 0

    async def get(key: int) -> None:
        nonlocal heard
        with pytest.raises(JournalError):
            await group.get(key)
        heard += 1

    async with trio.open_nursery() as nursery:
        for key in range(5):
            nursery.start_soon(get, key)
    assert heard == 5
    reading.fails = False
    assert await group.get(7) == "7"


async def test_one_that_is_cancelled_takes_nobody_along() -> None:
    for round_ in range(20):  # who reads for the other is chance
        cancelled = round_ % 2
        reading = Reading()
        group = GroupRead(reading.read)
        found: list[str] = []
        scope = trio.CancelScope()

        async def get(key: int, scope: trio.CancelScope) -> None:
            with scope:
                found.append(await group.get(key))  # noqa: B023 - it ends within the round

        async with trio.open_nursery() as nursery:
            for key in range(2):
                nursery.start_soon(get, key, scope if key == cancelled else trio.CancelScope())
            scope.cancel()
        assert str(1 - cancelled) in found
        assert await group.get(3) == "3"
