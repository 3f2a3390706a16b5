"""Where Baileys is: installed from npm, once, into the cache (`$XDG_CACHE_HOME/wa-worker/baileys`)."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
FILES = ("package.json", "package-lock.json")
PATIENCE = 240
"""Seconds for `npm ci`, which takes ten where the registry answers."""


class NotInstalled(Exception):
    """Says what is missing, for the reason of a skip."""


def home() -> Path:
    """Returns the folder with node_modules."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wa-worker" / "baileys"


@cache
def installed() -> Path:
    """Returns the folder with what package-lock.json says in node_modules. Raises NotInstalled.

    One process installs, others that ask meanwhile wait for it.
    """
    missing = [program for program in ("node", "npm") if shutil.which(program) is None]
    if missing:
        raise NotInstalled(f"Baileys: {' and '.join(missing)} not found")
    folder = home()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / "baileys.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _is_there(folder):
            _install(folder)
    return folder


def _is_there(folder: Path) -> bool:
    """Says whether these very files were installed: they are copied last."""
    return all(
        (folder / name).exists() and (folder / name).read_bytes() == (HERE / name).read_bytes() for name in FILES
    )


def _install(folder: Path) -> None:
    fresh = folder.with_name("baileys.new")
    for leftover in (folder, fresh):
        shutil.rmtree(leftover, ignore_errors=True)
    fresh.mkdir()
    for name in FILES:
        shutil.copy(HERE / name, fresh)
    # No install scripts: nothing of the packages runs before peer.cjs has closed the network.
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    try:
        done = subprocess.run(command, cwd=fresh, capture_output=True, text=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        raise NotInstalled(f"Baileys: npm did not install it within {PATIENCE} s") from None
    if done.returncode:
        raise NotInstalled(f"Baileys: npm could not install it ({done.stderr.strip().splitlines()[-1:]})")
    fresh.rename(folder)
