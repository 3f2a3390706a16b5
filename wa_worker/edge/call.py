"""One call to the worker-proxy over HTTP: its deadline, what of its answer is read, and what that means.

Knows no endpoint. Cancelling a call closes its connection. Answers are untrusted: bounded in size and time.
"""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator, Iterable
from typing import Any

import attrs
import httpx
import trio

from wa_worker.edge import wire
from wa_worker.edge.answers import error_of, foreign, quotable
from wa_worker.edge.trace import Traces, traceparent
from wa_worker.errors import EdgeError, EdgeForeign, EdgeUnavailable
from wa_worker.metrics import Metrics
from wa_worker.models import Secret

CALL_DEADLINE = 30.0
"""Seconds a call may take altogether, besides those for which the proxy may hold the answer: against one that trickles.
Edge Functions stop at 30-150 s themselves."""

WRITE_DEADLINE = 3.0
"""Seconds for a piece of a body to leave: a server that has answered early may never read the rest."""

PIECE = 64 * 1024
"""Bytes of a body that are sent at once: 20 KB/s are enough for the deadline."""

MAX_ANSWER = 32 * 1024 * 1024
"""Bytes of an answer that are read: 10,000 messages of 3 KB. More is not a queue, it is a mistake."""

LARGE = 256 * 1024
"""Bytes or characters of JSON above which it is made and read on a thread."""


@attrs.frozen
class Answer:
    """Holds the body of a success, and the trace of its call, for an error which says that the body is odd."""

    body: bytes
    trace: str


