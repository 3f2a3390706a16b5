"""The Edge Function does what docs/openapi.yaml says, whatever it is sent. The test itself is the reference proxy's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("schemathesis")

from tests.dev.proxy.test_openapi import SECRET, test_the_proxy_keeps_its_own_contract
from tests.worker_proxy.backend import Backend
from tests.worker_proxy.processes import Server, open_function

__all__ = ["test_the_proxy_keeps_its_own_contract"]

# A mark for an id that was never given out is worth a line; a failed call would be one that is not among these.
_EXPECTED = re.compile(
    r"Listening on|(mark-(sent|failed)|events): a message (id that was never given out|that was sent under)"
)


@pytest.fixture(scope="module")
def url(rest: Server, function_folder: Path, database: object) -> Iterator[str]:
    backend = Backend(database)  # type: ignore[arg-type]
    backend.clear()
    backend.add_instance("shop")
    backend.add_instance("never-asked-for")  # it stays listed, so that no poll is held
    backend.queue_many("shop", [("5511988887777", "Oi")] * 3)
    with open_function(function_folder, rest.url, SECRET) as function:
        yield function.url
    assert [line for line in function.lines if line.strip() and not _EXPECTED.match(line)] == []
