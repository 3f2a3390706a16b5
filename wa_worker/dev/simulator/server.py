"""The simulated WhatsApp: `open_simulator()` listens, a `Simulator` is its world and its controls.

Owns the listener (an HTTP CONNECT proxy that ends TLS with a CA of its own), the devices, the contacts and the knobs
by which a test makes things go wrong. What it plays of the protocol is in session.py, phone.py, iq.py and
messages.py. It stops when the context manager is left: every connection is cut, every task has ended.
"""

import logging
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import trio
import trustme

from wa_worker.dev.simulator.connection import ClientGone, Connection, open_connection
from wa_worker.dev.simulator.contact import Contact
from wa_worker.dev.simulator.device import Device
from wa_worker.dev.simulator.noise import NoiseRoot, ProtocolViolation
from wa_worker.dev.simulator.phone import UnknownQR, WaitingClient
from wa_worker.dev.simulator.session import REMOVED, REPLACED, RESTART, serve_client
from wa_worker.dev.simulator.stanza import PHONE_SUFFIX, SERVER, Node
from wa_worker.dev.simulator.trust import ROOT_VARIABLE

logger = logging.getLogger("wa_worker.simulator")

HOST = "web.whatsapp.com"  # `URL` in whatsmeow socket/constants.go
_HEAD_LIMIT = 16384
_LAST_DEVICE = 255  # one byte on the wire
_FEW_PREKEYS = 5  # `MinPreKeyCount` in whatsmeow prekeys.go


class UnknownDevice(KeyError):
    """No such device is linked: it never was, or it was logged out."""


