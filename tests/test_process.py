"""The worker as a process: what it sees to before Go is loaded, and how it ends. Each test starts the real one."""

from __future__ import annotations

import resource
import signal
import socket
import subprocess
import sys
from pathlib import Path

import attrs
import pytest

from tests.environment import bare

RUN = [sys.executable, "-m", "wa_worker", "run"]
LOOK = """
import os, resource, signal, sys
from wa_worker.process import prepare_process
prepare_process()
print(os.environ.get("NEONIZE_BOT_TAG"), os.getpid(), *resource.getrlimit(resource.RLIMIT_NOFILE), *sys.argv[1:])
"""


def look(**more: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", LOOK, "an argument"], env=bare(**more), capture_output=True, text=True, check=True
    )
    return done.stdout.split()


@pytest.mark.parametrize("tag", [{}, {"NEONIZE_BOT_TAG": "on"}, {"NEONIZE_BOT_TAG": "off"}])
def test_go_gets_its_environment_with_the_arguments_kept(tag: dict[str, str]) -> None:
    assert (look(**tag)[0], look(**tag)[4:]) == ("off", ["an", "argument"])


LIMIT = "import os; from wa_worker.process import prepare_process; prepare_process(); print(os.environ['GOMEMLIMIT'])"


@pytest.mark.parametrize(("sessions", "given", "limit"), [(0, "", "32MiB"), (3, "", "35MiB"), (3, "1GiB", "1GiB")])
def test_go_s_memory_is_limited_by_the_sessions_on_the_volume(
    tmp_path: Path, sessions: int, given: str, limit: str
) -> None:
    for number in range(sessions):
        (tmp_path / f"shop{number}").mkdir()
        (tmp_path / f"shop{number}" / "session.db").touch()
    environment = bare(AUTH_DIR=str(tmp_path), GOMEMLIMIT=given)
    done = subprocess.run([sys.executable, "-c", LIMIT], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == limit


def test_it_is_replaced_and_not_followed_by_a_second_process() -> None:
    """A container's process 1 is the one that signals come to."""
    process = subprocess.Popen([sys.executable, "-c", LOOK], env=bare(), stdout=subprocess.PIPE, text=True)
    said, _ = process.communicate(timeout=60)
    assert int(said.split()[1]) == process.pid


def test_the_limit_of_open_files_is_raised_as_far_as_it_goes() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    line = f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (64, {hard}))\n"
    done = subprocess.run([sys.executable, "-c", line + LOOK], env=bare(), capture_output=True, text=True, check=True)
    assert done.stdout.split()[2:4] == [str(hard), str(hard)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_before_the_program_has_begun_ends_it_quietly(number: signal.Signals) -> None:
    program = (
        "import time; from wa_worker.process import prepare_process\nprepare_process(); print('up'); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-uc", program], env=bare(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")


def test_wrong_settings_are_all_named_and_end_with_2() -> None:
    done = subprocess.run(RUN, env=bare(PORT="x"), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert [line.split()[1] for line in done.stderr.splitlines()] == ["EDGE_BASE_URL", "WORKER_SECRET", "PORT"]
    assert all(line.startswith("error: ") for line in done.stderr.splitlines())


@attrs.frozen
class Hopeless:
    """What keeps the worker from starting, and what it says."""

    name: str
    settings: dict[str, str]
    says: str


def settings_in(folder: Path) -> dict[str, str]:
    """The settings of a worker that starts, and finds no proxy."""
    return {
        "EDGE_BASE_URL": "http://127.0.0.1:1",
        "WORKER_SECRET": "s",
        "AUTH_DIR": str(folder / "auth"),
        "BIND_HOST": "127.0.0.1",
        "PORT": "0",
    }


def hopeless(folder: Path, taken: int) -> list[Hopeless]:
    (folder / "file").touch()
    (folder / "spoiled" / "@worker").mkdir(parents=True)
    (folder / "spoiled" / "@worker" / "journal.db").write_bytes(b"no database" * 1000)
    return [
        Hopeless("port", {"PORT": str(taken)}, f"error: cannot listen on 127.0.0.1 port {taken}"),
        Hopeless("volume", {"AUTH_DIR": str(folder / "file" / "auth")}, "error: cannot write to AUTH_DIR="),
        Hopeless("journal", {"AUTH_DIR": str(folder / "spoiled")}, "file is not a database"),
    ]


def test_what_keeps_it_from_starting_is_one_line_and_ends_with_1(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        for case in hopeless(tmp_path, busy.getsockname()[1]):
            settings = {**settings_in(tmp_path), "LOG_LEVEL": "error", **case.settings}
            done = subprocess.run(RUN, env=bare(**settings), capture_output=True, text=True, timeout=60, check=False)
            assert done.returncode == 1, case
            assert case.says in done.stderr, case
            assert "Traceback" not in done.stderr, case


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
def test_what_it_makes_is_for_its_user_only(tmp_path: Path) -> None:
    """whatsmeow makes the files of the sessions, with all that the process lets it."""
    process = subprocess.Popen(RUN, env=bare(**settings_in(tmp_path)), stderr=subprocess.PIPE, text=True, umask=0o022)
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if "health answers" in line:
                break
        assert "Umask:\t0077\n" in Path(f"/proc/{process.pid}/status").read_text()
    finally:
        process.terminate()
        process.communicate(timeout=60)
    assert process.returncode == 0
