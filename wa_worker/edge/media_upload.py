"""A received file on its way to the proxy's storage: what the proxy is asked, what it answers, and the upload itself.

The URL is the proxy's word: it leads to a public address over https, or to the origin of the proxy itself; with
`allow_private` to any. Our secret does not go there. The file is read and sent piece by piece, and its last piece is
held back unless its hash is right. HTTPS_PROXY is for WhatsApp and does not count here.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import attrs
import httpx
import trio

from wa_worker.edge import wire
from wa_worker.edge.answers import ALREADY_THERE, foreign, may_be_of_a_row, quotable
from wa_worker.edge.pieces import Pieces
from wa_worker.edge.public_address import PrivateAddress, PublicBackend
from wa_worker.edge.transport import StackTransport, directly
from wa_worker.errors import EdgeRejected, EdgeUnavailable
from wa_worker.journal import ReceivedFile

ENDPOINT = "media-upload"
NAME = "the storage"
"""What the log calls the host of an upload URL."""

SILENCE = 20.0
"""Seconds for a piece to leave, and for the answer."""

PATIENCE = 30.0
"""Seconds for all but the bytes."""

SLOWEST = 16 * 1024
"""Bytes a second below which an upload is begun anew."""

KEEP = 30.0
"""Seconds for which a connection is kept."""

MOST_ANSWER = 64 * 1024
"""Bytes of an answer that are read."""

LONGEST_URL = 8192
"""Characters of a URL that are taken: signed ones of S3 have up to 2,000."""

_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection", "expect"})
"""Headers that are no business of the proxy's."""


class DamagedFile(Exception):
    """The file on the volume is not what was written there."""


@attrs.frozen
class UploadTarget:
    """Says where a file is to be put, and what `media.url` is then."""

    upload_url: str = attrs.field(repr=False)
    url: str = attrs.field(repr=False)
    method: str = "PUT"
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)


def asked(file: ReceivedFile, size: int) -> dict[str, Any]:
    """The body of `POST /media-upload`."""
    message = file.message
    assert message is not None
    assert message.media is not None
    return {
        "instanceId": file.instance,
        "chat_id": message.chat,
        "wa_message_id": message.wa_id,
        "message_type": message.message_type,
        "mime_type": message.media.mime_type or "application/octet-stream",
        "size": size,
        "sha256": file.reference.sha256.hex(),
        "filename": message.media.filename,
    }


def target_from(answer: object) -> UploadTarget:
    """Reads the answer. Raises wire.NotTheContract."""
    if not isinstance(answer, Mapping):
        raise wire.NotTheContract("the answer names no upload_url")
    upload_url, url = answer.get("upload_url"), answer.get("url")
    for value in (upload_url, url):
        if not isinstance(value, str) or not 0 < len(value) <= LONGEST_URL or not value.isprintable():
            raise wire.NotTheContract("upload_url or url is missing, or no text")
    method = answer.get("method") or "PUT"
    if method not in ("PUT", "POST"):
        raise wire.NotTheContract("method is neither PUT nor POST")
    headers = answer.get("headers") or {}
    if not isinstance(headers, Mapping) or not all(isinstance(v, str) for item in headers.items() for v in item):
        raise wire.NotTheContract("headers are no texts")
    assert isinstance(upload_url, str)
    assert isinstance(url, str)
    return UploadTarget(upload_url, url, method, dict(headers))


