"""One client's connection: WebSocket over TLS, WhatsApp's frames in it, Noise around them.

Owns the byte stream, the order of what is sent and the end of the connection. Plays: the HTTP upgrade of
`/ws/chat`, the `WA` header, 3-byte frame lengths (whatsmeow socket/framesocket.go). Does not know what a stanza
means.

Sending is synchronous: a stanza is encrypted (Noise counts frames) and queued in one step, so the order of the
calls is the order on the wire. The queue is bounded by its callers: answers to the client's own requests, and
messages within the mailbox's window. It stops when the client goes, when `cut()` is called, or after `finish()`.
"""

import logging
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import trio
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, BytesMessage, CloseConnection, Ping, Pong, Request
from wsproto.utilities import ProtocolError

from wa_worker.dev.simulator.dialect import DIALECTS, HEADER, Dialect
from wa_worker.dev.simulator.noise import Cipher, Handshake, NoiseRoot, ProtocolViolation
from wa_worker.dev.simulator.protobufs import ClientPayload
from wa_worker.dev.simulator.stanza import SERVER, Node, describe

logger = logging.getLogger("wa_worker.simulator")

_READ_SIZE = 65536
# whatsmeow handles stanzas in a task that it cancels when the socket closes: what it has read but not handled is
# lost (`handlerQueueLoop` in client.go). So after the last stanzas wait for a pong (it has read them), then this long.
_CLOSE_DELAY = 0.05
_PONG_PATIENCE = 2.0


class ClientGone(Exception):
    """The client closed the connection, or it vanished."""


