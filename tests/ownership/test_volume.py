"""The lock on AUTH_DIR: one holder at a time, in this process and in others, and gone however the holder ends."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import trio
from structlog.testing import capture_logs

from tests.proxy_fixture import PATIENCE
from wa_worker.errors import StartupError
from wa_worker.models import RESERVED_FOLDER
from wa_worker.ownership.volume import hold_volume

HOLDER = """
import sys, pathlib, trio
from wa_worker.ownership.volume import hold_volume
async def main():
    async with hold_volume(pathlib.Path(sys.argv[1])):
        print("held", flush=True)
        await trio.sleep_forever()
trio.run(main)
"""


async def start_holder(auth_dir: Path) -> trio.Process:
    """Another process that holds the volume."""
    process = await trio.lowlevel.open_process([sys.executable, "-c", HOLDER, str(auth_dir)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with trio.fail_after(PATIENCE):
        assert (await process.stdout.receive_some()).startswith(b"held")
    return process


async def end(process: trio.Process) -> None:
    process.send_signal(signal.SIGKILL)
    await process.wait()
    assert process.stdout is not None
    await process.stdout.aclose()


async def test_the_folder_is_made_and_private(tmp_path: Path) -> None:
    auth_dir = tmp_path / "data" / "auth"
    async with hold_volume(auth_dir) as folder:
        assert folder == auth_dir / RESERVED_FOLDER
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((folder / "lock").stat().st_mode) == 0o600


async def test_the_second_waits_until_the_first_has_gone(tmp_path: Path) -> None:
    order: list[str] = []

    async def second() -> None:
        async with hold_volume(tmp_path):
            order.append("second")

    with trio.fail_after(PATIENCE), capture_logs() as lines:
        async with trio.open_nursery() as nursery, hold_volume(tmp_path):
            nursery.start_soon(second)
            await trio.sleep(1.2)  # two tries
            order.append("first")
    assert order == ["first", "second"]
    assert [line["event"] for line in lines] == [
        "another worker holds the volume, waiting for it to end",
        "the volume is free, taking over",
    ]


async def test_it_goes_with_the_process_however_that_ends(tmp_path: Path) -> None:
    holder = await start_holder(tmp_path)
    try:
        with trio.move_on_after(0.7) as waiting:
            async with hold_volume(tmp_path):
                pass
        assert waiting.cancelled_caught
        holder.kill()
        with trio.fail_after(PATIENCE):
            async with hold_volume(tmp_path):
                pass
    finally:
        with trio.CancelScope(shield=True):  # it was killed: this does not take long
            await end(holder)


async def test_a_child_does_not_inherit_it(tmp_path: Path) -> None:
    """A pairing host that outlives its worker must not keep the next one waiting."""
    async with hold_volume(tmp_path):
        child = await trio.lowlevel.open_process(["sleep", "60"], close_fds=False)
    try:
        with trio.fail_after(PATIENCE):
            async with hold_volume(tmp_path):
                pass
    finally:
        child.kill()
        with trio.CancelScope(shield=True):
            await child.wait()


async def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StartupError, match=rf"AUTH_DIR={tmp_path}/file/auth: Not a directory.*uid {os.getuid()}"):
        async with hold_volume(tmp_path / "file" / "auth"):
            raise AssertionError
    (tmp_path / RESERVED_FOLDER / "lock").mkdir(parents=True)
    with pytest.raises(StartupError, match="Is a directory"):
        async with hold_volume(tmp_path):
            raise AssertionError


async def test_an_error_of_the_holder_lets_go(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        async with hold_volume(tmp_path):
            _ = 1 / 0
    with trio.fail_after(PATIENCE):
        async with hold_volume(tmp_path):
            pass
