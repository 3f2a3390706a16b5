"""How the tests are run: side by side, without the suites that take minutes, and with a word on what was left out."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

LONG = ("faults", "soak", "worker_proxy", "container", "baileys")
"""Suites that run only when they are asked for: `pytest -m faults`."""

SIDE_BY_SIDE = 4
"""Test processes. Most tests wait, for a process or a clock, so that two cores carry four of them."""

TOGETHER = {
    f"tests/{name}.py": "browser"
    for name in (
        *("dev/console/test_browser", "dev/console/test_accessibility", "dev/console/test_hostile_texts"),
        "admin/test_browser",
    )
}
"""Files whose tests share something dear, here a browser: they run in one process, in their order."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("wa-worker")
    group.addoption("--contract", type=int, choices=(1, 2), default=1, help="the version that the e2e proxy speaks")
    group.addoption("--fault-runs", type=int, default=24, help="how many seeded fault runs (default 24)")
    group.addoption("--fault-at-once", type=int, default=4, help="how many of them side by side (default 4)")
    group.addoption("--fault-seed", type=int, default=1, help="the first seed")
    group.addoption(
        "--fault-contract",
        choices=("1", "2", "flips"),
        help="what the proxy speaks: a version, or the one and the other in turn (default: by seed)",
    )
    group.addoption("--soak-minutes", type=float, default=4.0, help="how long churn and pairing last, each (default 4)")
    group.addoption("--soak-seed", type=int, default=1, help="the churn's seed")
    group.addoption(
        "--outage-seconds", type=float, default=60.0, help="how long the soak suite's outages last (default 60)"
    )
    group.addoption("--fault-report", help="write the account of the runs to this file (JSON)")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Says how many processes `-n auto` stands for: none for single files and for a suite that is asked for by name."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None  # xdist reads it
    folders = any(Path(argument).is_dir() for argument in config.args)
    return SIDE_BY_SIDE if folders and not config.getoption("-m") else 0


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    asked = config.getoption("-m")
    for item in items:
        for name in LONG:
            if item.get_closest_marker(name) and name not in asked:
                item.add_marker(pytest.mark.skip(reason=f"long: {name}"))
        if group := TOGETHER.get(item.nodeid.partition("::")[0]):
            item.add_marker(pytest.mark.xdist_group(group))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says in one sentence what was skipped and how to run it."""
    skipped = [report.longrepr[2].removeprefix("Skipped: ") for report in terminalreporter.stats.get("skipped", [])]
    if not skipped:
        return
    reasons = Counter(reason for reason in skipped if not reason.startswith("long: "))
    suites = [name for name in LONG if f"long: {name}" in skipped]
    parts = [f"the long suites {', '.join(suites)} (run each with `pytest -m NAME`)"] if suites else []
    parts += [f"{count} test{'s' if count > 1 else ''} ({reason})" for reason, count in sorted(reasons.items())]
    terminalreporter.write_line(f"Skipped: {'; '.join(parts)}.")
