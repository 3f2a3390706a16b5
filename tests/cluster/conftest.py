from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cluster.cluster import Cluster, open_cluster
from tests.state_fixture import state_server as state_server
from tests.state_fixture import state_url as state_url
from wa_worker.postgres.url import StateUrl


@pytest.fixture
async def cluster(tmp_path: Path, state_url: StateUrl) -> AsyncIterator[Cluster]:
    async with open_cluster(tmp_path, state_url) as opened:
        yield opened


@pytest.fixture
def instances(pytestconfig: pytest.Config) -> int:
    """How many instances the larger tests have."""
    return int(pytestconfig.getoption("--cluster-instances"))
