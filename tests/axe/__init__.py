"""axe-core, for pages of ours in a browser: from npm, once, into the cache (`$XDG_CACHE_HOME/wa-worker/axe`)."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
FILES = ("package.json", "package-lock.json")
PATIENCE = 60
"""Seconds for `npm ci`, which takes two where the registry answers."""

SCRIPT = """
const done = arguments[arguments.length - 1];
axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}).then(
  (found) => done(found.violations.map((each) => [each.id, each.help, each.nodes.map((node) => node.html)])),
  (error) => done([["axe", String(error), []]]),
);
"""


class NotInstalled(Exception):
    """Says what is missing, for the reason of a skip."""


def violations(driver: Any) -> list[list[Any]]:
    """Returns what axe finds on the page that a browser shows. The driver puts it there, past the page's policy."""
    driver.execute_script(source())
    found: list[list[Any]] = driver.execute_async_script(SCRIPT)
    return found


@cache
def source() -> str:
    """Returns axe-core's script. Raises NotInstalled."""
    if shutil.which("npm") is None:
        raise NotInstalled("axe: npm not found")
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wa-worker" / "axe"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not all((folder / name).exists() and _same(folder / name, HERE / name) for name in FILES):
            _install(folder)
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text("utf-8")


def _same(one: Path, other: Path) -> bool:
    return one.read_bytes() == other.read_bytes()


def _install(folder: Path) -> None:
    """The package files are left there only if it worked."""
    for name in FILES:
        shutil.copy(HERE / name, folder)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE)
        problem = done.stderr.strip()[-200:] if done.returncode else ""
    except subprocess.TimeoutExpired:
        problem = f"npm did not install it within {PATIENCE} s"
    if problem:
        (folder / FILES[-1]).unlink()
        raise NotInstalled(f"axe: {problem}")
