"""The connections to the worker-proxy: an httpx transport that keeps them open between calls, the last one used on top.

Stands in for httpx's own pool, which looks at each of its connections, twice and with a system call, for every request,
and at a limit closes what the next poll needs (docs/performance.md). Ours go to one place only: a call takes the
connection that was used last, so those that a peak has opened sink, and are closed when they have been idle for long.
What is said on a connection is httpcore's business. Cancelling a call closes its connection.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import httpcore
import httpx
import trio

from wa_worker.errors import StartupError

GOODBYE = 1.0
"""Seconds for the TLS goodbye of a call that is broken off, and for those of all idle connections at the end."""


class StackTransport(httpx.AsyncBaseTransport):
    """Made by `open_transport()`. Its errors are httpx's."""

    def __init__(self, base_url: str, keep: float) -> None:
        url = httpx.URL(base_url)
        self._origin = httpcore.Origin(url.raw_scheme, url.raw_host, url.port or _PORTS[url.scheme])
        self._context = httpx.create_ssl_context() if url.scheme == "https" else None  # reads the CA bundle
        self._keep = keep
        self._idle: deque[httpcore.AsyncHTTPConnection] = deque()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The answer's head; reading its body to the end, or closing it, gives the connection back."""
        connection = await self._take()
        with _httpx_errors():
            response = await connection.handle_async_request(
                httpcore.Request(
                    request.method,
                    httpcore.URL(
                        scheme=self._origin.scheme,
                        host=self._origin.host,
                        port=self._origin.port,
                        target=request.url.raw_path,
                    ),
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
        return httpx.Response(
            response.status, headers=response.headers, stream=_Body(response, connection, self), request=request
        )

    async def _take(self) -> httpcore.AsyncHTTPConnection:
        while self._idle:
            connection = self._idle.pop()
            if not connection.has_expired():
                return connection
            await connection.aclose()
        return httpcore.AsyncHTTPConnection(
            self._origin, ssl_context=self._context, keepalive_expiry=self._keep, network_backend=httpcore.TrioBackend()
        )

    async def give_back(self, connection: httpcore.AsyncHTTPConnection) -> None:
        """Keeps it if more can be said on it; closes the one that has not been used for longest if its time is over."""
        if connection.is_idle() and not connection.is_closed():
            self._idle.append(connection)
        if self._idle and self._idle[0].has_expired():
            await self._idle.popleft().aclose()

    async def aclose(self) -> None:
        """Closes those that are idle. Takes up to GOODBYE, cancelled or not."""
        with trio.move_on_after(GOODBYE, shield=True):
            while self._idle:
                await self._idle.pop().aclose()


_PORTS = {"http": 80, "https": 443}


class _Body(httpx.AsyncByteStream):
    def __init__(
        self, response: httpcore.Response, connection: httpcore.AsyncHTTPConnection, connections: StackTransport
    ) -> None:
        self._response = response
        self._connection = connection
        self._connections = connections

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _httpx_errors():
            async for chunk in self._response.aiter_stream():
                yield chunk

    async def aclose(self) -> None:
        with trio.move_on_after(GOODBYE, shield=True), _httpx_errors():
            await self._response.aclose()
        await self._connections.give_back(self._connection)


@contextmanager
def _httpx_errors() -> Iterator[None]:
    """httpcore's errors have namesakes in httpx."""
    try:
        yield
    except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError) as error:
        reason: BaseException | None = error
        while reason is not None and not str(reason):  # that of a failed TLS handshake is some causes deep
            reason = reason.__cause__
        raise getattr(httpx, type(error).__name__)(str(reason or "")) from error


@asynccontextmanager
async def open_transport(base_url: str, *, keep: float) -> AsyncIterator[StackTransport]:
    """StackTransport to where `base_url` leads, kept for `keep` seconds after their last use.

    Raises StartupError if it is no URL.
    """
    try:
        connections = await trio.to_thread.run_sync(StackTransport, base_url, keep)
    except httpx.InvalidURL as error:
        raise StartupError(f"EDGE_BASE_URL is not a URL: {error}") from None
    try:
        yield connections
    finally:
        await connections.aclose()
