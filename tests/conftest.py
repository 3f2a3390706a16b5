"""Suites that take minutes run only when they are asked for: `pytest -n 0 -m faults`, `pytest -n 0 -m soak`."""

from __future__ import annotations

import pytest

LONG = ("faults", "soak", "worker_proxy", "container")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("wa-worker")
    group.addoption("--fault-runs", type=int, default=24, help="how many seeded fault runs (default 24)")
    group.addoption("--fault-at-once", type=int, default=4, help="how many of them side by side (default 4)")
    group.addoption("--fault-seed", type=int, default=1, help="the first seed")
    group.addoption("--soak-minutes", type=float, default=4.0, help="how long churn and pairing last, each (default 4)")
    group.addoption("--soak-seed", type=int, default=1, help="the churn's seed")
    group.addoption("--fault-report", help="write the account of the runs to this file (JSON)")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    asked = config.getoption("-m")
    for item in items:
        for name in LONG:
            if item.get_closest_marker(name) and name not in asked:
                item.add_marker(pytest.mark.skip(reason=f"long: ask for it with -m {name}"))
