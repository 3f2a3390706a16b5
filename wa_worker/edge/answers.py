"""What an answer of the worker-proxy means: the one place that knows status codes.

Also what of an answer may be quoted in a log (P8).
"""

from __future__ import annotations

from collections.abc import Iterable
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from time import time

import httpx

from wa_worker.errors import EdgeRejected, EdgeUnavailable

MAX_RETRY_AFTER = 60.0
"""Seconds; a longer `Retry-After` is cut to this, since recovery should be quick."""

CHANGES_BY_ITSELF = frozenset({401, 403, 404, 408, 409, 425, 429})
"""Client errors that are about the moment, not about the call: a redeploy, a rotated secret, a rate limit."""

NO_SUCH_CALL = frozenset({404, 405, 501})
"""How a proxy without `/mark-failed` answers it."""

QUOTE = 8
"""Characters in a row that make an answer a quote of the request."""

SPEAKS_OF_ALL = frozenset({401, 403, 408, 429})
"""Client errors that are about the proxy as a whole, as those of the server (5xx) are: secrets, rate limits."""


def quotable(answer: bytes, private: Iterable[str | None]) -> str:
    """Returns the start of what an error says, or that it is not shown because it quotes what is private (P8).

    A quote may be cut or escaped: a few characters in a row that occur in both are enough.
    """
    said = " ".join(answer[:200].decode("utf-8", "replace").split())
    pieces = {said[start : start + QUOTE] for start in range(max(len(said) - QUOTE, 0) + 1)}
    for secret in filter(None, private):
        flat = " ".join(secret.split())
        if (flat and flat in said) or any(len(piece) == QUOTE and piece in flat for piece in pieces):
            return "it quotes the request"
    return said


def error_of(
    endpoint: str, response: httpx.Response, said: str, private: Iterable[str | None]
) -> EdgeUnavailable | EdgeRejected:
    """Returns the error that an answer which is no success stands for. `said` is what may be quoted of it."""
    status = response.status_code
    detail = f"answered {status}" + (f" ({said})" if said else "")
    if response.is_redirect:
        where = quotable(response.headers.get("location", "?").encode(errors="replace"), private)
        return EdgeUnavailable(
            endpoint, f"answered {status} to {where}: set EDGE_BASE_URL to where it leads", status, is_outage=False
        )
    if status == HTTPStatus.UNAUTHORIZED:
        detail += ": does WORKER_SECRET match the proxy's?"
    server_error = status >= HTTPStatus.INTERNAL_SERVER_ERROR
    if server_error or status < HTTPStatus.BAD_REQUEST or status in CHANGES_BY_ITSELF:
        wait = _retry_after(response.headers.get("retry-after"))
        return EdgeUnavailable(endpoint, detail, status, wait, is_outage=server_error or status in SPEAKS_OF_ALL)
    return EdgeRejected(endpoint, detail, status, is_outage=False)


def _retry_after(header: str | None) -> float | None:
    """Returns seconds from a `Retry-After` (RFC 9110: seconds or an HTTP date), within [0, MAX_RETRY_AFTER]."""
    if header is None:
        return None
    try:
        seconds = float(header) if header.strip().isdigit() else parsedate_to_datetime(header).timestamp() - time()
    except (ValueError, OverflowError):  # the latter from a year or zone of absurd size
        return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER)
