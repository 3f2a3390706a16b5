"""The soak suite's settings and its closing tables."""

from __future__ import annotations

import faulthandler
from typing import cast

import pytest

from tests.soak.measure import Tables
from wa_worker.dev.proxy import Contract

TABLES = pytest.StashKey[Tables]()

MINUTES = 4.0
"""How long churn and pairing last unless `--soak-minutes` says otherwise: the whole suite then takes about thirteen."""


@pytest.fixture(scope="session")
def tables(pytestconfig: pytest.Config) -> Tables:
    return pytestconfig.stash.setdefault(TABLES, Tables())


@pytest.fixture
def contract(pytestconfig: pytest.Config) -> Contract:
    """The version of the contract that the suite's proxies speak."""
    return cast(Contract, pytestconfig.getoption("--contract"))


@pytest.fixture
def soak_minutes(pytestconfig: pytest.Config) -> float:
    return float(pytestconfig.getoption("--soak-minutes", MINUTES))


@pytest.fixture
def soak_seed(pytestconfig: pytest.Config) -> int:
    return int(pytestconfig.getoption("--soak-seed", 1))


@pytest.fixture(autouse=True)
def _minutes_are_normal_here() -> None:
    """Else pytest dumps all stacks after two of them; what hangs here fails by a deadline of its own."""
    faulthandler.cancel_dump_traceback_later()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if tables := config.stash.get(TABLES, None):
        terminalreporter.section("soak suite")
        terminalreporter.write_line(tables.text())
