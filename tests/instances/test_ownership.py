"""What the word "replaced" means to a worker that shares its instances: by the lease, not by that word alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from tests.instances.bed import open_bed
from tests.instances.test_shared_fleet import Shared
from wa_worker.instances.ownership import ONCE_IN, judged
from wa_worker.states import Event, Report

REPLACED = Report(Event.REPLACED, "conflict")


@pytest.mark.parametrize(
    ("answer", "means"),
    [(True, Event.OVERTAKEN), (False, Event.STORE_LOST), (None, Event.REPLACED)],
    ids=["ours", "another's", "no answer"],
)
async def test_the_lease_says_who_has_logged_in(tmp_path: Path, answer: bool | None, means: Event) -> None:
    async with open_bed(tmp_path) as bed:
        assert (await judged(Shared(answer=answer), bed.state(), REPLACED)).event is means


async def test_what_is_ours_is_opened_at_once_but_once_in_ten_minutes(tmp_path: Path) -> None:
    async with open_bed(tmp_path) as bed:
        state, shared = bed.state(), Shared(answer=True)
        assert (await judged(shared, state, REPLACED)).event is Event.OVERTAKEN
        assert (await judged(shared, state, REPLACED)).event is Event.REPLACED, "no fight"
        shared.answer = False
        assert (await judged(shared, state, REPLACED)).event is Event.STORE_LOST, "it is asked each time"
        shared.answer = True
        state.overtaken_at = trio.current_time() - ONCE_IN
        assert (await judged(shared, state, REPLACED)).event is Event.OVERTAKEN


async def test_nothing_else_is_judged_nor_anything_on_a_box_of_its_own(tmp_path: Path) -> None:
    async with open_bed(tmp_path) as bed:
        state = bed.state()
        assert await judged(None, state, REPLACED) is REPLACED
        banned = Report(Event.BANNED, seconds=60.0)
        assert await judged(Shared(answer=False), state, banned) is banned
