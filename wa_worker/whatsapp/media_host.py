"""WhatsApp's media host: gets an encrypted file by its path, decrypts it and hands it on piece by piece.

The host is fixed: a message names a path at it, and its word goes no further (media_reference.py). HTTPS_PROXY counts
here as for all traffic with WhatsApp, and before it the proxy that an instance has for itself. Redirects are not
followed. Nothing is final on one word of the host: what it refuses, and what is not what the message says, is
`MediaRefused`, and the caller asks again; all else is EdgeUnavailable, as is whatever a proxy answers.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from ssl import SSLContext

import httpcore
import httpx
import trio

from wa_worker.edge.pieces import Pieces
from wa_worker.edge.transport import StackTransport, directly
from wa_worker.errors import EdgeUnavailable
from wa_worker.messages import MediaError, MediaReference
from wa_worker.models import Egress, EgressProxy, Unusable
from wa_worker.whatsapp.environment_proxy import environment_proxy
from wa_worker.whatsapp.media_crypto import OVERHEAD, DamagedMedia, Decryptor
from wa_worker.whatsapp.socks import SocksBackend

HOST = "mmg.whatsapp.net"
"""Where whatsmeow downloads from when a message names a path (download.go)."""

NAME = "the media host"
"""What the log calls it."""

SILENCE = 20.0
"""Seconds without a byte after which a download is begun anew."""

SLOWEST = 16 * 1024
"""Bytes a second below which it is, too: 16 MB take a quarter of an hour then."""

PATIENCE = 30.0
"""Seconds for all but the bytes."""

KEEP = 30.0
"""Seconds for which a connection is kept: photos come in bursts."""

SOCKS_PORT = 1080

_GONE = frozenset({403, 404, 410})
"""How the host says that it has a file no more (whatsmeow errors.go, ErrMediaDownloadFailedWith...)."""

_HEADERS = [
    (b"Host", HOST.encode()),
    (b"Origin", b"https://web.whatsapp.com"),
    (b"Referer", b"https://web.whatsapp.com/"),
    (b"Accept-Encoding", b"identity"),
]
_TIMEOUT = {"timeout": httpx.Timeout(SILENCE, connect=10.0).as_dict()}

Write = Callable[[bytes], None]


class MediaRefused(Exception):
    """The host does not give the file, or gives another: `error` is true if it says so again."""

    def __init__(self, error: MediaError, detail: str) -> None:
        super().__init__(detail)
        self.error = error
        self.detail = detail


class MediaHost:
    """One per process.

    environ: names the proxy. threads: what runs blocking calls, so that a slow disk takes no thread of the journal's.
    """

    def __init__(self, environ: Mapping[str, str], threads: trio.CapacityLimiter) -> None:
        self._proxy = proxy_for(environ)
        self._threads = threads
        self._pieces = Pieces()
        self._context: SSLContext | None = None
        self._opened: StackTransport | None = None

    async def aclose(self) -> None:
        """Closes the connections that are kept."""
        if self._opened is not None:
            await self._opened.aclose()

    async def fetch(
        self,
        reference: MediaReference,
        write: Write,
        *,
        most: int,
        received: Callable[[int], None],
        egress: Egress = None,
    ) -> int:
        """Writes the file, and returns its size in bytes. Nothing of it may be used if this raises.

        write: blocking; it is called on a thread. most: bytes of a file. received(bytes): is told of what came.
        egress: by which way the instance goes out.
        Raises MediaRefused, EdgeUnavailable, and what `write` raises. Cancelling closes the connection.
        """
        if isinstance(egress, Unusable):
            raise EdgeUnavailable(NAME, f"the proxy of the instance cannot be used: {egress.why}")
        decryptor = Decryptor(reference)
        url = httpx.URL(f"https://{HOST}{reference.direct_path}")
        request = httpx.Request("GET", url, headers=_HEADERS, extensions=_TIMEOUT)
        try:
            with trio.fail_after(PATIENCE + most / SLOWEST):
                async with self._transport(egress) as transport:
                    response = await transport.handle_async_request(request)
                    try:
                        _check(response)
                        with self._pieces.file():
                            await self._take(response, decryptor, write, most=most, received=received)
                    finally:
                        await response.aclose()
        except trio.TooSlowError:
            raise EdgeUnavailable(NAME, "the file does not come in time") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise EdgeUnavailable(NAME, type(error).__name__) from error
        except DamagedMedia as error:
            raise MediaRefused(MediaError.DAMAGED, str(error)) from None
        if decryptor.size > most:
            raise MediaRefused(MediaError.TOO_LARGE, f"more than {most} bytes")
        return decryptor.size

    async def _take(
        self,
        response: httpx.Response,
        decryptor: Decryptor,
        write: Write,
        *,
        most: int,
        received: Callable[[int], None],
    ) -> None:
        size, piece = 0, bytearray()
        try:
            async for chunk in response.aiter_raw():
                size += len(chunk)
                if size > most + OVERHEAD:
                    await response.aclose()  # reading on fails then, which ends the generators that are read from
                    continue
                received(len(chunk))
                piece += chunk
                if len(piece) >= self._pieces.size:
                    await self._blocking(_decrypted, decryptor, bytes(piece), write)
                    piece.clear()
        except httpx.HTTPError:
            if size <= most + OVERHEAD:
                raise
        if size > most + OVERHEAD:
            raise MediaRefused(MediaError.TOO_LARGE, f"more than {most} bytes")
        await self._blocking(_finished, decryptor, bytes(piece), write)

    @asynccontextmanager
    async def _transport(self, egress: EgressProxy | None) -> AsyncIterator[StackTransport]:
        """Yields the connections that are kept, or one through the instance's own proxy, for this file alone."""
        if self._context is None:  # many that start have no file to get, and reading the CA bundle takes a moment
            self._context = await trio.to_thread.run_sync(httpx.create_ssl_context)
        if egress is None:
            self._opened = self._opened or StackTransport(_connect(self._proxy, self._context))
            yield self._opened
            return
        own = StackTransport(_connect(httpx.Proxy(egress.url.reveal()), self._context))
        try:
            yield own
        finally:
            await own.aclose()

    async def _blocking(self, call: Callable[..., None], *args: object) -> None:
        await trio.to_thread.run_sync(call, *args, limiter=self._threads)


