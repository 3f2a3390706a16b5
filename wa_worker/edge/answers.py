"""What an answer of the worker-proxy means: the one place that knows status codes.

An answer counts as the proxy's only if it can be: a page of HTML, a picture or a redirect comes from something in front
of it, whatever its status. And what a single answer says of a row is not final: see evidence.py. Also here: what of an
answer may be quoted in a log (P8).
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from time import time

import httpx

from wa_worker.errors import EdgeRejected, EdgeUnavailable

MAX_RETRY_AFTER = 60.0
"""Seconds; a longer `Retry-After` is cut to this, since recovery should be quick."""

RETRY_AFTER_SPREAD = 0.2
"""Share by which a wait that the proxy asks for is prolonged at random, so that not all come back in one instant."""

NEVER_OF_A_ROW = frozenset({401, 402, 403, 404, 407, 408, 425, 429})
"""Client errors that speak of the moment and not of the call, whoever gives them: a rotated secret, a quota, a
redeploy, a rate limit. Any other may be a refusal of the row."""

NO_SUCH_CALL = frozenset({404, 405, 501})
"""How a proxy without an optional call answers it."""

UNKNOWN = HTTPStatus.NOT_FOUND
"""How a proxy says that it does not know what a call is about; and anything in front of it, that there is no proxy."""

RATE_LIMITED = HTTPStatus.TOO_MANY_REQUESTS

ALREADY_THERE = HTTPStatus.CONFLICT
"""How a proxy may answer a message that it has (contract v1)."""

QUOTE = 8
"""Characters in a row that make an answer a quote of the request."""

QUOTED = 200
"""Bytes of an answer that a log shows at most."""

WINDOW = 64 * 1024
"""Characters of a text that are looked through at once."""

_NEVER_OURS = ("image/", "audio/", "video/", "font/", "text/css", "text/javascript", "application/javascript")
"""Types of content that no worker-proxy answers."""


def foreign(response: httpx.Response, body: bytes) -> str | None:
    """Says why an answer cannot be the worker-proxy's, None if it can.

    Some frameworks call every text HTML, so for that it is the body that counts.
    """
    kind = response.headers.get("content-type", "").lower()
    if body[:64].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return "HTML"
    return kind.partition(";")[0] if body and kind.startswith(_NEVER_OURS) else None


def quotable(answer: bytes, private: Iterable[str | None]) -> str:
    """Returns the start of what an error says, or that it is not shown because it quotes what is private (P8).

    A quote may be cut or escaped: a few characters in a row that occur in both are enough.
    """
    said = " ".join(answer[:QUOTED].decode("utf-8", "replace").split())
    pieces = {said[start : start + QUOTE] for start in range(max(len(said) - QUOTE, 0) + 1)}
    for secret in filter(None, private):
        for flat in _flat(secret):
            if flat in said or any(len(piece) == QUOTE and piece in flat for piece in pieces):
                return "it quotes the request"
    return said


def _flat(text: str) -> Iterator[str]:
    """Yields a text, its white space made single blanks, in windows that overlap by QUOTE characters.

    Splitting a large text at once keeps Python's lock for most of a second, and with it the event loop.
    """
    tail, gap = "", ""
    for start in range(0, len(text), WINDOW):
        part = text[start : start + WINDOW]
        words = " ".join(part.split())
        if words:
            if tail and part[0].isspace():
                gap = " "
            yield (window := tail + gap + words)
            tail, gap = window[-QUOTE:], ""
        if tail and part[-1].isspace():
            gap = " "


def error_of(
    endpoint: str, response: httpx.Response, said: str, private: Iterable[str | None]
) -> EdgeUnavailable | EdgeRejected:
    """Returns the error that an answer which is no success stands for. `said` is what may be quoted of it."""
    status = response.status_code
    detail = f"answered {status}" + (f" ({said})" if said else "")
    if response.is_redirect:
        where = quotable(response.headers.get("location", "?").encode(errors="replace"), private)
        return EdgeUnavailable(endpoint, f"answered {status} to {where}: set EDGE_BASE_URL to where it leads", status)
    if status == HTTPStatus.UNAUTHORIZED:
        detail += ": does WORKER_SECRET match the proxy's?"
    if may_be_of_a_row(status):
        return EdgeRejected(endpoint, detail, status)
    return EdgeUnavailable(endpoint, detail, status, _retry_after(response.headers.get("retry-after")))


def event_error(
    endpoint: str, status: int | None, said: str, private: Iterable[str | None]
) -> EdgeUnavailable | EdgeRejected | None:
    """Returns the error that the result of one event stands for, None if the proxy took it. `endpoint`: that of its
    version 1 call, whose answer with this status means the same."""
    if status is None:
        return EdgeUnavailable(endpoint, "the result of this event is none")
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return None
    quoted = quotable(said[:QUOTED].encode(errors="replace"), private)
    kind = EdgeRejected if may_be_of_a_row(status) else EdgeUnavailable
    return kind(endpoint, f"answered {status}" + (f" ({quoted})" if quoted else ""), status)


def may_be_of_a_row(status: int) -> bool:
    """Says whether a status may be a refusal of what the call is about, and not of the moment."""
    client_error = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
    return client_error and status not in NEVER_OF_A_ROW


def _retry_after(header: str | None) -> float | None:
    """Returns seconds from a `Retry-After` (RFC 9110: seconds or a date), MAX_RETRY_AFTER and a little more at most."""
    if header is None:
        return None
    try:
        seconds = float(header) if header.strip().isdigit() else parsedate_to_datetime(header).timestamp() - time()
    except (ValueError, OverflowError):  # the latter from a year or zone of absurd size
        return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER) * random.uniform(1, 1 + RETRY_AFTER_SPREAD)  # noqa: S311 - jitter
