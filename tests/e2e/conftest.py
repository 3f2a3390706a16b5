from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.e2e.world import World, open_world


@pytest.fixture
async def world(tmp_path: Path, pytestconfig: pytest.Config) -> AsyncIterator[World]:
    async with open_world(tmp_path, contract=pytestconfig.getoption("--contract")) as opened:
        yield opened
