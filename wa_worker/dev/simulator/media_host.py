"""The media host of the simulated WhatsApp: HTTP/1.1 over the TLS that the CONNECT proxy ends.

Owns the encrypted files and the ways in which their host may fail. Plays: GET of a file by its direct path, POST of
one as a client uploads it (`/mms/<kind>/<base64 of the SHA-256>`, whatsmeow upload.go), DELETE. Keeps files for good,
and does not check the `auth` of an upload. What is in a file, it cannot know: media_messages.py encrypts.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import attrs
import h11
import trio

if TYPE_CHECKING:
    TLS = trio.SSLStream[trio.SocketStream]

MEDIA_HOST = "mmg.whatsapp.net"
AUTH = "simulated-auth"

_PIECE = 65536
_PACE = 0.02  # seconds between two looks of a slow answer


@attrs.define
class Behaviour:
    """Says how the host answers: as it should, unless a test sets something.

    status: the answer instead of a success. delay: seconds before an answer. rate: bytes a second.
    stall_at: so many bytes of the body are sent, then nothing, for good. cut_at: then the connection is closed.
    flip: this byte of the body is another than it was. truncate: the body ends there, and says so. length: what the
    answer says of its length, whatever is true; -1: it says nothing, and ends with its connection.
    location: the Location of a redirect.
    """

    status: int | None = None
    delay: float = 0.0
    rate: float | None = None
    stall_at: int | None = None
    cut_at: int | None = None
    flip: int | None = None
    truncate: int | None = None
    length: int | None = None
    location: str | None = None

    def body(self, data: bytes) -> bytes:
        """Returns what is sent instead of this file."""
        if self.truncate is not None:
            data = data[: self.truncate]
        if self.flip is not None:
            data = data[: self.flip] + bytes([data[self.flip] ^ 1]) + data[self.flip + 1 :]
        return data


@attrs.frozen
class MediaRequest:
    """Describes a request that came. `path` is without the query; `size`: bytes of its body."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    size: int


