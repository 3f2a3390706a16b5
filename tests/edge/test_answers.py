"""What a status means: of the proxy as a whole, of this call for now, or of this call for good."""

from __future__ import annotations

import httpx
import pytest

from wa_worker.edge.answers import error_of
from wa_worker.errors import EdgeError, EdgeRejected, EdgeUnavailable


def answered(status: int, **headers: str) -> EdgeError:
    return error_of("inbound", httpx.Response(status, headers=headers), "", [])


@pytest.mark.parametrize("status", [401, 403, 408, 429, 500, 502, 503, 504, 599])
def test_an_outage(status: int) -> None:
    error = answered(status)
    assert isinstance(error, EdgeUnavailable)
    assert error.is_outage


@pytest.mark.parametrize("status", [302, 404, 409, 425])
def test_a_trouble_of_this_call_that_may_pass(status: int) -> None:
    error = answered(status)
    assert isinstance(error, EdgeUnavailable)
    assert not error.is_outage


@pytest.mark.parametrize("status", [400, 405, 410, 422, 499])
def test_a_refusal(status: int) -> None:
    error = answered(status)
    assert isinstance(error, EdgeRejected)
    assert not error.is_outage


def test_a_redirect_is_followed_by_a_person_only() -> None:
    assert "set EDGE_BASE_URL" in answered(301, location="https://elsewhere.test/").detail
