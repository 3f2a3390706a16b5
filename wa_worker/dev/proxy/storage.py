"""The files of conversations, private: where a worker puts them by a signed URL, and a page gets them by another.

POST /media-upload announces a file; PUT /storage takes its bytes and GET /storage gives them, both with nothing but the
signature in the URL, as the stores of S3 and Supabase do. A file counts when all of it has come and its hash is right.
What is older than `keep_seconds` is deleted when another is announced. The folder of a database in memory goes with
`close()`; a request that ends in the middle leaves nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import shutil
import tempfile
import time
from collections.abc import Mapping
from mimetypes import guess_extension
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from wa_worker.monitoring.http_server import Receive, Scope, Send

from .rows import FileRow
from .store import Store

PATH = "/storage"

MOST_BYTES = 100 * 2**20
"""Of a file: what WhatsApp takes of a document is more (2 GB), and what a worker takes is less (MEDIA_MAX_MB)."""

URL_SECONDS = 3600
"""How long a URL is good for: a large file on a slow line has to come within it."""

KEEP_SECONDS = 30 * 86400

_SHOWN = ("image/jpeg", "image/png", "image/gif", "image/webp", "audio/", "video/")
"""Media types that a page may show. Any other, HTML or SVG from a stranger say, is bytes to be saved."""

Method = Literal["PUT", "GET"]


class Storage:
    """Keeps the files of a store. An ASGI application for PATH, which wants its requests as they come.

    most_bytes: the largest file that may be announced. url_seconds: how long a signed URL is good for; less than 0
    makes it sign such as are over. keep_seconds: how long a file is kept.
    """

    def __init__(self, store: Store, database: Path | str, secret: str) -> None:
        self.most_bytes = MOST_BYTES
        self.url_seconds: float = URL_SECONDS
        self.keep_seconds: float = KEEP_SECONDS
        self._store = store
        self._key = hashlib.sha256(b"storage\0" + secret.encode()).digest()
        self._temporary = database == ":memory:"
        self._folder = Path(tempfile.mkdtemp(prefix="wa-proxy-")) if self._temporary else Path(f"{database}.files")

    def close(self) -> None:
        if self._temporary:
            shutil.rmtree(self._folder, ignore_errors=True)

    def announce(self, body: Mapping[str, Any], origin: str) -> dict[str, object]:
        """POST /media-upload. Returns its answer. The same file of the same message has the same name each time."""
        self.prune()
        row = self._store.add_file(
            FileRow(
                name=_name(body),
                instance_id=body["instanceId"],
                chat=body["chat_id"],
                wa_message_id=body["wa_message_id"],
                message_type=body["message_type"],
                mime_type=body["mime_type"],
                size=int(body["size"]),
                sha256=body["sha256"],
                filename=body.get("filename"),
                asked_at=time.time(),
                uploaded_at=None,
            )
        )
        return {
            "upload_url": self._signed("PUT", origin, row.name),
            "method": "PUT",
            "headers": {"Content-Type": row.mime_type},
            "url": f"{origin}{PATH}?{urlencode({'name': row.name})}",
        }

    def read_url(self, url: str) -> str | None:
        """Returns a signed URL for the `url` of a message's media; None: it is none of ours, or there is no file."""
        row = self.file(url)
        if row is None:
            return None
        parts = urlsplit(url)
        return self._signed("GET", f"{parts.scheme}://{parts.netloc}", row.name)

    def read(self, url: str, most: int = -1) -> bytes | None:
        """Returns the bytes behind the `url` of a message's media, only the first `most` if wished; None as
        `read_url()`."""
        row = self.file(url)
        if row is None:
            return None
        try:
            with self._path(row.name).open("rb") as file:
                return file.read(most)
        except FileNotFoundError:
            return None  # a database that was moved without its folder

    def file(self, url: str) -> FileRow | None:
        """Says what is known of the file behind the `url` of a message's media; None as `read_url()`."""
        try:
            parts = urlsplit(url)
        except ValueError:
            return None
        row = self._store.file(dict(parse_qsl(parts.query)).get("name", "")) if parts.path == PATH else None
        return row if row is not None and row.uploaded_at is not None else None

    def prune(self) -> int:
        """Deletes the files that are older than `keep_seconds`, and says how many."""
        over = [row for row in self._store.files() if row.asked_at < time.time() - self.keep_seconds]
        for row in over:
            self._path(row.name).unlink(missing_ok=True)
            self._store.forget_file(row.name)
        return len(over)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Takes or gives a file. Who leaves in the middle of a file leaves nothing."""
        row, problem = self._asked_for(scope)
        if scope["method"] == "PUT":
            if (sent := await self._take(receive, row)) is None:
                return
            await _answer(send, *(problem or self._keep(row, sent, dict(scope["headers"]))))
        elif problem is not None or row is None:
            await _answer(send, *(problem or _NO_FILE))
        else:
            await _send_file(send, row, self._path(row.name).read_bytes())

    def _asked_for(self, scope: Scope) -> tuple[FileRow | None, tuple[int, str] | None]:
        """Returns the file that the URL is signed for, or the answer for a URL that is not good."""
        if scope["method"] not in ("PUT", "GET"):
            return None, (405, "use PUT or GET")
        query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        name, expires = query.get("name", ""), query.get("expires", "")
        right = self._signature(scope["method"], name, expires)
        if not hmac.compare_digest(right.encode(), query.get("signature", "").encode()):
            return None, (403, "the signature is missing or wrong")
        if float(expires) < time.time():
            return None, (403, "the URL is over")
        row = self._store.file(name)
        if row is None or (scope["method"] == "GET" and row.uploaded_at is None):
            return None, _NO_FILE
        if scope["method"] == "PUT" and row.uploaded_at is not None:
            return None, (409, "the file is here already")
        return row, None

    async def _take(self, receive: Receive, row: FileRow | None) -> _Sent | None:
        """Reads a request's body to its end, and keeps what there is of the file. None: the client has left."""
        sent = _Sent(None if row is None else self._path(row.name), 0 if row is None else row.size)
        try:
            while True:
                event = await receive()
                if event["type"] == "http.disconnect":
                    sent.drop()
                    return None
                sent.add(event.get("body", b""))
                if not event.get("more_body", False):
                    return sent
        except BaseException:
            sent.drop()
            raise

    def _keep(self, row: FileRow | None, sent: _Sent, headers: Mapping[bytes, bytes]) -> tuple[int, str]:
        assert row is not None
        problem: tuple[int, str] | None = None
        if b"content-length" not in headers:
            problem = 411, "Content-Length is missing"
        elif headers.get(b"content-type", b"").decode("latin-1") != row.mime_type:
            problem = 403, "Content-Type is not the one that was signed"
        elif sent.size != row.size:
            problem = 400, f"the file has {row.size} bytes, not {sent.size}"
        elif sent.hash.hexdigest() != row.sha256:
            problem = 400, "the file has another SHA-256"
        if problem is not None:
            sent.drop()
            return problem
        sent.keep()
        self._store.file_came(row.name)
        return 200, ""

    def _path(self, name: str) -> Path:
        """Of a file: what an instance is called has no say in where it lies."""
        folder, _, file = name.partition("/")
        return self._folder / hashlib.sha256(folder.encode()).hexdigest() / file

    def _signed(self, method: Method, origin: str, name: str) -> str:
        expires = str(int(time.time() + self.url_seconds))
        query = {"name": name, "expires": expires, "signature": self._signature(method, name, expires)}
        return f"{origin}{PATH}?{urlencode(query)}"

    def _signature(self, method: str, name: str, expires: str) -> str:
        said = json.dumps([method, name, expires]).encode()
        return hmac.new(self._key, said, hashlib.sha256).hexdigest()