class Simulator:
    """The world of one simulated server. Get one from `open_simulator()`; use it in that event loop only."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.port = 0
        self.connections = 0  # sockets open now
        self.logins: Counter[str] = Counter()  # successful ones, by device JID
        self.attempts: Counter[str] = Counter()  # logins tried, by device JID
        self.turned_away = 0  # requests for a WebSocket that got a 503
        self.faults: list[BaseException] = []  # errors of the simulator or of an on_message: there should be none
        self.waiting: set[WaitingClient] = set()  # unpaired clients that show codes

        # The knobs: each takes effect for the next connection or answer.
        self.refusing = False  # accept TCP connections and close them at once
        self.no_websocket = False  # answer the WebSocket's request with 503
        self.stall_handshake = False  # go as far as the WebSocket, never answer the Noise hello
        self.answer_delay = 0.0  # seconds before each iq answer and message ack
        self.qr_refs = 6  # whatsmeow shows the first of six codes 60 s, any other 20 s
        self.client_outdated = False  # refuse every login and every pairing with 405
        self.bans: dict[str, int] = {}  # device JID -> seconds the ban lasts
        self.login_failures: dict[str, int] = {}  # device JID -> reason code of a <failure>
        self.silent: set[str] = set()  # device JIDs whose iqs, keepalives included, get no answer
        self.skip_offline: set[str] = set()  # device JIDs that get no <offline/> after their backlog
        self.message_error: dict[str, int] = {}  # receiver's phone -> error code in the ack
        self.swallow_acks = 0  # so many messages (a resend counts) get delivered, not acked, and the line is cut
        self.absent: set[str] = set()  # phones that are not on WhatsApp
        self.unreachable: set[str] = set()  # device JIDs whose logins are cut without a word
        self.greet: Callable[[Contact], None] = lambda contact: None  # told of each new contact

        self._nursery = nursery
        self._root = NoiseRoot()
        self._ca = trustme.CA()
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._ca.issue_cert(HOST).configure_cert(self._tls)
        self._devices: dict[str, Device] = {}
        self._numbers: Counter[str] = Counter()  # the last device number, by phone; they are not used again
        self._contacts: dict[str, Contact] = {}
        self._open: set[Connection] = set()
        self._changes = trio.lowlevel.ParkingLot()

    # --- clients

    def environment(self, folder: Path) -> dict[str, str]:
        """Write the CA into `folder`; return what to add to the environment of a client process.

        It must be there when the process starts: Go reads its environment only then. The process must run under
        trust.py (`trust.command()`).
        """
        authority = folder / "simulator-ca.pem"
        self._ca.cert_pem.write_to_path(str(authority))
        return {
            "HTTPS_PROXY": f"http://127.0.0.1:{self.port}",
            "SSL_CERT_FILE": str(authority),
            "NEONIZE_BOT_TAG": "off",
            ROOT_VARIABLE: self._root.public.hex(),
        }

    async def scan(self, qr: str, phone: str) -> str:
        """The phone with this number scans a QR code; return the JID of the new device once it has confirmed.

        Raises UnknownQR if no waiting client shows this code, PairingFailed if the client does not confirm.
        """
        client = next((each for each in self.waiting if each.shows(qr)), None)
        if client is None:
            raise UnknownQR("no waiting client shows this code")
        self._numbers[phone] += 1
        if self._numbers[phone] > _LAST_DEVICE:
            raise ValueError(f"this phone has linked {_LAST_DEVICE} devices, the simulator knows no more numbers")
        jid = f"{phone}:{self._numbers[phone]}{PHONE_SUFFIX}"
        self._devices[jid] = await client.link(qr, self.contact(phone), jid)
        client.restart(RESTART)
        self.note_change()
        return jid

    def contact(self, phone: str) -> Contact:
        """The phone with this number (digits): somebody's, or that of an account."""
        if phone not in self._contacts:
            self._contacts[phone] = Contact(self, phone)
            self.greet(self._contacts[phone])
        return self._contacts[phone]

    @property
    def devices(self) -> Mapping[str, Device]:
        """The linked devices, by JID."""
        return MappingProxyType(self._devices)

    def device(self, jid: str) -> Device:
        try:
            return self._devices[jid]
        except KeyError:
            raise UnknownDevice(jid) from None

    def devices_of(self, phone: str) -> list[Device]:
        return [device for device in self._devices.values() if device.phone == phone]

    def is_on_whatsapp(self, phone: str) -> bool:
        return phone.isdigit() and 8 <= len(phone) <= 15 and phone not in self.absent

    def pending(self, jid: str) -> list[str]:
        """Ids of the messages that this device has not acknowledged, oldest first."""
        return self.device(jid).mailbox.pending()

    # --- connections

    def connected(self, jid: str) -> bool:
        """Logged in and active right now."""
        return jid in self._devices and self._devices[jid].active

    async def wait_connected(self, jid: str) -> None:
        await self.wait_for(lambda: self.connected(jid))

    async def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until the condition holds; it is tried when devices come, go, or send a message or receipt."""
        await trio.lowlevel.checkpoint()
        while not condition():
            await self._changes.park()

    async def drop(self, jid: str) -> None:
        """Cut the device's connection, if it has one, without a word."""
        connection = self.device(jid).connection
        if connection is not None:
            connection.cut()
            await connection.closed.wait()

    async def drop_all(self) -> None:
        connections = list(self._open)
        for connection in connections:
            connection.cut()
        for connection in connections:
            await connection.closed.wait()

    async def log_out(self, jid: str) -> None:
        """The phone removes the device: it is told if connected, and refused (401) from now on."""
        await self._say_last(self.device(jid), REMOVED, unlink=True)

    async def replace(self, jid: str) -> None:
        """Another client logs in with the same keys: this one is told and closed, and may log in again."""
        await self._say_last(self.device(jid), REPLACED)

    async def stream_error(self, jid: str, code: str) -> None:
        """Send `<stream:error code=...>` and close."""
        await self._say_last(self.device(jid), Node("stream:error", {"code": code}))

    def unlink(self, jid: str) -> Device:
        """Forget a device without mark it."""
        device = self._devices.pop(jid)
        self.note_change()
        return device

    async def _say_last(self, device: Device, node: Node, *, unlink: bool = False) -> None:
        connection = device.connection
        if unlink:
            self.unlink(device.jid)
        if connection is not None:
            connection.finish(node)
            await connection.closed.wait()

    # --- for the other modules

    def note_change(self) -> None:
        """Wake whoever waits in `wait_for`."""
        self._changes.unpark_all()

    def start_soon(self, function: Callable[..., Awaitable[None]], *args: Any) -> None:
        """Run a test's callback in the server's nursery; its error becomes a fault."""
        self._nursery.start_soon(self._guard, function, *args)

    def tell_prekeys(self, device: Device) -> None:
        """Ask the device for more one-time prekeys (`handleEncryptNotification` in whatsmeow notification.go)."""
        if len(device.prekeys) < _FEW_PREKEYS and device.connection is not None and device.active:
            count = Node("count", {"value": str(len(device.prekeys))})
            device.connection.request(Node("notification", {"type": "encrypt", "from": SERVER}, [count]))

    async def _guard(self, function: Callable[..., Awaitable[None]], *args: Any) -> None:
        try:
            await function(*args)
        except Exception as error:  # the crash barrier of one callback
            logger.exception("a callback failed")
            self.faults.append(error)

    async def serve(self, tcp: trio.SocketStream) -> None:
        """One client, from its TCP connection to its end. Its errors end it, and nobody else."""
        self.connections += 1
        try:
            if not self.refusing and await _tunnel(tcp):
                await self._serve_tls(trio.SSLStream(tcp, self._tls, server_side=True, https_compatible=True))
        except* (ClientGone, ProtocolViolation, trio.BrokenResourceError, trio.ClosedResourceError) as group:
            logger.debug("connection ended: %r", group.exceptions)
        except* Exception as group:  # the crash barrier of one connection
            logger.exception("connection failed")
            self.faults.append(group)
        finally:
            self.connections -= 1
            self.note_change()

    async def _serve_tls(self, tls: "trio.SSLStream[trio.SocketStream]") -> None:
        if self.no_websocket:
            self.turned_away += 1
            await tls.receive_some(_HEAD_LIMIT)
            await tls.send_all(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
            await trio.aclose_forcefully(tls)
            return
        async with open_connection(tls, self._root) as connection:
            self._open.add(connection)
            try:
                if self.stall_handshake:
                    await connection.receive_header()
                    while True:
                        await connection.receive_frame()
                await serve_client(self, connection)
            finally:
                self._open.discard(connection)


async def _tunnel(tcp: trio.SocketStream) -> bool:
    """Take the CONNECT request. False: it was refused, or there was none."""
    head = b""
    while b"\r\n\r\n" not in head:
        data = await tcp.receive_some(4096)
        head += data
        if not data or len(head) > _HEAD_LIMIT:
            return False
    if not head.startswith(f"CONNECT {HOST}:443 ".encode()):
        logger.debug("refused: %r", head.partition(b"\r\n")[0])
        await tcp.send_all(b"HTTP/1.1 502 Not simulated\r\nContent-Length: 0\r\n\r\n")
        return False
    await tcp.send_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
    return True


@asynccontextmanager
async def open_simulator() -> AsyncIterator[Simulator]:
    """Listen on any free port of 127.0.0.1. On leaving, every connection is cut."""
    async with trio.open_nursery() as nursery:
        simulator = Simulator(nursery)
        serve = partial(trio.serve_tcp, simulator.serve, 0, host="127.0.0.1")
        listeners: list[trio.SocketListener] = await nursery.start(serve)
        simulator.port = listeners[0].socket.getsockname()[1]
        yield simulator
        nursery.cancel_scope.cancel()