class Uploader:
    """Uploads files. One per process. `threads`: what runs blocking calls."""

    def __init__(self, base_url: str, threads: trio.CapacityLimiter, *, allow_private: bool) -> None:
        self._base = _origin(httpx.URL(base_url))
        self._threads = threads
        self._pieces = Pieces()
        self._allow_private = allow_private
        self._transports: tuple[StackTransport, StackTransport] | None = None
        """To the proxy's own origin, and to all others."""

    async def aclose(self) -> None:
        """Closes the connections that are kept."""
        for transport in self._transports or ():
            await transport.aclose()

    async def upload(self, target: UploadTarget, path: Path, file: ReceivedFile, size: int) -> None:
        """Puts the file at `path`, of `size` bytes, where it is to be. Cancelled: it may be there.

        Raises EdgeUnavailable, EdgeRejected, DamagedFile or FileNotFoundError.
        """
        try:
            url = httpx.URL(target.upload_url)
        except httpx.InvalidURL:
            raise EdgeUnavailable(ENDPOINT, "upload_url is no URL") from None
        try:
            headers = _headers(target, url, file, size)
        except UnicodeError:
            raise EdgeUnavailable(ENDPOINT, "headers hold what is no text") from None
        transport = await self._transport(url)
        opened = await trio.to_thread.run_sync(path.open, "rb", limiter=self._threads)
        try:
            body = _FileBody(opened, size, file.reference.sha256, self._threads, self._pieces)
            request = httpx.Request(target.method, url, headers=headers, stream=body, extensions=_TIMEOUTS)
            private = (target.upload_url, target.url, url.path, *target.headers.values())
            with self._pieces.file():
                await self._send(transport, request, private, size)
        finally:
            opened.close()

    async def _send(
        self, transport: StackTransport, request: httpx.Request, private: tuple[str, ...], size: int
    ) -> None:
        try:
            with trio.fail_after(PATIENCE + size / SLOWEST):
                response = await transport.handle_async_request(request)
                try:
                    answer = await _start_of(response)
                finally:
                    await response.aclose()
        except trio.TooSlowError:
            raise EdgeUnavailable(NAME, "the file does not go in time") from None
        except PrivateAddress:
            raise EdgeUnavailable(NAME, "upload_url leads to no public address") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise EdgeUnavailable(NAME, type(error).__name__) from error
        status = response.status_code
        if (kind := foreign(response, answer)) and not _is_xml(response, answer):
            raise EdgeUnavailable(NAME, f"answered {status}, the answer is {kind}", status)
        if response.is_success or status == ALREADY_THERE:
            return
        said = quotable(answer, private)
        error_kind = EdgeRejected if may_be_of_a_row(status) else EdgeUnavailable
        raise error_kind(NAME, f"answered {status}" + (f" ({said})" if said else ""), status)

    async def _transport(self, url: httpx.URL) -> StackTransport:
        own = _origin(url) == self._base
        if not own and url.scheme != "https" and not (url.scheme == "http" and self._allow_private):
            raise EdgeUnavailable(ENDPOINT, "upload_url is neither https nor of EDGE_BASE_URL's origin")
        if not url.raw_host:
            raise EdgeUnavailable(ENDPOINT, "upload_url names no host")
        if self._transports is None:
            # on a thread: reading the CA bundle takes a moment
            context = await trio.to_thread.run_sync(httpx.create_ssl_context)
            backend = None if self._allow_private else PublicBackend()
            self._transports = self._transports or (  # somebody else may have made them meanwhile
                StackTransport(directly(context, KEEP)),
                StackTransport(directly(context, KEEP, backend)),
            )
        return self._transports[0 if own else 1]


class _FileBody(httpx.AsyncByteStream):
    """Gives a file piece by piece, once; not its last piece if the whole has another hash."""

    def __init__(self, file: BinaryIO, size: int, sha256: bytes, threads: trio.CapacityLimiter, pieces: Pieces) -> None:
        self._file = file
        self._left = size
        self._sha256 = sha256
        self._threads = threads
        self._pieces = pieces
        self._hash = hashlib.sha256()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        size = min(self._pieces.size, self._left)
        return await trio.to_thread.run_sync(self._next, size, limiter=self._threads)

    def _next(self, size: int) -> bytes:
        piece = self._file.read(size)
        self._hash.update(piece)
        self._left -= len(piece)
        if not piece or (not self._left and self._hash.digest() != self._sha256):
            raise DamagedFile
        return piece


def _headers(target: UploadTarget, url: httpx.URL, file: ReceivedFile, size: int) -> list[tuple[bytes, bytes]]:
    """Raises UnicodeError for what cannot be written. What may not stand in a header, the connection refuses."""
    headers = {name: value for name, value in target.headers.items() if name.lower() not in _OURS}
    if "content-type" not in map(str.lower, headers):
        headers["Content-Type"] = asked(file, size)["mime_type"]
    theirs = [(name.encode(), value.encode()) for name, value in headers.items()]
    return [(b"Host", url.netloc), *theirs, (b"Content-Length", str(size).encode())]


def _origin(url: httpx.URL) -> tuple[str, bytes, int | None]:
    """Names where a URL leads. By its raw host: httpx cannot decode each one that it takes ("xn--")."""
    return url.scheme, url.raw_host, url.port or {"http": 80, "https": 443}.get(url.scheme)


def _is_xml(response: httpx.Response, answer: bytes) -> bool:
    """Says whether an answer is XML, as those of S3, Google's and Azure's storages are, and no page of a portal."""
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind in ("application/xml", "text/xml") and b"<html" not in answer[:4096].lower()


async def _start_of(response: httpx.Response) -> bytes:
    answer = b""
    async for chunk in response.aiter_raw():
        answer = (answer + chunk)[:MOST_ANSWER]
    return answer


_TIMEOUTS = {"timeout": httpx.Timeout(SILENCE, connect=10.0).as_dict()}
