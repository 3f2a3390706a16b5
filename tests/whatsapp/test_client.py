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
from wa_worker.models import Secret
from wa_worker.whatsapp.client import passwords_in

PROGRAM = """
import gc, json, os, sys, threading
import wa_worker.whatsapp.libmagic
from wa_worker.models import Secret
from wa_worker.whatsapp.client import Callbacks, QuietClient
from wa_worker.whatsapp.gate import StartGate
said = []
callbacks = Callbacks(lambda code, data: None, lambda level, part, text: said.append(text))
client = QuietClient(Secret(sys.argv[1]), "the session", "the device", StartGate())
before = threading.active_count()
error = client.run(callbacks, [3, 17])
threads = threading.active_count() - before
name = client.device_props.os
del client
gc.collect()
print("RESULT", json.dumps({"error": error, "threads": threads, "name": name, "said": said}), flush=True)
os._exit(0)
"""


def run(store: object) -> dict[str, Any]:
    environment = bare(HTTPS_PROXY="http://127.0.0.1:1")  # nothing here may reach WhatsApp
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM, str(store)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    result = next(line for line in done.stdout.splitlines() if line.startswith("RESULT"))
    found: dict[str, Any] = json.loads(result.removeprefix("RESULT"))
    return found | {"printed": done.stdout + done.stderr}


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


@pytest.mark.parametrize("place", ["127.0.0.1:1/x?sslmode=disable", "127.0.0.1:no/x", "no%zz/x"])
def test_the_password_of_a_database_is_in_nothing_that_is_said(place: str) -> None:
    """One that cannot be reached, and what the driver takes for no URL: it shows that in its error, as it is."""
    found = run(f"postgres://wa:s3cr3t%2Fword@{place}")
    assert found["error"]
    assert "s3cr3t" not in json.dumps(found)


def test_which_passwords_are_hidden() -> None:
    assert passwords_in(Secret("postgres://wa:a%2Fb@h/x")) == ("a%2Fb", "a/b")
    assert passwords_in(Secret("postgres://wa@h/x")) == passwords_in(Secret("/a/b:c@d.db?x=")) == ()
