"""The Edge Function of before contract 2 on today's tables: what runs while the newer one is being deployed, and after
a roll-back. The contract tests of version 1, and what tells a worker that this is version 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.world import SECRET
from tests.worker_proxy import test_contract, tools
from tests.worker_proxy.processes import Server, open_function, project

pytestmark = pytest.mark.worker_proxy

# It checks none of the fields that came later.
_LATER = {"test_bad_input_is_refused_with_a_reason"}
_TESTS = {name: test for name, test in vars(test_contract).items() if name.startswith("test_")}
globals().update({name: test for name, test in _TESTS.items() if name not in _LATER})


@pytest.fixture(scope="module")
def function(rest: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("before") / "worker-proxy"
    project(folder, tools.BEFORE_CONTRACT_2)
    with open_function(folder, rest.url, SECRET) as function:
        yield function


async def test_it_has_no_calls_of_version_2(client: httpx.AsyncClient) -> None:
    for path in ("/poll", "/events"):
        assert (await client.post(path, json={})).status_code == 404