_NO_FILE = (404, "there is no such file")


class _Sent:
    """Takes what a client sends, into a file beside the one that it becomes. `path` None: it is thrown away."""

    def __init__(self, path: Path | None, most: int) -> None:
        self.size = 0
        self.hash = hashlib.sha256()
        self._path = path
        self._most = most
        self._file = None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False)  # noqa: SIM115 - see keep() and drop()

    def add(self, piece: bytes) -> None:
        self.size += len(piece)
        if self._file is not None and self.size <= self._most:
            self.hash.update(piece)
            self._file.write(piece)

    def drop(self) -> None:
        if self._file is not None:
            self._file.close()
            Path(self._file.name).unlink()
            self._file = None

    def keep(self) -> None:
        assert self._file is not None
        assert self._path is not None
        self._file.close()
        Path(self._file.name).replace(self._path)


def _name(body: Mapping[str, Any]) -> str:
    what = json.dumps([body["chat_id"], body["wa_message_id"], body["sha256"]])
    file = hashlib.sha256(what.encode()).hexdigest()[:32]
    extension = guess_extension(body["mime_type"].partition(";")[0].strip()) or ""
    return f"{quote(body['instanceId'], safe='')}/{file}{extension}"


async def _answer(send: Send, status: int, problem: str) -> None:
    body = json.dumps({"error": problem} if problem else {"ok": True}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _send_file(send: Send, row: FileRow, body: bytes) -> None:
    kind = row.mime_type if row.mime_type.lower().startswith(_SHOWN) else "application/octet-stream"
    name = quote(row.filename or row.name.rpartition("/")[2], safe="")
    headers = [
        (b"content-type", kind.encode("latin-1")),
        (b"content-length", str(len(body)).encode()),
        (b"content-disposition", f"attachment; filename*=UTF-8''{name}".encode()),
        (b"content-security-policy", b"default-src 'none'; sandbox"),
        (b"x-content-type-options", b"nosniff"),
        (b"cache-control", b"private, max-age=3600"),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
