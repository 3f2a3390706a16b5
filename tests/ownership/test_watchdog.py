"""The watchdog in a process of its own, which it ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.environment import bare

LATE = 1.0
"""Seconds within which it is gone after the deadline, or after it was stopped beyond that."""

SLACK = 1.0
"""Seconds for a machine that does other things, too."""


@contextmanager
def watched(what: str, seconds: float) -> Iterator[subprocess.Popen[str]]:
    run = [sys.executable, "-m", "tests.ownership.watched_process", what, str(seconds)]
    process = subprocess.Popen(run, env=bare(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "watching\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def end(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    assert process.stdout is not None
    assert process.stderr is not None
    said = process.stdout.read()  # what readline() has read ahead is in there
    return process.wait(20), said, process.stderr.read()


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("lapses", "was not renewed in time"),
        ("cannot tell", "no deadline"),
        ("cannot cut", "no cut"),
    ],
)
def test_it_cuts_says_why_and_exits(what: str, reason: str) -> None:
    with watched(what, 0.5) as process:
        started = time.monotonic()
        code, said, logged = end(process)
        assert time.monotonic() - started < 0.5 + LATE + SLACK
        assert (code, said) == (1, "cut\nkept\n")
        assert reason in logged
        assert len(logged.splitlines()) == 1


def test_a_cut_that_hangs_keeps_it_no_longer() -> None:
    with watched("hangs", 0.2) as process:
        assert end(process)[:2] == (1, "cut\n")


def test_renewals_keep_it() -> None:
    with watched("renews", 1.0) as process:
        assert end(process)[:2] == (0, "done\n")


def test_one_that_has_closed_everything_may_go_on() -> None:
    with watched("stands down", 0.5) as process:
        assert end(process) == (0, "done\n", "")


def test_one_that_was_stopped_beyond_the_deadline_exits_when_it_goes_on() -> None:
    with watched("lapses", 2.0) as process:
        process.send_signal(signal.SIGSTOP)
        time.sleep(3.0)
        assert process.poll() is None
        process.send_signal(signal.SIGCONT)
        resumed = time.monotonic()
        assert end(process)[:2] == (1, "cut\nkept\n")
        assert time.monotonic() - resumed < LATE
