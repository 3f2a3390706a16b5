"""The native libraries: whether they load here, tried in a process of its own (loading.py)."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import trio

from wa_worker.check.result import Result, fail, not_checked, ok, quoted, warn

NAMES = ("neonize", "libmagic")

_REINSTALL = "install wa-worker anew, in an environment of its own, on a platform that neonize has a wheel for"


async def check_libraries() -> list[Result]:
    """Cancelled: the process is killed."""
    done = await trio.run_process(
        [sys.executable, "-m", "wa_worker.check.loading"],
        stdin=subprocess.DEVNULL,
        capture_stdout=True,
        capture_stderr=True,
        check=False,
    )
    try:
        said: dict[str, str] = json.loads(done.stdout.splitlines()[-1])  # the Go library prints as it likes
    except (IndexError, ValueError):
        how = _ending(done.returncode, done.stderr)
        return [fail("neonize", f"loading it ended the process: {how}", _REINSTALL), not_checked("libmagic", how)]
    return [_neonize(said), _libmagic(said)]


def _neonize(said: dict[str, str]) -> Result:
    if "libmagic" not in said:
        return not_checked("neonize", "it needs libmagic")
    if "error" in said:
        return fail("neonize", f"cannot be loaded: {quoted(said['error'])}", _REINSTALL)
    if said["installed"] != said["pinned"]:
        found = f"{said['installed']} is installed, and wa-worker is made for {said['pinned']}"
        return warn("neonize", found, f"pip install neonize=={said['pinned']}")
    return ok("neonize", f"{said['installed']} loads")


def _libmagic(said: dict[str, str]) -> Result:
    if "libmagic" not in said:
        found = f"not found: {quoted(said.get('error', ''))}"
        return fail("libmagic", found, "pip install pylibmagic, or apt install libmagic1")
    return ok("libmagic", said["libmagic"])


def _ending(code: int, stderr: bytes) -> str:
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    last = stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
    return quoted(last[0]) if last else f"exit code {code}"