class Caller:
    """Makes the calls of one client. Its methods raise EdgeUnavailable or EdgeRejected."""

    def __init__(self, transport: httpx.AsyncBaseTransport, base_url: str, secret: Secret, metrics: Metrics) -> None:
        self._transport = transport
        self._base_url = base_url
        self._secret = secret
        self._metrics = metrics
        self._headers = {
            "Authorization": f"Bearer {secret.reveal()}",
            "Accept": "application/json",
            "User-Agent": "wa-worker",
        }
        host = httpx.URL(base_url).netloc.decode("ascii")
        post_headers = {**self._headers, "Host": host, "Content-Type": "application/json"}
        self._post_headers = [(name.encode(), value.encode()) for name, value in post_headers.items()]
        self._urls: dict[str, httpx.URL] = {}
        """Of the calls that are posted: reading one takes as long as all else of a request."""
        self._gets: dict[str, httpx.Request] = {}
        self._traces = Traces()

    async def get(self, endpoint: str, query: str = "") -> Answer:
        """Returns a success. Its request is kept for the next time: polls are made over and over."""
        request = self._gets.get(endpoint + query)
        if request is None:
            url = f"{self._base_url}/{endpoint}{query}"
            request = httpx.Request("GET", url, headers=self._headers, extensions=_TIMEOUTS)
            self._gets[endpoint + query] = request
        return await self._traced(endpoint, request, query.encode(), (), CALL_DEADLINE)

    def forget(self, endpoint: str, query: str) -> None:
        """Drops what was kept for a poll that will not be made again."""
        self._gets.pop(endpoint + query, None)

    async def post(
        self, endpoint: str, content: bytes, private: Iterable[str | None] = (), *, held: float = 0.0
    ) -> Answer:
        """Returns a success. `private`: what of `content` no log may show, should the proxy quote it.

        held: seconds for which the proxy may hold its answer before the deadline begins.
        """
        url = self._urls.get(endpoint)
        if url is None:
            url = self._urls[endpoint] = httpx.URL(f"{self._base_url}/{endpoint}")
        headers = [*self._post_headers, (b"Content-Length", b"%d" % len(content))]
        timeouts = _timeouts(held) if held else _TIMEOUTS
        request = httpx.Request("POST", url, headers=headers, stream=_Pieces(content), extensions=timeouts)
        return await self._traced(endpoint, request, content, private, CALL_DEADLINE + held)

    async def _traced(
        self, endpoint: str, request: httpx.Request, content: bytes, private: Iterable[str | None], deadline: float
    ) -> Answer:
        """Makes a call as a try of its trace, which its error names."""
        trace = self._traces.trace(endpoint, content)
        request.headers["traceparent"] = traceparent(trace)
        try:
            body = await self._call(endpoint, request, private, deadline)
        except EdgeError as error:
            self._traces.failed(endpoint, content, trace)
            error.trace = trace
            raise
        self._traces.succeeded(endpoint, content)
        return Answer(body, trace)

    async def _call(
        self, endpoint: str, request: httpx.Request, private: Iterable[str | None], deadline: float
    ) -> bytes:
        started, result = trio.current_time(), "error"
        private = (*private, self._secret.reveal())
        try:
            with trio.fail_after(deadline):
                response = await self._transport.handle_async_request(request)
                try:
                    body = await _bounded(response, endpoint)
                finally:
                    await response.aclose()
            result = f"{response.status_code // 100}xx"
        except trio.TooSlowError:
            result = "timeout"
            raise EdgeUnavailable(endpoint, f"no complete answer within {deadline:.0f} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            result = "timeout" if isinstance(error, httpx.TimeoutException) else "error"
            said = str(error)
            if isinstance(error, httpx.ProtocolError):  # h11 shows what it cannot parse
                said = quotable(said.encode(errors="replace")[:LARGE], private)
            raise EdgeUnavailable(endpoint, f"{type(error).__name__}: {said or 'no answer'}") from error
        except trio.Cancelled:
            result = "cancelled"
            raise
        finally:
            self._metrics.edge_request(endpoint, result, trio.current_time() - started)
        if kind := foreign(response, body):
            detail = (
                f"answered {response.status_code}, the answer is {kind} ({len(body)} bytes): is this the worker-proxy?"
            )
            raise EdgeForeign(endpoint, detail, response.status_code)
        if response.is_success:
            return body
        raise error_of(endpoint, response, await _quotable(body, private), private)


def _timeouts(held: float = 0.0) -> dict[str, object]:
    return {"timeout": httpx.Timeout(CALL_DEADLINE + held, connect=10.0, write=WRITE_DEADLINE).as_dict()}


_TIMEOUTS = _timeouts()


class _Pieces(httpx.AsyncByteStream):
    """Gives a body piece by piece, once. No generator: one that is cancelled would have to be closed."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._start = 0

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        piece = self._content[self._start : self._start + PIECE]
        self._start += PIECE
        if not piece:
            raise StopAsyncIteration
        return piece


async def encoded(body: dict[str, Any]) -> bytes:
    """Returns JSON, made on a thread if the body is large: it takes milliseconds, and is repeated with each try."""
    if any(isinstance(value, str) and len(value) > LARGE for value in body.values()):
        return await trio.to_thread.run_sync(json_bytes, body)
    return json_bytes(body)


async def parsed(body: bytes) -> object:
    """Reads JSON, on a thread if it is large. Raises wire.NotTheContract."""
    return await trio.to_thread.run_sync(_parse, body) if len(body) > LARGE else _parse(body)


def json_bytes(body: dict[str, Any]) -> bytes:
    """Returns compact JSON in UTF-8."""
    return _ENCODER.encode(body).encode()


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _parse(body: bytes) -> object:
    """Reads JSON, in which a number of absurd size costs its row and not the whole answer."""
    try:
        return json.loads(body, parse_int=lambda digits: int(digits) if len(digits) < 4000 else math.inf)
    except (ValueError, RecursionError):
        raise wire.NotTheContract(f"the answer is no JSON ({len(body)} bytes): is this the worker-proxy?") from None


async def _quotable(answer: bytes, private: tuple[str | None, ...]) -> str:
    """As `quotable()`; on a thread if what is private is large."""
    if any(text is not None and len(text) > LARGE for text in private):
        return await trio.to_thread.run_sync(quotable, answer, private)
    return quotable(answer, private)


async def _bounded(response: httpx.Response, endpoint: str) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.aiter_raw():
        chunks.append(chunk)
        size += len(chunk)
        if size > MAX_ANSWER:
            raise EdgeUnavailable(endpoint, f"the answer is larger than {MAX_ANSWER // 2**20} MiB")
    return b"".join(chunks)
