"""The files of received messages on the volume: whole or not there, and no more than there is room for."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
import trio.testing

from wa_worker.delivery import media_folder
from wa_worker.delivery.media_folder import MediaFolder
from wa_worker.errors import EdgeUnavailable


@pytest.fixture
def folder(tmp_path: Path) -> MediaFolder:
    made = MediaFolder(tmp_path / "files", 1000, trio.CapacityLimiter(2))
    made.begin(made.tidied(()))
    return made


async def write(folder: MediaFolder, seq: int, data: bytes) -> None:
    async with folder.writing(seq, 600) as file:
        file.write(data)
        assert not folder.path(seq).exists(), "it has no name before it is whole"
        await folder.kept(seq, file, len(data))


async def test_a_file_gets_its_name_when_it_is_whole(folder: MediaFolder) -> None:
    await write(folder, 1, b"whole")
    assert folder.path(1).read_bytes() == b"whole"
    assert folder.path(1).stat().st_mode & 0o077 == 0, "nobody else reads it"
    assert (await folder.size_of(1), folder.size) == (5, 5)
    await folder.drop(1)
    assert (await folder.size_of(1), folder.size) == (None, 0)
    assert list(folder.path(1).parent.iterdir()) == []


@pytest.mark.parametrize("ends", ["an error", "a cancel", "nothing"])
async def test_nothing_is_left_of_one_that_is_not(folder: MediaFolder, ends: str) -> None:
    with trio.CancelScope() as scope:
        try:
            async with folder.writing(1, 600) as file:
                file.write(b"half")
                if ends == "an error":
                    raise ZeroDivisionError  # noqa: TRY301
                if ends == "a cancel":
                    scope.cancel()
                    await trio.sleep(1)
        except ZeroDivisionError:
            pass
    assert list(folder.path(1).parent.iterdir()) == []
    with trio.fail_after(1):
        await write(folder, 2, b"there is room again")


async def test_a_file_waits_for_room(folder: MediaFolder, nursery: trio.Nursery) -> None:
    await write(folder, 1, bytes(500))
    done = trio.Event()

    async def second() -> None:
        await write(folder, 2, bytes(100))
        done.set()

    nursery.start_soon(second)
    await trio.testing.wait_all_tasks_blocked(0.05)
    assert not done.is_set()
    await folder.drop(1)
    with trio.fail_after(5):
        await done.wait()


async def test_what_is_larger_than_all_the_room_takes_all_of_it(folder: MediaFolder) -> None:
    with trio.fail_after(5):
        async with folder.writing(1, 5000):
            pass


async def test_room_on_the_volume_is_left_for_what_cannot_wait(
    folder: MediaFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media_folder, "RESERVE", 2**60)
    with pytest.raises(EdgeUnavailable, match="nearly full"):
        await write(folder, 1, b"x")
    assert list(folder.path(1).parent.iterdir()) == []


async def test_a_volume_that_takes_no_file_is_tried_again_later(folder: MediaFolder) -> None:
    folder.path(1).parent.rmdir()
    with pytest.raises(EdgeUnavailable, match="takes no file"):
        await write(folder, 1, b"x")


def test_what_a_crash_has_left_is_deleted(tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    for name in ("1", "2", "2.part", "x"):
        (files / name).write_bytes(b"left")
    folder = MediaFolder(files, 1000, trio.CapacityLimiter(2))
    assert folder.tidied([1, 3]) == {1: 4}
    assert [path.name for path in files.iterdir()] == ["1"]
