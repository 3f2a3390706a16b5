"""What an answer means: whether it is the proxy's at all, and if so of the moment or of this call."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wa_worker.edge import answers
from wa_worker.edge.answers import MAX_RETRY_AFTER, QUOTE, RETRY_AFTER_SPREAD, error_of, event_error, foreign
from wa_worker.errors import EdgeError, EdgeRejected, EdgeUnavailable


def answered(status: int, **headers: str) -> EdgeError:
    return error_of("inbound", httpx.Response(status, headers=headers), "", [])


@pytest.mark.parametrize("status", [302, 401, 402, 403, 404, 407, 408, 425, 429, 500, 502, 503, 504, 599])
def test_what_is_never_of_a_row(status: int) -> None:
    assert isinstance(answered(status), EdgeUnavailable)


@pytest.mark.parametrize("status", [400, 405, 406, 409, 410, 413, 418, 422, 423, 451, 499])
def test_what_may_be_of_a_row(status: int) -> None:
    assert isinstance(answered(status), EdgeRejected)


def test_a_redirect_is_followed_by_a_person_only() -> None:
    assert "set EDGE_BASE_URL" in answered(301, location="https://elsewhere.test/").detail


def test_not_all_come_back_in_the_instant_that_a_date_names() -> None:
    date = "Fri, 31 Dec 9999 23:59:59 GMT"
    waits = {answered(503, **{"retry-after": date}).retry_after for _ in range(20)}
    assert len(waits) > 10
    assert all(wait and MAX_RETRY_AFTER <= wait <= MAX_RETRY_AFTER * (1 + RETRY_AFTER_SPREAD) for wait in waits)


PAGE = b"\xef\xbb\xbf \r\n<!DOCTYPE html><title>Sign in</title>"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/html", PAGE),
        ("application/json", PAGE),
        ("", b"<?xml version='1.0'?><Error/>"),
        ("image/png", b"\x89PNG"),
        ("text/css; charset=utf-8", b"a {}"),
        ("application/javascript", b"alert(1)"),
    ],
)
@pytest.mark.parametrize("status", [200, 404, 422, 503])
def test_what_no_proxy_answers(status: int, kind: str, body: bytes) -> None:
    assert foreign(httpx.Response(status, headers={"content-type": kind}), body)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b"{}"),
        ("text/html; charset=utf-8", b"OK"),
        ("text/plain", b""),
        ("", b""),
        ("image/png", b""),
    ],
)
def test_what_a_proxy_may_answer(kind: str, body: bytes) -> None:
    """Some frameworks call every text HTML, and a 204 may have any type."""
    assert foreign(httpx.Response(200, headers={"content-type": kind}), body) is None


@given(st.text("ab \n", max_size=60), st.integers(1, 7))
def test_a_large_text_is_looked_through_as_a_whole(text: str, window: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(answers, "WINDOW", window)
        seen = list(answers._flat(text))
    flat = " ".join(text.split())
    quotes = {flat[start : start + QUOTE] for start in range(len(flat) - QUOTE + 1)}
    assert {piece for each in seen for piece in quotes if piece in each} == quotes
    assert all(each in flat for each in seen)


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_an_event_that_was_taken(status: int) -> None:
    assert event_error("inbound", status, "whatever", []) is None


@pytest.mark.parametrize("status", [None, 100, 199, 300, 302, 401, 403, 404, 408, 429, 500, 503, 599])
def test_an_event_of_which_nothing_final_was_said(status: int | None) -> None:
    error = event_error("inbound", status, "", [])
    assert isinstance(error, EdgeUnavailable)
    assert (error.endpoint, error.status) == ("inbound", status)


@pytest.mark.parametrize("status", [400, 405, 409, 413, 422])
def test_an_event_that_may_be_refused(status: int) -> None:
    error = event_error("mark-sent", status, "", [])
    assert isinstance(error, EdgeRejected)
    assert (error.endpoint, error.status) == ("mark-sent", status)


def test_what_an_event_was_answered_is_quoted_unless_it_quotes() -> None:
    said = event_error("inbound", 500, "the database is away", ["something private"])
    assert said is not None
    assert said.detail == "answered 500 (the database is away)"
    quoted = event_error("inbound", 422, "no: something private", ["something private"])
    assert quoted is not None
    assert "private" not in quoted.detail
    surrogate = event_error("inbound", 422, "\ud800" * 300, [])
    assert surrogate is not None
    assert len(surrogate.detail) < 300
