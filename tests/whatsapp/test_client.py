"""The library's client as we call it: that it blocks the calling thread, and what it says when it cannot begin.

Each in a process of its own, for the library may end the one that it is in. With a server: test_session.py.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.environment import bare

PROGRAM = """
import gc, json, os, sys, threading
import wa_worker.whatsapp.libmagic
from wa_worker.whatsapp.client import Callbacks, QuietClient
from wa_worker.whatsapp.gate import StartGate
callbacks = Callbacks(lambda code, data: None, lambda level, part, text: None)
client = QuietClient(sys.argv[1], "the session", "the device", StartGate())
before = threading.active_count()
error = client.run(callbacks, [3, 17])
threads = threading.active_count() - before
name = client.device_props.os
del client
gc.collect()
print("RESULT", json.dumps({"error": error, "threads": threads, "name": name}), flush=True)
os._exit(0)
"""


def run(store: Path) -> dict[str, Any]:
    environment = bare(HTTPS_PROXY="http://127.0.0.1:1")  # nothing here may reach WhatsApp
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM, str(store)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    result = next(line for line in done.stdout.splitlines() if line.startswith("RESULT"))
    found: dict[str, Any] = json.loads(result.removeprefix("RESULT"))
    return found


@pytest.mark.parametrize("store", ["nowhere/x.db", "folder"])
def test_a_store_that_cannot_be_opened_is_an_error_and_no_crash(tmp_path: Path, store: str) -> None:
    (tmp_path / "folder").mkdir()
    found = run(tmp_path / store)
    assert "unable to open database file" in found["error"] or "is a directory" in found["error"]
    assert found["threads"] == 0, "it ran on the calling thread"


def test_a_server_that_cannot_be_reached_is_an_error_and_no_crash(tmp_path: Path) -> None:
    found = run(tmp_path / "x.db")
    assert "127.0.0.1:1" in found["error"]
    assert found["threads"] == 0
    assert found["name"] == "the device"
    assert (tmp_path / "x.db").is_file()
