"""The descriptors of another process: how many it has, and how to leave it none."""

from __future__ import annotations

import resource
from pathlib import Path


def descriptors(pid: int) -> set[int]:
    """Returns those that are open (Linux)."""
    return {int(path.name) for path in Path(f"/proc/{pid}/fd").iterdir()}


def leave_none(pid: int) -> tuple[int, int]:
    """Lets the process open no further file, not even in a gap that another one left; returns the limit it had."""
    used = descriptors(pid)
    lowest = next(number for number in range(len(used) + 1) if number not in used)
    return resource.prlimit(pid, resource.RLIMIT_NOFILE, (lowest, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
