"""How the tests are run: side by side, without the suites that take minutes, and with a word on what was left out."""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path

import pytest

LONG = ("faults", "soak", "worker_proxy", "container", "baileys", "cluster", "schedules")
"""Suites that run only when they are asked for, `pytest -m faults` or `pytest tests/faults`, each in its own folder."""

PROCESSES = "processes"
"""The suite of the tests that each start several processes, or one for long. It is asked for in the same way."""

OF_PROCESSES = ("tests/e2e", "tests/dev/bench", "tests/dev/command", "tests/dev/proxy/test_openapi.py")
"""The folders and files whose tests it has, but for those of MAIN."""

MAIN = tuple(f"tests/e2e/test_{name}.py" for name in ("delivery", "kinds", "main_path", "pairing"))

SIDE_BY_SIDE = 6
"""Test processes. Most tests wait, for a process or a clock, so that two cores carry six of them."""

TOGETHER = {
    f"tests/{name}.py": "browser"
    for name in (
        *(f"dev/console/test_{part}" for part in ("browser", "accessibility", "hostile_texts", "scale")),
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
    group.addoption("--schedules", type=int, default=100_000, help="how many schedules of leases (default 100000)")
    group.addoption("--schedule-seed", type=int, default=1, help="the first seed")
    group.addoption("--cluster-instances", type=int, default=12, help="in the larger tests of the cluster (default 12)")
    group.addoption("--cluster-long", action="store_true", help="outages of the cluster as long as real ones")
    group.addoption("--cluster-runs", type=int, default=2, help="how many seeded fault runs of a cluster (default 2)")
    group.addoption("--cluster-seed", type=int, default=1, help="the first seed of these")
    group.addoption("--fault-report", help="write the account of the runs to this file (JSON)")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Says how many processes `-n auto` stands for: none for single files and for a suite that counts or shares."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None  # xdist reads it
    folders = any(Path(argument).is_dir() for argument in config.args)
    return SIDE_BY_SIDE if folders and _asked(config) <= {PROCESSES} else 0


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leaves the files of a suite unread unless it is asked for: reading takes each test process seconds."""
    suite = _suite(collection_path.relative_to(config.rootpath).as_posix())
    whole = suite in LONG or collection_path.is_file()
    return (whole and suite not in _asked(config)) or None if suite else None


def pytest_itemcollected(item: pytest.Item) -> None:
    """Gives a test the mark of its suite."""
    if suite := _suite(item.nodeid.partition("::")[0]):
        item.add_marker(suite)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keeps together what shares a process, where xdist is there to part it: the mutations run without plugins."""
    for item in items if config.pluginmanager.hasplugin("xdist") else ():
        if group := TOGETHER.get(item.nodeid.partition("::")[0]):
            item.add_marker(pytest.mark.xdist_group(group))


def _suite(path: str) -> str | None:
    """Returns the suite of a file or folder, which is named from the root of the tree."""
    parts = (*Path(path).parts, "", "")
    if parts[0] == "tests" and parts[1] in LONG:
        return parts[1]
    return PROCESSES if path.startswith(OF_PROCESSES) and path not in MAIN else None


def _asked(config: pytest.Config) -> set[str]:
    """Returns the suites that this run is asked for: by its mark, or by a name of something in it."""
    marks = set(re.findall(r"\w+", config.getoption("-m"))).intersection((*LONG, PROCESSES))
    names = (Path(argument.partition("::")[0]).resolve() for argument in config.args)
    inside = (name.relative_to(config.rootpath).as_posix() for name in names if name.is_relative_to(config.rootpath))
    return marks | {suite for name in inside if (suite := _suite(name))}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Says in one sentence what was left out and how to run it."""
    skipped = [report.longrepr[2].removeprefix("Skipped: ") for report in terminalreporter.stats.get("skipped", [])]
    whole = any(Path(argument).resolve() in (config.rootpath, config.rootpath / "tests") for argument in config.args)
    suites = [suite for suite in (*LONG, PROCESSES) if whole and suite not in _asked(config)]
    parts = [f"the long suites {', '.join(suites)} (run each with `pytest -m NAME`)"] if suites else []
    parts += [
        f"{count} test{'s' if count > 1 else ''} ({reason})" for reason, count in sorted(Counter(skipped).items())
    ]
    if parts:
        terminalreporter.write_line(f"Not run: {'; '.join(parts)}.")
