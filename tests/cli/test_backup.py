"""`wa-worker backup` and `restore` as they are called."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.backup.volume import KEY, fill
from wa_worker.cli.commands import cli
from wa_worker.journal import open_journal
from wa_worker.ownership.closed import why_closed
from wa_worker.ownership.volume import try_volume


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    auth_dir = tmp_path / "auth"
    with open_journal(auth_dir / "@worker" / "journal.db") as journal:
        fill(journal, auth_dir)
    return auth_dir


def call(volume: Path, *arguments: str | Path, key: str | None = None) -> Result:
    environment = {"AUTH_DIR": str(volume), "BACKUP_KEY": KEY.reveal() if key is None else key or None}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("signal.signal", lambda *_: None)  # pytest keeps its own way to end
        return CliRunner().invoke(cli, [str(argument) for argument in arguments], env=environment)


def test_a_file_has_its_name_when_it_is_whole_and_is_never_written_over(volume: Path, tmp_path: Path) -> None:
    file = tmp_path / "a.backup"
    done = call(volume, "backup", file)
    assert (done.exit_code, done.stdout) == (0, "")
    assert "2 sessions" in done.stderr
    assert file.stat().st_mode & 0o077 == 0
    raw = file.read_bytes()
    again = call(volume, "backup", file)
    assert again.exit_code == 1
    assert "exists" in again.stderr
    assert file.read_bytes() == raw
    listed = call(volume, "backup", "--list", file)
    assert listed.exit_code == 0
    assert [line.split()[0] for line in listed.stdout.splitlines()] == ["made", "SESSION", "cafe", "shop", "2"]
    assert KEY.reveal() not in done.output + listed.output


def test_a_backup_that_fails_leaves_no_file(volume: Path, tmp_path: Path) -> None:
    assert call(volume, "backup", tmp_path / "a", "--instance", "nobody").exit_code == 1
    assert [path.name for path in tmp_path.iterdir()] == ["auth"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["backup"],
        ["backup", "f", "--take-back"],
        ["backup", "f", "--move", "--instance", "shop"],
        ["backup", "f", "--move", "--list"],
        ["backup", "f", "--instance", "../x"],
        ["restore"],
    ],
)
def test_wrong_calls_exit_2(volume: Path, arguments: list[str]) -> None:
    assert call(volume, *arguments).exit_code == 2


@pytest.mark.parametrize(("key", "says"), [("", "BACKUP_KEY is not set"), ("short", "fewer than 16")])
def test_no_key_is_a_wrong_setting(volume: Path, tmp_path: Path, key: str, says: str) -> None:
    for command in ("backup", "restore"):
        file = tmp_path / "f" if command == "backup" else volume / "@worker" / "journal.db"
        done = call(volume, command, file, key=key)
        assert done.exit_code == 2
        assert says in done.stderr


def test_a_move_can_be_taken_back_once(volume: Path, tmp_path: Path) -> None:
    assert call(volume, "backup", tmp_path / "f", "--move").exit_code == 0
    assert call(volume, "backup", "--take-back").exit_code == 0
    again = call(volume, "backup", "--take-back")
    assert again.exit_code == 1
    assert "nothing to take back" in again.stderr


@pytest.mark.parametrize("ended", [None, signal.SIGINT, signal.SIGTERM])
def test_a_move_says_what_it_waits_for_and_can_be_ended(
    volume: Path, tmp_path: Path, ended: signal.Signals | None
) -> None:
    environment = {"PATH": os.environ["PATH"], "AUTH_DIR": str(volume), "BACKUP_KEY": KEY.reveal()}
    file = tmp_path / "moved"
    command = [sys.executable, "-m", "wa_worker", "backup", "--move", str(file)]
    with try_volume(volume):
        process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
        assert process.stderr is not None
        assert b"waiting for the worker to stop" in process.stderr.readline()
        if ended is not None:
            process.send_signal(ended)
            process.wait(20)
    _, rest = process.communicate(timeout=60)
    if ended is None:
        assert process.returncode == 0, rest
        assert file.exists()
    else:
        assert process.returncode == 128 + ended
        assert [path.name for path in tmp_path.iterdir()] == ["auth"]
    assert (why_closed(volume) is None) == (ended is not None)


def test_it_goes_through_a_pipe(volume: Path, tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "AUTH_DIR": str(volume), "BACKUP_KEY": KEY.reveal()}
    program = [sys.executable, "-m", "wa_worker"]
    out = subprocess.run([*program, "backup", "--move", "-"], env=environment, capture_output=True, timeout=60)
    assert out.returncode == 0, out.stderr
    new = tmp_path / "new"
    into = subprocess.run(
        [*program, "restore", "-", "--into", str(new)],
        env=environment,
        input=out.stdout,
        capture_output=True,
        timeout=60,
    )
    assert into.returncode == 0, into.stderr
    assert (new / "shop" / "session.db").exists()
    refused = subprocess.run(
        [*program, "run"],
        env={**environment, "EDGE_BASE_URL": "http://127.0.0.1:1", "WORKER_SECRET": "s" * 20, "PORT": "0"},
        capture_output=True,
        timeout=60,
    )
    assert refused.returncode == 1
    assert b"run the copy" in refused.stderr
