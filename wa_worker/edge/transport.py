"""The connections to the worker-proxy and to hosts of files: kept open between calls, the last one used on top.

Stands in for httpx's own pool, which looks at each of its connections, twice and with a system call, for every request,
and at a limit closes what the next poll needs (docs/performance.md). Each origin has a stack of its own: a call takes
the connection that was used last, so those that a peak has opened sink, and are closed when they have been idle for
long. What is said on a connection is httpcore's business. Cancelling a call closes its connection.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from ssl import SSLContext

import httpcore
import httpx
import trio

from wa_worker.errors import StartupError

GOODBYE = 1.0
"""Seconds for the TLS goodbye of a call that is broken off, and for those of all idle connections at the end."""

_Origin = tuple[bytes, bytes, int]
_Stack = deque[httpcore.AsyncConnectionInterface]


class StackTransport(httpx.AsyncBaseTransport):
    """Made by `open_transport()`. Its errors are httpx's.

    connect(origin): a connection that connects itself when it is used first, and counts as expired when it has been
    idle for long.
    """

    def __init__(self, connect: Callable[[httpcore.Origin], httpcore.AsyncConnectionInterface]) -> None:
        self._connect = connect
        self._idle: defaultdict[_Origin, _Stack] = defaultdict(deque)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Returns the answer's head; reading its body to the end, or closing it, gives the connection back."""
        url = request.url
        scheme, host, port = origin = (url.raw_scheme, url.raw_host, url.port or _PORTS[url.scheme])
        stack = self._idle[origin]
        connection = await self._take(origin, stack)
        try:
            with _httpx_errors():
                response = await connection.handle_async_request(
                    httpcore.Request(
                        request.method,
                        httpcore.URL(scheme=scheme, host=host, port=port, target=url.raw_path),
                        headers=request.headers.raw,
                        content=request.stream,
                        extensions=request.extensions,
                    )
                )
        except BaseException:  # httpcore leaves it open when it is cancelled before it has begun
            with trio.move_on_after(GOODBYE, shield=True):
                await connection.aclose()
            raise
        # A server may answer an error before it has read the request's body, and lose its place on the connection by
        # that (hypercorn does): the next request on it would get no answer.
        trusted = request.method == "GET" or not httpx.codes.is_error(response.status)
        body = _Body(response, connection, stack if trusted else None)
        return httpx.Response(response.status, headers=response.headers, stream=body, request=request)

    async def aclose(self) -> None:
        """Closes those that are idle. Takes up to GOODBYE, cancelled or not."""
        with trio.move_on_after(GOODBYE, shield=True):
            for stack in self._idle.values():
                while stack:
                    await stack.pop().aclose()

    async def _take(self, origin: _Origin, stack: _Stack) -> httpcore.AsyncConnectionInterface:
        while stack:
            connection = stack.pop()
            if not connection.has_expired():
                return connection
            await connection.aclose()
        return self._connect(httpcore.Origin(*origin))


async def _give_back(connection: httpcore.AsyncConnectionInterface, stack: _Stack) -> None:
    """Keeps it if more can be said on it; closes the one that has not been used for longest if its time is over."""
    if connection.is_idle() and not connection.is_closed():
        stack.append(connection)
    if stack and stack[0].has_expired():
        await stack.popleft().aclose()


_PORTS = {"http": 80, "https": 443}


class _Body(httpx.AsyncByteStream):
    """Reads an answer's body. `stack` None: its connection is closed after it."""

    def __init__(
        self, response: httpcore.Response, connection: httpcore.AsyncConnectionInterface, stack: _Stack | None
    ) -> None:
        self._response = response
        self._connection = connection
        self._stack = stack

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _httpx_errors():
            async for chunk in self._response.aiter_stream():
                yield chunk

    async def aclose(self) -> None:
        with trio.move_on_after(GOODBYE, shield=True), _httpx_errors():
            await self._response.aclose()
            if self._stack is None:
                await self._connection.aclose()
        if self._stack is not None:
            await _give_back(self._connection, self._stack)


def directly(
    context: SSLContext | None, keep: float, backend: httpcore.AsyncNetworkBackend | None = None
) -> Callable[[httpcore.Origin], httpcore.AsyncConnectionInterface]:
    """Connects to an origin itself, whatever HTTPS_PROXY says.

    context: what TLS trusts, None if no origin speaks it. keep: seconds for which an idle connection is kept.
    """
    network = backend or httpcore.TrioBackend()
    return lambda origin: httpcore.AsyncHTTPConnection(
        origin, ssl_context=context, keepalive_expiry=keep, network_backend=network
    )


@contextmanager
def _httpx_errors() -> Iterator[None]:
    """httpcore's errors have namesakes in httpx."""
    try:
        yield
    except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, httpcore.ProxyError) as error:
        reason: BaseException | None = error
        while reason is not None and not str(reason):  # that of a failed TLS handshake is some causes deep
            reason = reason.__cause__
        raise getattr(httpx, type(error).__name__)(str(reason or "")) from error


@asynccontextmanager
async def open_transport(base_url: str, *, keep: float) -> AsyncIterator[StackTransport]:
    """Connections to where `base_url` leads, kept for `keep` seconds after their last use.

    Raises StartupError if it is no URL.
    """
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL as error:
        raise StartupError(f"EDGE_BASE_URL is not a URL: {error}") from None
    # on a thread: reading the CA bundle takes a moment
    context = await trio.to_thread.run_sync(httpx.create_ssl_context) if url.scheme == "https" else None
    transport = StackTransport(directly(context, keep))
    try:
        yield transport
    finally:
        await transport.aclose()
