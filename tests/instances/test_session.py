"""A session of a paired instance, as far as it goes without one: what keeps it from being opened.

What a session reports, and the sending beside it, needs a process in which the library trusts the simulated server:
tests/whatsapp/test_session.py has the session, tests/e2e/ the whole.
"""

from __future__ import annotations

import time
from pathlib import Path

import trio

from tests.instances.bed import Bed, open_bed
from tests.proxy_fixture import PATIENCE, SHOP
from wa_worker.instances.session import run_session
from wa_worker.models import RESERVED_FOLDER, InstanceId
from wa_worker.states import Action, Event, Move, Report, State
from wa_worker.whatsapp.bridge import CROWD


async def refused(bed: Bed) -> tuple[Move, Report]:
    state = bed.state()
    state.apply(Event.PAIRED)
    with trio.fail_after(PATIENCE):
        move, report = await run_session(bed.services, state)
    assert state.current is State.RETRYING
    assert (move.action, report.event) == (Action.REOPEN, Event.OPEN_FAILED)
    assert bed.services.registry.all()[SHOP].detail == report.detail
    return move, report


async def test_none_is_opened_while_whatsapp_cannot_be_reached(tmp_path: Path) -> None:
    async with open_bed(tmp_path, reachable=False) as bed:
        _, report = await refused(bed)
    assert "no TCP connection" in report.detail


async def test_nor_while_the_volume_takes_no_write(tmp_path: Path) -> None:
    async with open_bed(tmp_path) as bed:
        (tmp_path / RESERVED_FOLDER / "trial").mkdir()
        _, report = await refused(bed)
    assert report.detail == "the volume cannot be written: Is a directory"


async def test_nor_while_none_gets_through_and_another_one_tries(tmp_path: Path) -> None:
    async with open_bed(tmp_path) as bed:
        breaker = bed.services.whatsapp.breaker
        for number in range(CROWD):
            breaker.record_failure(InstanceId(f"other {number}"))
        assert breaker.allows(InstanceId("other 0"))
        began = time.monotonic()
        _, report = await refused(bed)
    assert report.detail == "no session gets through: one at a time finds out"
    assert time.monotonic() - began < 2
