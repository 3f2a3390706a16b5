from __future__ import annotations

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
