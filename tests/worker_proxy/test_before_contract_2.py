"""The Edge Functions of before on today's tables: what runs while a newer one is being deployed, or after a roll-back.

The contract tests of version 1; what tells a worker that one of before contract 2 is version 1; and that one of before
files and receipts says that it has no such calls.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.world import SECRET
from tests.worker_proxy import test_contract, tools
from tests.worker_proxy.processes import Server, open_function, project

# It checks none of the fields that came later.
_LATER = {"test_bad_input_is_refused_with_a_reason"}
_TESTS = {name: test for name, test in vars(test_contract).items() if name.startswith("test_")}
globals().update({name: test for name, test in _TESTS.items() if name not in _LATER})


@pytest.fixture(
    scope="module", params=[tools.BEFORE_CONTRACT_2, tools.BEFORE_CONVERSATIONS], ids=["version 1", "texts alone"]
)
def source(request: pytest.FixtureRequest) -> Path:
    folder: Path = request.param
    return folder


@pytest.fixture(scope="module")
def function(source: Path, rest: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("before") / "worker-proxy"
    project(folder, source)
    with open_function(folder, rest.url, SECRET) as function:
        yield function


async def test_it_has_no_calls_that_came_later(client: httpx.AsyncClient, source: Path) -> None:
    later = ["/media-upload", "/message-status", "/event"]
    for path in later if source == tools.BEFORE_CONVERSATIONS else ["/poll", "/events", *later]:
        assert (await client.post(path, json={})).status_code == 404
