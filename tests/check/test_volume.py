"""What `wa-worker check` makes of AUTH_DIR."""

from __future__ import annotations

import errno
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.check.results import by_name
from tests.nobody import as_nobody, folder_of_nobody
from wa_worker.check.result import Grade, Result
from wa_worker.check.volume import _cannot, instances_on, look_at_volume
from wa_worker.ownership.closed import MOVED, close_volume
from wa_worker.ownership.volume import hold_volume


def test_a_good_volume(tmp_path: Path) -> None:
    found = by_name(look_at_volume(tmp_path))
    assert {found[name].grade for name in ("volume", "free space", "permissions", "lock")} == {Grade.OK}
    assert list(tmp_path.iterdir()) == []


def test_a_volume_that_the_worker_will_make_is_not_made(tmp_path: Path) -> None:
    auth_dir = tmp_path / "data" / "auth"
    found = by_name(look_at_volume(auth_dir))
    assert found["volume"].grade is Grade.OK
    assert str(tmp_path) in found["volume"].found
    assert list(tmp_path.iterdir()) == []


def test_the_instances_are_those_with_a_session(tmp_path: Path) -> None:
    for folder in ("shop", "pub", "@worker", "lost+found"):
        (tmp_path / folder).mkdir()
    for folder in ("shop", "pub", "@worker"):
        (tmp_path / folder / "session.db").touch()
    assert instances_on(tmp_path) == {"shop", "pub"}
    assert instances_on(tmp_path / "nowhere") == frozenset()


def test_what_is_above_the_volume_is_never_handed_over(tmp_path: Path) -> None:
    auth_dir, denied = tmp_path / "data" / "auth", PermissionError(errno.EACCES, "Permission denied")
    above = _cannot("cannot write to", tmp_path, denied, auth_dir).remedy or ""
    assert f"mkdir -p {auth_dir} && chown -R " in above
    inside = _cannot("cannot write to", auth_dir / "@worker", denied, auth_dir).remedy or ""
    assert "mkdir" not in inside
    assert above.endswith(f" {auth_dir}")
    assert inside.endswith(f" {auth_dir}")


async def test_a_running_worker_is_noticed_and_no_fault(tmp_path: Path) -> None:
    async with hold_volume(tmp_path):
        assert by_name(look_at_volume(tmp_path))["lock"] == Result(
            "lock", Grade.WARN, "a worker is running here", "nothing, if there should be one; a second one would wait"
        )
    assert by_name(look_at_volume(tmp_path))["lock"].grade is Grade.OK


def test_a_volume_that_was_moved_is_a_fault_and_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "@worker").mkdir()
    close_volume(tmp_path, MOVED)
    lock = by_name(look_at_volume(tmp_path))["lock"]
    assert lock.grade is Grade.FAIL
    assert "run the copy" in lock.found


def test_sessions_that_others_can_read_are_warned_of(tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    shop.mkdir(mode=0o755)
    (shop / "session.db").touch()
    tmp_path.chmod(0o755)
    found = by_name(look_at_volume(tmp_path))["permissions"]
    assert (found.grade, found.remedy) == (Grade.WARN, f"chmod -R go= {tmp_path}")
    tmp_path.chmod(0o700)
    assert by_name(look_at_volume(tmp_path))["permissions"].grade is Grade.OK


def test_files_of_another_user_are_a_fault() -> None:
    with folder_of_nobody() as folder:

        def look() -> Result:
            (folder / "@worker").mkdir()
            (folder / "@worker" / "journal.db").touch(mode=0o400)
            return by_name(look_at_volume(folder))["permissions"]

        found = as_nobody(look)
    assert found.grade is Grade.FAIL
    assert "chown" in (found.remedy or "")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m,mode=700", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("cannot mount a tmpfs here")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_full_and_passing_disk(small_disk: Path) -> None:
    found = by_name(look_at_volume(small_disk))
    assert found["volume"].grade is Grade.OK
    assert (found["free space"].grade, found["file system"].grade) == (Grade.FAIL, Grade.WARN)
    (small_disk / "filler").write_bytes(bytes(8 * 2**20))
    assert "No space" in by_name(look_at_volume(small_disk))["volume"].found
