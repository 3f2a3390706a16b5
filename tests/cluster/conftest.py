from __future__ import annotations

import statistics
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.cluster.cluster import Cluster, open_cluster
from tests.cluster.server import Server, open_server
from tests.postgres_server import program
from tests.state_fixture import state_server as state_server
from tests.state_fixture import state_url as state_url
from wa_worker.postgres.url import StateUrl


@pytest.fixture
async def cluster(tmp_path: Path, state_url: StateUrl) -> AsyncIterator[Cluster]:
    async with open_cluster(tmp_path, state_url) as opened:
        yield opened


@pytest.fixture
def server() -> Iterator[Server]:
    """A PostgreSQL that the test may kill."""
    if program("initdb") is None:
        pytest.skip("PostgreSQL not found: run .ci/worker-proxy-services")
    with open_server() as opened:
        yield opened


@pytest.fixture
async def on_server(tmp_path: Path, server: Server) -> AsyncIterator[Cluster]:
    """A cluster whose PostgreSQL is `server`."""
    async with open_cluster(tmp_path, server.url) as opened:
        yield opened


@pytest.fixture
def instances(pytestconfig: pytest.Config) -> int:
    """How many instances the larger tests have."""
    return int(pytestconfig.getoption("--cluster-instances"))


@pytest.fixture
def long(pytestconfig: pytest.Config) -> bool:
    """Whether the tests may take as long as the outages that they are about."""
    return bool(pytestconfig.getoption("--cluster-long"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Makes a test of each run, so that they go side by side."""
    if "seed" in metafunc.fixturenames:
        first, runs = (int(metafunc.config.getoption(f"--cluster-{name}")) for name in ("seed", "runs"))
        metafunc.parametrize("seed", range(first, first + runs))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Adds up what the seeded runs have noted, wherever they ran."""
    reports = [each for kind in ("passed", "failed") for each in terminalreporter.stats.get(kind, [])]
    notes = [dict(each.user_properties) for each in reports if each.when == "call"]
    runs = [note["account"] for note in notes if "account" in note]
    if runs:
        terminalreporter.section("faults of a cluster")
        terminalreporter.write_line(f"  {'runs':<40} {len(runs)}")
        for name in runs[0]:
            values = [run[name] for run in runs]
            shown = f"{statistics.median(values):.1f} s / {max(values):.1f} s" if "max" in name else str(sum(values))
            terminalreporter.write_line(f"  {name:<40} {shown}")
