"""Stray prints become log lines; the last words of a process that aborts are not held back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

START = """
import ctypes, os, sys, threading
from wa_worker.config import LogFormat
from wa_worker.logs import log_crash, set_up_logs
from wa_worker.whatsapp.native_output import standard_output_logged
set_up_logs("LEVEL", LogFormat.JSON)
libc = ctypes.CDLL(None)
"""


def run(program: str, level: str = "info") -> tuple[subprocess.CompletedProcess[str], list[dict[str, Any]]]:
    done = subprocess.run(
        [sys.executable, "-c", START.replace("LEVEL", level) + program],
        env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done, [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]


def test_what_is_printed_is_logged_and_masked() -> None:
    done, lines = run("""
with standard_output_logged():
    libc.write(1, b"a line in ", 10)
    libc.write(1, b"two writes\\n\\n", 12)
    print("from Python to 5511988880005@s.whatsapp.net")
    os.write(1, b"Login event: success\\nSendMessage: Error sending message: x\\n0\\n")
    for second in range(3):
        os.write(1, b"[ERROR] 2026-11-22T14:14:4%dZ Serializer.go:86 no\\n" % second)
    os.write(1, b"\\xff no newline at the end")
print("after")
""")
    assert (done.returncode, done.stdout) == (0, "after\n"), done.stderr
    assert {(line["event"], line["level"]) for line in lines} == {("the native library printed", "warning")}
    printed = [line["reason"] for line in lines]
    assert printed == [
        "a line in two writes",
        "from Python to ***0005@s.whatsapp.net",
        "[ERROR] Serializer.go:86 no",
        "\ufffd no newline at the end",
    ]


def test_what_python_prints_is_not_held_back() -> None:
    """A process that is killed takes with it what waits in Python's buffer."""
    _, lines = run("""
import time
with standard_output_logged():
    print("before")
    os.write(1, b"after\\n")
    time.sleep(0.5)
    os._exit(0)
""")
    assert [line["reason"] for line in lines] == ["before", "after"]


def test_chatter_is_shown_to_who_debugs() -> None:
    _, lines = run('with standard_output_logged():\n    os.write(1, b"Login event: success\\n")', "debug")
    assert [(line["level"], line["reason"]) for line in lines] == [("debug", "Login event: success")]


def test_much_of_it_blocks_nothing_and_is_bounded() -> None:
    done, lines = run("""
with standard_output_logged():
    os.write(1, b"x" * 300_000 + b"\\n")
    for n in range(20_000):
        os.write(1, b"the same line again\\n")
""")
    assert done.returncode == 0, done.stderr
    assert len(lines) < 10, "repeats are counted, not shown"
    assert max(len(line["reason"]) for line in lines) <= 500


def test_the_last_words_of_an_abort_get_out() -> None:
    done, lines = run("""
import structlog
with standard_output_logged():
    structlog.get_logger("x").info("before")
    libc.write(2, b"fatal error: concurrent map writes\\n\\ngoroutine 1 [running]:\\n", 59)
    libc._exit(2)
""")
    assert done.returncode == 2
    assert "fatal error: concurrent map writes\n\ngoroutine 1 [running]:\n" in done.stderr
    assert [line["event"] for line in lines] == ["before"]


def test_tracebacks_are_lines_of_the_log() -> None:
    done, lines = run("""
import warnings
def fail(*_):
    raise ValueError("5511988880005")
thread = threading.Thread(target=fail)
thread.start(); thread.join()
ctypes.CFUNCTYPE(None)(fail)()
warnings.warn("careful with 5511988880005")
fail()
""")
    assert done.returncode == 1
    assert all(line.startswith("{") for line in done.stderr.splitlines()), done.stderr
    assert [line["event"] for line in lines if "exception" in line] == [
        "a thread crashed",
        "an error was lost",
        "crashed",
    ]
    assert "988880005" not in done.stderr
