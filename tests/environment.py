"""The environment of the processes that tests start: what they need, and no setting of the worker."""

from __future__ import annotations

import os

INHERITED = ("PATH", "HOME", "LANG", "TMPDIR")


def bare(**more: str) -> dict[str, str]:
    """What every process needs, `more`, and what measures its coverage if this process' is measured."""
    kept = {name: value for name, value in os.environ.items() if name in INHERITED or name.startswith("COVERAGE_")}
    return kept | more
