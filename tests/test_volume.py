"""The guard of the volume's room: when sessions close and open again, and whether the volume takes a write.

How much is free is what the operating system says; here its answer is forged, tests/e2e/test_disk.py fills a real disk.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import trio
from structlog.testing import capture_logs
from trio.abc import Clock
from trio.testing import MockClock

from tests.proxy_fixture import until
from wa_worker.models import RESERVED_FOLDER
from wa_worker.volume import ENOUGH, LOOK, PLENTY, VolumeGuard

Free = Callable[[int], None]


@pytest.fixture
def fast() -> Clock:
    """A second takes 10 ms on this clock. pytest-trio runs the test by the clock that is among its arguments."""
    return MockClock(rate=100.0)


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> Free:
    """Sets how many bytes the operating system says are free."""

    def set_free(size: int) -> None:
        monkeypatch.setattr(os, "statvfs", lambda _path: SimpleNamespace(f_bavail=size // 512, f_frsize=512))

    return set_free


@pytest.fixture
def auth_dir(tmp_path: Path) -> Path:
    (tmp_path / RESERVED_FOLDER).mkdir()
    return tmp_path


async def test_it_closes_below_enough_and_opens_at_plenty_only(
    auth_dir: Path, free: Free, fast: Clock, nursery: trio.Nursery
) -> None:
    guard = VolumeGuard(auth_dir)
    free(ENOUGH)
    nursery.start_soon(guard.run)
    await trio.sleep(3 * LOOK)
    assert not guard.full
    free(ENOUGH - 512)
    await guard.wait_full()
    assert guard.full
    free(PLENTY - 512)
    await trio.sleep(3 * LOOK)
    assert guard.full, "it does not flap"
    free(PLENTY)
    await until(lambda: not guard.full)
    free(ENOUGH)
    await trio.sleep(3 * LOOK)
    assert not guard.full, "enough is enough for who is open"
    nursery.cancel_scope.cancel()


async def test_it_says_so_once_each_way(auth_dir: Path, free: Free, fast: Clock) -> None:
    guard = VolumeGuard(auth_dir)
    free(0)
    with capture_logs() as lines:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(guard.run)
            await guard.wait_full()
            await trio.sleep(3 * LOOK)
            free(PLENTY)
            await until(lambda: not guard.full)
            await trio.sleep(3 * LOOK)
            nursery.cancel_scope.cancel()
    assert [(line["log_level"], line["free_mb"]) for line in lines] == [("error", 0), ("info", 32)]


async def test_a_volume_that_cannot_be_looked_at_counts_as_full(tmp_path: Path, nursery: trio.Nursery) -> None:
    guard = VolumeGuard(tmp_path / "gone")
    nursery.start_soon(guard.run)
    with trio.fail_after(10):
        await guard.wait_full()
    nursery.cancel_scope.cancel()


async def test_a_full_volume_is_a_problem_without_a_trial(auth_dir: Path, free: Free, nursery: trio.Nursery) -> None:
    free(0)
    guard = VolumeGuard(auth_dir)
    nursery.start_soon(guard.run)
    with trio.fail_after(10):
        await guard.wait_full()
    assert await guard.problem() == "the volume is full"
    nursery.cancel_scope.cancel()


async def test_a_trial_write_leaves_nothing_behind(auth_dir: Path) -> None:
    assert await VolumeGuard(auth_dir).problem() is None
    assert list((auth_dir / RESERVED_FOLDER).iterdir()) == []


async def test_a_write_that_fails_is_the_problem_in_the_systems_words(auth_dir: Path) -> None:
    (auth_dir / RESERVED_FOLDER / "trial").mkdir()
    assert await VolumeGuard(auth_dir).problem() == "the volume cannot be written: Is a directory"


async def test_a_trial_counts_for_all_for_a_while(auth_dir: Path, fast: Clock) -> None:
    """Two hundred instances that open their sessions at once do not write two hundred times."""
    guard, obstacle = VolumeGuard(auth_dir), auth_dir / RESERVED_FOLDER / "trial"
    assert await guard.problem() is None
    tried = trio.current_time()
    obstacle.mkdir()
    answers: list[str | None] = []

    async def ask() -> None:
        answers.append(await guard.problem())

    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(ask)
    assert trio.current_time() - tried < LOOK
    assert answers == [None] * 20
    await trio.sleep(LOOK)
    assert await guard.problem() == "the volume cannot be written: Is a directory"
    obstacle.rmdir()
    await trio.sleep(LOOK)
    assert await guard.problem() is None
