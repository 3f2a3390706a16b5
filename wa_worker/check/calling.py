"""One call to the worker-proxy, and all there is to know about its answer. Judges nothing.

Calls as `edge.py` does: same transport, no redirects, and HTTPS_PROXY does not count. Owns the deadline of a call.
"""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import attrs
import httpx
import trio

from wa_worker.check.clock import Clock
from wa_worker.check.result import quoted, reason
from wa_worker.edge.call import MAX_ANSWER
from wa_worker.models import Secret

DEADLINE = 15.0
"""Seconds for an answer. The worker waits longer, but it asks every few seconds."""

_EACH_ITS_OWN = httpx.Limits(max_keepalive_connections=0)
"""A connection for each call: some servers that refuse a POST unread leave the next call on it without an answer."""

_LOG = "look into the proxy's own log"


class NoAnswer(Exception):
    """Not even a status. `remedy` says where to look."""

    def __init__(self, found: str, remedy: str) -> None:
        super().__init__(found)
        self.found = found
        self.remedy = remedy


@attrs.frozen
class Answer:
    status: int
    headers: Mapping[str, str] = attrs.field(repr=False)
    body: bytes = attrs.field(repr=False)
    seconds: float

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    def data(self) -> Any:
        """Returns the JSON. Raises ValueError with what it is instead."""
        if encoding := self.headers.get("content-encoding"):
            raise ValueError(f"is compressed ({quoted(encoding)}), though that was not asked for")
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            kind = "HTML" if self.body.lstrip().startswith(b"<") else "no JSON"
            raise ValueError(f"is {kind} ({len(self.body)} bytes)") from None


class Caller:
    """Calls the proxy, with any secret or none. `open_caller()` makes it; it tells `clock` the time of each answer."""

    def __init__(self, transport: httpx.AsyncHTTPTransport, base_url: str, secret: Secret | None, clock: Clock) -> None:
        self.base_url = base_url
        self.secret = secret
        self._transport = transport
        self._clock = clock

    async def get(self, path: str, secret: Secret | None) -> Answer:
        """Raises NoAnswer. Cancelled: closes the connection."""
        return await self._call(httpx.Request("GET", f"{self.base_url}/{path}", headers=_headers(secret)))

    async def post(self, path: str, body: object, secret: Secret | None) -> Answer:
        """Raises NoAnswer. Cancelled: closes the connection."""
        headers = _headers(secret)
        return await self._call(httpx.Request("POST", f"{self.base_url}/{path}", headers=headers, json=body))

    def said(self, answer: Answer) -> str:
        """Returns the status of an answer that is no success, and the beginning of what it says."""
        text = (
            "" if answer.body.lstrip().startswith(b"<") else quoted(answer.body.decode("utf-8", "replace"), self.secret)
        )
        return f"answered {answer.status}" + (f" ({text})" if text else "")

    async def _call(self, request: httpx.Request) -> Answer:
        request.extensions = {"timeout": httpx.Timeout(DEADLINE).as_dict()}
        sent, started = time.time(), trio.current_time()
        try:
            with trio.fail_after(DEADLINE):
                response = await self._transport.handle_async_request(request)
                self._clock.saw("the proxy", response.headers.get("date"), sent, response.headers.get("age"))
                try:
                    body = await _bounded(response)
                finally:
                    await response.aclose()
        except (trio.TooSlowError, httpx.TimeoutException):
            raise NoAnswer(f"no complete answer within {DEADLINE:.0f} s", _LOG) from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise self._no_answer(error) from None
        return Answer(response.status_code, response.headers, body, trio.current_time() - started)

    def _no_answer(self, error: Exception) -> NoAnswer:
        found = quoted(reason(error) or type(error).__name__, self.secret)
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, ssl.SSLCertVerificationError):
                remedy = "its certificate must be valid for this name; or a firewall answers in its place"
                return NoAnswer(f"no TLS: {cause.verify_message}", remedy)
            if isinstance(cause, ssl.SSLError):
                return NoAnswer(f"no TLS: {found}", "is it https at that address and port, or plain http?")
            cause = cause.__cause__ or cause.__context__
        if isinstance(error, httpx.ConnectError):
            return NoAnswer(
                found, "is the address right and the proxy up? look at the host's DNS, firewall and way out"
            )
        return NoAnswer(found, _LOG)


def _headers(secret: Secret | None) -> dict[str, str]:
    headers = {"Accept": "application/json", "User-Agent": "wa-worker"}
    return headers if secret is None else {**headers, "Authorization": f"Bearer {secret.reveal()}"}


async def _bounded(response: httpx.Response) -> bytes:
    body = b""
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > MAX_ANSWER:
            raise NoAnswer(f"the answer is larger than {MAX_ANSWER // 2**20} MiB", "list fewer rows at a time")
    return body


@asynccontextmanager
async def open_caller(base_url: str, secret: Secret | None, clock: Clock) -> AsyncIterator[Caller]:
    """Raises NoAnswer when this machine's certificates cannot be read."""
    try:
        transport = await trio.to_thread.run_sync(partial(httpx.AsyncHTTPTransport, limits=_EACH_ITS_OWN))
    except OSError as error:
        found = f"the certificates of public authorities cannot be read: {quoted(error)}"
        raise NoAnswer(found, "look at SSL_CERT_FILE and SSL_CERT_DIR") from None
    async with transport:
        yield Caller(transport, base_url, secret, clock)