class Connection:
    """Use `open_connection()`. After the end `send` does nothing and `receive` raises ClientGone."""

    def __init__(
        self, stream: "trio.SSLStream[trio.SocketStream]", root: NoiseRoot, dialects: Mapping[bytes, Dialect]
    ) -> None:
        self.closed = trio.Event()
        self._stream = stream
        self._root = root
        self._dialects = dialects
        self._dialect = DIALECTS[HEADER]
        self._websocket = WSConnection(ConnectionType.SERVER)
        self._incoming = bytearray()
        self._frames: deque[bytes] = deque()
        self._outgoing = bytearray()
        self._wake = trio.Event()
        self._pong = trio.Event()
        self._finishing = False
        self._receiver: Cipher | None = None
        self._sender: Cipher | None = None
        self._ids = 0
        self._nursery: trio.Nursery | None = None

    async def handshake(self) -> tuple[bytes, Any]:
        """Shake hands; return the client's noise key and its ClientPayload.

        Raises ClientGone or ProtocolViolation.
        """
        noise = Handshake(self._root, await self.receive_header())
        self._send_frame(noise.answer(await self.receive_frame()))
        key, payload = noise.finish(await self.receive_frame())
        self._receiver, self._sender = noise.split()
        await trio.sleep(self._dialect.pause)
        return key, ClientPayload.FromString(payload)

    async def receive(self) -> Node:
        """Returns the client's next stanza. Raises ClientGone or ProtocolViolation."""
        assert self._receiver is not None
        while True:
            plaintext = self._receiver.decrypt(await self.receive_frame())
            if self._finishing:
                continue
            try:
                node = self._dialect.decode(plaintext)
            except (ValueError, LookupError, EOFError) as error:
                raise ProtocolViolation(f"not a stanza: {error}") from None
            if logger.isEnabledFor(logging.DEBUG):
                logger.debug("client: %s", describe(node))
            return node

    def send(self, node: Node) -> None:
        """Queue a stanza. Nothing happens once the connection is ending."""
        if self._finishing or self.closed.is_set() or self._sender is None:
            return
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("server: %s", describe(node))
        self._send_frame(self._sender.encrypt(self._dialect.encode(node)))

    def send_after(self, seconds: float, node: Node) -> None:
        """Queue a stanza after a delay, without holding up anything else."""
        if seconds > 0 and self._nursery is not None and not self.closed.is_set():
            self._nursery.start_soon(self._send_later, seconds, node)
        else:
            self.send(node)

    def request(self, node: Node) -> None:
        """Queue a request of the server's own: gives it an id and a sender."""
        self._ids += 1
        self.send(Node(node.tag, {"from": SERVER, "id": f"sim-{self._ids}", **node.attrs}, node.content))

    def finish(self, *last: Node) -> None:
        """Send the last stanzas and close when the client has had time to act on them; ignore what it sends since."""
        if self._finishing or self.closed.is_set() or self._nursery is None:
            return
        for node in last:
            self.send(node)
        self._finishing = True
        self._send_bytes(self._websocket.send(Ping()))
        self._nursery.start_soon(self._close_when_read)

    def cut(self) -> None:
        """Close without a word; what is queued is not sent."""
        if self._nursery is not None:
            self._nursery.cancel_scope.cancel()

    async def receive_header(self) -> bytes:
        """Returns the client's header, which says the dialect from now on."""
        while len(self._incoming) < len(HEADER):
            await self._fill()
        header = bytes(self._incoming[: len(HEADER)])
        if header not in self._dialects:
            raise ProtocolViolation("not WhatsApp's header, or of a dictionary that nobody has brought")
        self._dialect = self._dialects[header]
        del self._incoming[: len(HEADER)]
        self._split_frames()
        return header

    async def receive_frame(self) -> bytes:
        if self._frames:
            await trio.lowlevel.checkpoint()
        while not self._frames:
            await self._fill()
            self._split_frames()
        return self._frames.popleft()

    def _split_frames(self) -> None:
        while len(self._incoming) >= 3:
            end = 3 + int.from_bytes(self._incoming[:3], "big")
            if len(self._incoming) < end:
                return
            self._frames.append(bytes(self._incoming[3:end]))
            del self._incoming[:end]

    def _send_frame(self, frame: bytes) -> None:
        self._send_bytes(self._websocket.send(BytesMessage(len(frame).to_bytes(3, "big") + frame)))

    def _send_bytes(self, data: bytes) -> None:
        self._outgoing += data
        self._wake.set()

    async def _fill(self) -> None:
        """Read what has come; raise ClientGone at the end."""
        data = await self._stream.receive_some(_READ_SIZE)
        if not data:
            raise ClientGone
        try:
            self._websocket.receive_data(bytes(data))
            for event in self._websocket.events():
                self._take_event(event)
        except ProtocolError as error:
            raise ProtocolViolation(f"not a WebSocket: {error}") from None

    def _take_event(self, event: object) -> None:
        match event:
            case BytesMessage(data=data):
                self._incoming += data
            case Request():
                self._send_bytes(self._websocket.send(AcceptConnection()))
            case Ping():
                self._send_bytes(self._websocket.send(event.response()))
            case Pong():
                self._pong.set()
            case CloseConnection():
                self._send_bytes(self._websocket.send(event.response()))
                self._finishing = True
                self._pong.set()
                if self._nursery is not None:
                    self._nursery.start_soon(self._close_when_read)

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            self._wake = trio.Event()
            data, self._outgoing = bytes(self._outgoing), bytearray()
            await self._stream.send_all(data)

    async def _send_later(self, seconds: float, node: Node) -> None:
        await trio.sleep(seconds)
        self.send(node)

    async def _close_when_read(self) -> None:
        with trio.move_on_after(_PONG_PATIENCE):
            await self._pong.wait()
        await trio.sleep(_CLOSE_DELAY)
        self.cut()


@asynccontextmanager
async def open_connection(
    stream: "trio.SSLStream[trio.SocketStream]", root: NoiseRoot, dialects: Mapping[bytes, Dialect] = DIALECTS
) -> AsyncIterator[Connection]:
    """Yield the connection; the block is cancelled by `cut()`, and the socket is closed after it."""
    connection = Connection(stream, root, dialects)
    try:
        async with trio.open_nursery() as nursery:
            connection._nursery = nursery
            nursery.start_soon(connection._write)
            yield connection
            nursery.cancel_scope.cancel()
    finally:
        connection.closed.set()
        with trio.CancelScope(shield=True):  # forceful: no network, no wait
            await trio.aclose_forcefully(stream)