class MediaHost:
    """Holds the files. Get it as `Simulator.media`."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}  # encrypted, by path
        self.requests: list[MediaRequest] = []
        self.sent = 0  # bytes of files
        self.active = 0  # answers to GET under way
        self.most_active = 0
        self.all = Behaviour()  # of every GET
        self.of: dict[str, Behaviour] = {}  # of a GET of this path; goes before `all`
        self.uploads = Behaviour()  # of every POST: status, delay and stall_at
        self._changes = trio.lowlevel.ParkingLot()

    def put(self, encrypted: bytes, kind: str = "image") -> str:
        """Keep a file; return its direct path, with the query that WhatsApp gives it."""
        path = f"/v/t62.7118-24/{secrets.token_hex(8)}_n.{kind}.enc"
        self.files[path] = encrypted
        return f"{path}?ccb=11-4&oh=01_simulated&oe=6900AAAA&_nc_sid=5e03e0"

    def file(self, direct_path: str) -> bytes:
        """Return an encrypted file. Raises KeyError."""
        return self.files[direct_path.partition("?")[0]]

    def behaviour(self, direct_path: str) -> Behaviour:
        """Return how this file is answered, to be changed."""
        return self.of.setdefault(direct_path.partition("?")[0], Behaviour())

    def requested(self, direct_path: str = "", method: str = "GET") -> int:
        """How often a file was asked for; without a path: any."""
        path = direct_path.partition("?")[0]
        return sum(each.method == method and path in ("", each.path) for each in self.requests)

    async def wait_requested(self, count: int, direct_path: str = "", method: str = "GET") -> None:
        await self._wait(lambda: self.requested(direct_path, method) >= count)

    async def wait_sent(self, count: int) -> None:
        """Wait until so many bytes of files have been sent."""
        await self._wait(lambda: self.sent >= count)

    async def serve(self, stream: TLS) -> None:
        """Serve one connection to its end."""
        connection = h11.Connection(h11.SERVER)
        while True:
            request = await _request(connection, stream)
            if request is None:
                return
            self.requests.append(request[0])
            self._changes.unpark_all()
            if not await self._answer(connection, stream, *request) or connection.our_state is h11.MUST_CLOSE:
                return
            connection.start_next_cycle()

    async def _wait(self, condition: Callable[[], bool]) -> None:
        await trio.lowlevel.checkpoint()
        while not condition():
            await self._changes.park()

    async def _answer(self, connection: h11.Connection, stream: TLS, request: MediaRequest, body: bytes) -> bool:
        """False: nothing more can be said on this connection."""
        if request.method == "POST":
            behaviour = self.uploads
            status, answer = (behaviour.status, b"{}") if behaviour.status else self._store(request, body)
            return await self._send(connection, stream, status, answer, behaviour)
        behaviour = self.of.get(request.path, self.all)
        if request.method == "DELETE":
            found = self.files.pop(request.path, None) is not None
            return await self._send(connection, stream, 200 if found else 404, b"", Behaviour())
        if behaviour.status is not None:
            return await self._send(connection, stream, behaviour.status, b"simulated", behaviour)
        if request.path not in self.files:
            return await self._send(connection, stream, 404, b"", Behaviour())
        self.active += 1
        self.most_active = max(self.most_active, self.active)
        try:
            data = behaviour.body(self.files[request.path])
            return await self._send(connection, stream, 200, data, behaviour)
        finally:
            self.active -= 1
            self._changes.unpark_all()

    def _store(self, request: MediaRequest, body: bytes) -> tuple[int, bytes]:
        _, mms, kind, token = (request.path.split("/") + [""] * 3)[:4]
        wanted = base64.urlsafe_b64encode(hashlib.sha256(body).digest()).decode()
        if mms != "mms" or token.rstrip("=") != wanted.rstrip("="):  # Baileys leaves the padding out
            return 400, b"{}"
        direct_path = self.put(body, kind)
        url = f"https://{MEDIA_HOST}{direct_path}&mms3=true"
        return 200, json.dumps({"url": url, "direct_path": direct_path, "handle": "simulated"}).encode()

    async def _send(
        self, connection: h11.Connection, stream: TLS, status: int, data: bytes, behaviour: Behaviour
    ) -> bool:
        await trio.sleep(behaviour.delay)
        length = len(data) if behaviour.length is None else behaviour.length
        headers = [("Content-Length", str(length))] if length >= 0 else []
        if behaviour.location is not None:
            headers.append(("Location", behaviour.location))
        head = connection.send(h11.Response(status_code=status, headers=headers))
        if length < 0:  # h11 would have it chunked
            head = f"HTTP/1.1 {status} OK\r\nConnection: close\r\n\r\n".encode()
        await stream.send_all(head)
        end = len(data)
        if behaviour.cut_at is not None:
            end = min(end, behaviour.cut_at)
        if behaviour.stall_at is not None:
            end = min(end, behaviour.stall_at)
        await self._send_body(stream, memoryview(data)[:end], behaviour.rate)
        if behaviour.stall_at is not None:
            await _until_gone(stream)
            return False
        if length != end:
            return False
        for event in (h11.Data(data=data), h11.EndOfMessage()):
            connection.send(event)  # its bytes have been sent: for the state only
        return True

    async def _send_body(self, stream: TLS, data: memoryview, rate: float | None) -> None:
        began = trio.current_time()
        piece = _PIECE if rate is None else max(1, min(_PIECE, int(rate * _PACE)))
        for at in range(0, len(data), piece):
            await stream.send_all(bytes(data[at : at + piece]))
            self.sent += len(data[at : at + piece])
            self._changes.unpark_all()
            if rate is not None:
                await trio.sleep_until(began + min(at + piece, len(data)) / rate)


async def _request(connection: h11.Connection, stream: TLS) -> tuple[MediaRequest, bytes] | None:
    """The next request with its body; None at the end of the connection."""
    head: h11.Request | None = None
    body = bytearray()
    while True:
        await trio.lowlevel.checkpoint()
        event = connection.next_event()
        match event:
            case h11.NEED_DATA:
                connection.receive_data(bytes(await stream.receive_some(_PIECE)))
            case h11.Request():
                head = event
            case h11.Data():
                body += event.data
            case h11.EndOfMessage():
                assert head is not None
                path, _, query = head.target.decode("latin1").partition("?")
                headers = {name.decode("latin1"): value.decode("latin1") for name, value in head.headers}
                return MediaRequest(head.method.decode("latin1"), path, query, headers, len(body)), bytes(body)
            case _:
                return None


async def _until_gone(stream: TLS) -> None:
    while await stream.receive_some(_PIECE):
        pass