def _decrypted(decryptor: Decryptor, piece: bytes, write: Write) -> None:
    write(decryptor.feed(piece))


def _finished(decryptor: Decryptor, piece: bytes, write: Write) -> None:
    write(decryptor.feed(piece))
    write(decryptor.finish())


def _check(response: httpx.Response) -> None:
    status = response.status_code
    if status in _GONE:
        raise MediaRefused(MediaError.EXPIRED, f"answered {status}")
    if status != 200:
        raise EdgeUnavailable(NAME, f"answered {status}", status)
    if response.headers.get("content-encoding", "identity") != "identity":
        raise EdgeUnavailable(NAME, "sends the file compressed, which was not asked for", status)


def proxy_for(environ: Mapping[str, str]) -> httpx.Proxy | None:
    """Returns the proxy to the media host: that which Go would use. Nonsense counts as none: see probe.target()."""
    url = environment_proxy(environ, HOST)
    if url is None:
        return None
    try:
        return httpx.Proxy(url.replace("socks5h://", "socks5://", 1))
    except (ValueError, httpx.InvalidURL):
        return None


def _connect(
    proxy: httpx.Proxy | None, context: SSLContext
) -> Callable[[httpcore.Origin], httpcore.AsyncConnectionInterface]:
    if proxy is None:
        return directly(context, KEEP)
    if proxy.url.scheme == "socks5":
        return directly(context, KEEP, SocksBackend(proxy.url.host, proxy.url.port or SOCKS_PORT, proxy.raw_auth))
    return httpcore.AsyncHTTPProxy(
        _url(proxy.url),
        proxy_auth=proxy.raw_auth,
        ssl_context=context,
        proxy_ssl_context=context if proxy.url.scheme == "https" else None,
        keepalive_expiry=KEEP,
        network_backend=httpcore.TrioBackend(),
    ).create_connection


def _url(url: httpx.URL) -> httpcore.URL:
    return httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
