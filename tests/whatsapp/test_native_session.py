"""A session that never got its turn: closing it costs nobody anything. (What one with a turn does: test_session.py.)

The library's client is real and has nothing to do: what is tested is that it is not asked.
"""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import trio
import trio.testing

from tests.proxy_fixture import PATIENCE, SHOP
from wa_worker.errors import SessionError
from wa_worker.models import Secret
from wa_worker.whatsapp.client import Callbacks, QuietClient
from wa_worker.whatsapp.gate import StartGate
from wa_worker.whatsapp.native_session import HASTE, NativeSession

SILENT = Callbacks(lambda _code, _data: None, lambda _level, _part, _text: None)
AT_ONCE = HASTE / 3
"""Seconds, on a machine that is busy. A session that is waited for takes HASTE at the least."""


def session(folder: Path, gate: StartGate, threads: trio.Nursery) -> NativeSession:
    return NativeSession(SHOP, QuietClient(Secret(str(folder / "x.db")), "x", "the device", gate), gate, threads)


def untouched(folder: Path) -> bool:
    return not list(folder.iterdir())


async def run(native: NativeSession, obstacle: str | None = None) -> None:
    async with AsyncExitStack() as stack:
        stack.push_async_callback(native.close)
        await native.start(SILENT, lambda error: None, lambda: obstacle)


async def test_cancelled_before_its_turn_it_ends_at_once_and_leaves_the_gate_alone(
    tmp_path: Path, nursery: trio.Nursery
) -> None:
    gate = StartGate()
    began = time.monotonic()
    async with gate.exclusive():
        async with trio.open_nursery() as waiting:
            waiting.start_soon(run, session(tmp_path, gate, nursery))
            await trio.testing.wait_all_tasks_blocked()
            waiting.cancel_scope.cancel()
        assert time.monotonic() - began < AT_ONCE
    with trio.fail_after(PATIENCE):
        await trio.to_thread.run_sync(gate.pass_through, abandon_on_cancel=True)
    assert time.monotonic() - began < AT_ONCE, "sends of all others waited"
    assert untouched(tmp_path)


async def test_so_does_one_that_is_cancelled_from_the_start(tmp_path: Path, nursery: trio.Nursery) -> None:
    gate = StartGate()
    began = time.monotonic()
    with trio.CancelScope() as scope:
        gate.pass_through()
        scope.cancel()
        await run(session(tmp_path, gate, nursery))
    assert scope.cancelled_caught
    assert time.monotonic() - began < AT_ONCE
    assert untouched(tmp_path)


async def test_with_an_obstacle_it_does_not_stand_in_line_to_be_closed(tmp_path: Path, nursery: trio.Nursery) -> None:
    gate = StartGate()
    leaving = trio.Event()

    async def next_in_line() -> None:
        async with gate.exclusive():
            await leaving.wait()

    async def refused() -> None:
        with pytest.raises(SessionError, match="not now"):
            await run(session(tmp_path, gate, nursery), "not now")
        leaving.set()

    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as both, gate.exclusive():
            both.start_soon(refused)
            await trio.testing.wait_all_tasks_blocked()
            both.start_soon(next_in_line)
            await trio.testing.wait_all_tasks_blocked()
