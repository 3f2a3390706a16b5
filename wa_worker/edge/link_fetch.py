"""Fetches the file at a link that the proxy names: streamed to disk, bounded in size and time, from public hosts only.

Whose word is an answer? Over https it is the host's, and what two answers say in a row is believed: that a file is
gone. Over plain http anything on the way may answer, as a hotel's portal does with a page: that is never believed.
HTTPS_PROXY is for WhatsApp and does not count here, nor do redirects out of https. Cancelling closes the connection.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from ssl import SSLContext
from typing import BinaryIO

import attrs
import httpcore
import httpx
import trio

from wa_worker.edge.public_address import PrivateAddress, PublicBackend, Resolve, is_public, resolve
from wa_worker.errors import Failure, RowError, SendDelayed, WorkerTrouble

PATIENCE = 30.0
"""Seconds for a file, besides those that the bytes which have come take at SLOWEST."""

SLOWEST = 100_000.0
"""Bytes a second below which a file is given up; it is tried again later."""

CONNECT, READ = 10.0, 15.0
"""Seconds for a connection, and of silence."""

REDIRECTS = 5
"""Of a signed link there are none to two."""

GONE_AGAIN = 3.0
"""Seconds until a host that says that a file is gone is asked again: right after an upload some do not know it yet."""

PAUSE = 10.0
"""Seconds before the next try of a file that could not be fetched; it doubles with each."""

PIECE = 256 * 1024
"""Bytes that are written at once: a thread hop each."""

_GONE = (404, 410)
_REDIRECT = (301, 302, 303, 307, 308)


@attrs.frozen
class Fetched:
    """Says what is known of a file that was fetched: its size in bytes, and the type that its host gives it."""

    size: int
    content_type: str | None


class _Gone(Exception):
    """The host says that there is no such file. `proven`: it was the host that said so."""

    def __init__(self, status: int, *, proven: bool) -> None:
        super().__init__(f"the link's host answers {status}")
        self.proven = proven


class LinkFetcher:
    """One per process. `limit`: bytes of a file. `allow_private`: any address, and plain http: for intranets."""

    def __init__(
        self,
        limit: int,
        *,
        allow_private: bool = False,
        public: Callable[[str], bool] = is_public,
        resolve: Resolve = resolve,
    ) -> None:
        self._limit = limit
        self._allow_private = allow_private
        self._backend = PublicBackend(allowed=(lambda _: True) if allow_private else public, resolve=resolve)
        self._context: SSLContext | None = None

    async def fetch(self, link: str, file: BinaryIO, *, page: bool = False) -> Fetched:
        """Writes the file at `link` into `file`. Raises RowError if it never will be there, SendDelayed if it may.

        page: a page is what is wanted; else one is what a login, or a host that rests, shows in place of the file.
        """
        try:
            try:
                return await self._fetch(link, file, page=page)
            except _Gone as first:
                await trio.sleep(GONE_AGAIN)
                try:
                    return await self._fetch(link, file, page=page)
                except _Gone as second:
                    if first.proven and second.proven:
                        raise RowError(Failure.GONE_LINK, f"{second}, twice") from None
                    raise _delayed(str(second), Failure.GONE_LINK) from None
        except PrivateAddress as error:
            if error.literal:
                raise RowError(Failure.PRIVATE_LINK) from None
            # a resolver may be wrong for a while, or know the host's new address later
            raise _delayed("the link's host is at no public address", Failure.PRIVATE_LINK) from None

    async def _fetch(self, link: str, file: BinaryIO, *, page: bool) -> Fetched:
        await trio.to_thread.run_sync(_emptied, file)
        try:
            with trio.fail_after(PATIENCE) as scope:
                fetched = await self._follow(link, file, scope)
        except trio.TooSlowError:
            raise _delayed("the file is not here in time") from None
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, httpx.InvalidURL) as error:
            raise _delayed(f"{type(error).__name__}: the link's host does not answer as it should") from error
        except OSError as error:
            raise WorkerTrouble(f"a file cannot be written: {error.strerror or error}", pause=PAUSE) from error
        if not page and fetched.content_type is not None and _is_page(fetched.content_type):
            raise _delayed("the link's host sends a page")
        return fetched

    async def _follow(self, link: str, file: BinaryIO, scope: trio.CancelScope) -> Fetched:
        url = httpx.URL(link)
        for _ in range(REDIRECTS + 1):
            if url.scheme != "https" and not (url.scheme == "http" and self._allow_private):
                raise RowError(Failure.BAD_LINK)
            connection = httpcore.AsyncHTTPConnection(
                httpcore.Origin(url.raw_scheme, url.raw_host, url.port or _PORTS[url.scheme]),
                ssl_context=await self._trusted() if url.scheme == "https" else None,
                network_backend=self._backend,
            )
            try:
                response = await connection.handle_async_request(_request(url))
                status = response.status
                location = _header(response, b"location")
                if status not in _REDIRECT or location is None:
                    return await self._take(url, connection, response, file, scope)
                target = url.join(location)
                if url.scheme == "https" and target.scheme != "https":
                    raise _delayed("the link's host leads out of https")
                url = target
            finally:
                with trio.move_on_after(1.0, shield=True):
                    await connection.aclose()
        raise _delayed(f"more than {REDIRECTS} redirects")

    async def _take(
        self,
        url: httpx.URL,
        connection: httpcore.AsyncHTTPConnection,
        response: httpcore.Response,
        file: BinaryIO,
        scope: trio.CancelScope,
    ) -> Fetched:
        content_type = _header(response, b"content-type")
        if response.status in _GONE:
            raise _Gone(response.status, proven=_is_hosts_word(url, response.status, content_type))
        if response.status != 200:
            raise _delayed(f"the link's host answers {response.status}")
        if (_header(response, b"content-encoding") or "identity") != "identity":
            raise _delayed("the link's host sends the file compressed, which was not asked for")
        length = _header(response, b"content-length") or ""
        announced = int(length) if length.isascii() and length.isdigit() and len(length) < 16 else None
        if announced is not None:
            self._bound(announced)
        size = await self._write(connection, response, file, scope)
        if not size:
            raise _delayed("the link's host sends an empty file")
        return Fetched(size, content_type)

    async def _write(
        self,
        connection: httpcore.AsyncHTTPConnection,
        response: httpcore.Response,
        file: BinaryIO,
        scope: trio.CancelScope,
    ) -> int:
        size = 0
        patience = scope.deadline  # what has come buys the rest its time
        pieces = bytearray()
        problem: RowError | OSError | None = None
        try:
            async for chunk in response.aiter_stream():
                if problem is not None:
                    continue
                try:
                    size += len(chunk)
                    self._bound(size)
                    scope.deadline = patience + size / SLOWEST
                    pieces += chunk
                    if len(pieces) >= PIECE:
                        await trio.to_thread.run_sync(file.write, bytes(pieces))
                        pieces.clear()
                except (RowError, OSError) as error:
                    # httpcore's generators must be read to their end, which this is
                    problem = error
                    await connection.aclose()
        except (httpcore.NetworkError, httpcore.ProtocolError):
            if problem is None:
                raise
        if problem is not None:
            raise problem
        await trio.to_thread.run_sync(_written, file, bytes(pieces))
        return size

    def _bound(self, size: int) -> None:
        if size > self._limit:
            raise RowError(Failure.LARGE_FILE)

    async def _trusted(self) -> SSLContext:
        if self._context is None:  # on a thread: reading the CA bundle takes a moment
            self._context = await trio.to_thread.run_sync(httpx.create_ssl_context)
        return self._context


_PORTS = {"http": 80, "https": 443}


def _request(url: httpx.URL) -> httpcore.Request:
    headers = [
        (b"Host", url.netloc),
        (b"User-Agent", b"wa-worker"),
        (b"Accept", b"*/*"),
        (b"Accept-Encoding", b"identity"),
    ]
    return httpcore.Request(
        b"GET",
        httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
        headers=headers,
        extensions={"timeout": {"connect": CONNECT, "read": READ, "write": READ}},
    )


def _header(response: httpcore.Response, name: bytes) -> str | None:
    found = next((value for key, value in response.headers if key.lower() == name), None)
    return found.decode("latin-1").strip() if found is not None else None


def _is_page(content_type: str | None) -> bool:
    return content_type is None or "html" in content_type.lower()


def _is_hosts_word(url: httpx.URL, status: int, content_type: str | None) -> bool:
    """Says whether it is the host that says that a file is gone. A router in front of it says 404 in a few plain words
    while the host is being replaced; of files that are gone, storages tell in XML or JSON, and others on a page."""
    if status == HTTPStatus.NOT_FOUND and content_type is not None and content_type.lower().startswith("text/plain"):
        return False
    return url.scheme == "https" or not _is_page(content_type)


def _delayed(message: str, failure: Failure = Failure.NO_FILE) -> SendDelayed:
    return SendDelayed(message, pause=PAUSE, failure=failure)


def _emptied(file: BinaryIO) -> None:
    file.seek(0)
    file.truncate()


def _written(file: BinaryIO, last: bytes) -> None:
    file.write(last)
    file.flush()
