"""The reference proxy does what docs/openapi.yaml says, whatever it is sent.

Schemathesis against a process of its own, which must end without a traceback or a warning.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("schemathesis")

import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection

from wa_worker.dev.proxy.fields import is_whole

SECRET = "fuzzed-secret"
LISTED = "one that no example names"
"""An instance that stays listed and is never asked for: no answer to /poll is held."""

JUDGES_EACH = "/events"
"""What is wrong with an event is said in its result, not with the status of the call."""

SPEC = Path(__file__).parents[3] / "docs" / "openapi.yaml"

schema = schemathesis.openapi.from_path(SPEC)
schema.config.generation.update(modes=[GenerationMode.POSITIVE, GenerationMode.NEGATIVE])


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "wa_worker.dev.proxy"],
        env={**os.environ, "WORKER_SECRET": SECRET},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        base = process.stdout.readline().strip()
        headers = {"Authorization": f"Bearer {SECRET}"}
        with httpx.Client(base_url=base, headers=headers) as admin:
            for instance in ("shop", LISTED):
                admin.post("/admin/instances", json={"id": instance}).raise_for_status()
            row = {"instanceId": "shop", "to": "5511988887777", "body": "Oi", "copies": 3}
            admin.post("/admin/messages", json=row).raise_for_status()
        yield base
        process.terminate()
        assert process.wait(5) == 0
        assert process.stderr.read() == ""  # no traceback, no warning


# Without a parameter of its own pytest (9.2) gives all calls the same id, and of those xdist runs one.
@pytest.mark.parametrize("secret", [SECRET], ids=["whatever it is sent"])
@schema.parametrize()
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), database=None, derandomize=True)
def test_the_proxy_keeps_its_own_contract(case: schemathesis.Case[Any], url: str, secret: str) -> None:
    body: Any = case.body
    if isinstance(body, dict) and is_whole(body.get("wait")) and 0 < body["wait"] <= 60:
        body["wait"] = 0  # of most shards there is nothing, and the answer would be held
    answer = case.call(base_url=url, headers={"Authorization": f"Bearer {secret}"})
    if answer.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return  # by the server, which has read no more of it: now and then the whole is too large
    case.validate_response(
        answer,
        headers={"Authorization": f"Bearer {secret}"},
        # It counts a query parameter that the contract does not know as an error; the contract ignores those.
        excluded_checks=[negative_data_rejection] if case.method == "GET" or case.path == JUDGES_EACH else [],
    )
