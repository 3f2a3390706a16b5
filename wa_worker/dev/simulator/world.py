"""The simulated WhatsApp itself: `Simulator` has its devices and contacts, and the controls of a test.

Owns who is linked and who is connected, the counters, and the settings by which a test makes things go wrong. It
listens to nothing: server.py does. What it plays of the protocol is in session.py, phone.py, iq.py and messages.py.
"""

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import trio

from wa_worker.dev.simulator.connection import Connection
from wa_worker.dev.simulator.contact import Contact
from wa_worker.dev.simulator.credentials import Credentials
from wa_worker.dev.simulator.device import Device, UnknownDevice
from wa_worker.dev.simulator.dialect import DIALECTS, Dialect
from wa_worker.dev.simulator.groups import Addressing, Group
from wa_worker.dev.simulator.history import notification
from wa_worker.dev.simulator.link_code import UnknownCode
from wa_worker.dev.simulator.media_host import MediaHost
from wa_worker.dev.simulator.phone import PairingFailed, UnknownQR, WaitingClient
from wa_worker.dev.simulator.stanza import PHONE_SUFFIX, SERVER, Node

logger = logging.getLogger("wa_worker.simulator")

_LAST_DEVICE = 255  # one byte on the wire
_FEW_PREKEYS = 5  # `MinPreKeyCount` in whatsmeow prekeys.go

REPLACED = Node("stream:error", {}, [Node("conflict", {"type": "replaced"})])
_REMOVED = Node("stream:error", {"code": "401"}, [Node("conflict", {"type": "device_removed"})])


class Simulator:
    """Plays WhatsApp, and has its controls. Get one from `open_simulator()`; use it in that event loop only."""

    def __init__(self, nursery: trio.Nursery, credentials: Credentials, port: int) -> None:
        self.port = port
        self.connections = 0  # sockets open now
        self.logins: Counter[str] = Counter()  # successful ones, by device JID
        self.attempts: Counter[str] = Counter()  # logins tried, by device JID
        self.retry_receipts: Counter[str] = Counter()  # messages that a device asked for once more, by their ids
        self.overlaps: Counter[str] = Counter()  # logins while the device was connected already
        self.turned_away = 0  # requests for a WebSocket that got a 503
        self.faults: list[BaseException] = []  # errors of the simulator or of an on_message: there should be none
        self.waiting: set[WaitingClient] = set()  # unpaired clients that show codes
        self.groups: dict[str, Group] = {}  # by JID; made by `create_group()`
        self.open_connections: set[Connection] = set()  # those that got through TLS
        self.media = MediaHost()

        # Settings that make things go wrong: each takes effect for the next connection or answer.
        self.refusing = False  # accept TCP connections and close them at once
        self.no_websocket = False  # answer the WebSocket's request with 503
        self.stall_handshake = False  # go as far as the WebSocket, never answer the Noise hello
        self.answer_delay = 0.0  # seconds before each iq answer and message ack
        self.qr_refs = 6  # whatsmeow shows the first of six codes 60 s, any other 20 s
        self.link_codes = 0  # codes that clients have asked for
        self.link_code_error: int | None = None  # refuse to give one, with this code
        self.histories: dict[str, bytes] = {}  # what each phone sends of its history to a device that it has linked
        self.device_props: dict[str, Any] = {}  # what each linked device has said of itself
        self.passkeys: set[str] = set()  # phones whose accounts are asked for a passkey when they link a device
        self.readable_passkeys = True  # False: the request is none that the client can read
        self.client_outdated = False  # refuse every login and every pairing with 405
        self.bans: dict[str, int | None] = {}  # device JID -> seconds the ban lasts, None: no word of it
        self.ban_code: int | None = 101  # of all bans, None for none: `TempBanReason` in whatsmeow events.go
        self.login_failures: dict[str, int] = {}  # device JID -> reason code of a <failure>
        self.silent: set[str] = set()  # device JIDs whose iqs, keepalives included, get no answer
        self.skip_offline: set[str] = set()  # device JIDs that get no <offline/> after their backlog
        self.message_error: dict[str, int] = {}  # receiver's phone -> error code in the ack
        self.swallow_acks = 0  # so many messages (a resend counts) get delivered, not acked, and the line is cut
        self.no_keys = False  # refuse to hand out the keys of phones
        self.typing: list[tuple[Any, ...]] = []  # what clients showed of it: to whom, and what, with its attributes
        self.receipt_delay = 0.0  # seconds from a message's arrival to the phone's receipt
        self.no_receipts: set[str] = set()  # phones that send none for what they got
        self.registered_as: dict[str, str] = {}  # a way to write a phone -> the phone that its account has
        self.contact_queries: Counter[str] = Counter()  # how often each phone was asked for
        self.contact_error: int | None = None  # refuse to say who has a phone, with this code
        self.contact_delay = 0.0  # seconds before the answer to who has a phone
        self.absent: set[str] = set()  # phones that are not on WhatsApp
        self.unreachable: set[str] = set()  # device JIDs whose logins are cut at once
        self.on_new_contact: Callable[[Contact], None] = lambda contact: None
        # Called with each ciphertext in a session of one linked device with another: sender, receiver, `<enc>`.
        self.on_relay: Callable[[Device, Device, Node], None] = lambda sender, receiver, enc: None

        # What another library than whatsmeow needs: see dialect.py, and the answers to its requests, by `xmlns`.
        self.dialects: dict[bytes, Dialect] = dict(DIALECTS)
        self.answers: dict[str, Callable[[Device, Node], list[Node]]] = {}

        self._nursery = nursery
        self._credentials = credentials
        self._devices: dict[str, Device] = {}
        self._numbers: Counter[str] = Counter()  # the last device number, by phone; they are not used again
        self._contacts: dict[str, Contact] = {}
        self._changes = trio.lowlevel.ParkingLot()

    # --- clients

    def environment(self, folder: Path) -> dict[str, str]:
        """Write the TLS authority into `folder`; return what to add to the environment of a client process.

        It must be there when the process starts: Go reads its environment only then. The process must run under
        trust.py (`trust.command()`).
        """
        return {
            "HTTPS_PROXY": f"http://127.0.0.1:{self.port}",
            "NEONIZE_BOT_TAG": "off",
            **self._credentials.environment(folder),
        }

    async def scan(self, qr: str, phone: str) -> str:
        """The phone with this number scans a QR code; return the JID of the new device once it has confirmed.

        Raises UnknownQR if no waiting client shows this code, PairingFailed if the client does not confirm or is asked
        for a passkey.
        """
        client = next((each for each in self.waiting if each.shows(qr)), None)
        if client is None:
            raise UnknownQR("no waiting client shows this code")
        if phone in self.passkeys:
            client.ask_for_passkey(readable=self.readable_passkeys)
            raise PairingFailed("the client was asked for a passkey, and has none")
        jid = self._new_jid(phone)
        return self._linked(jid, client, await client.link(qr, self.contact(phone).party.identity, jid))

    async def enter_code(self, code: str, phone: str) -> str:
        """The phone with this number takes a pairing code; return the JID of the new device once it has confirmed.

        Raises UnknownCode if no waiting client has asked for a code for this phone, WrongCode if it shows another one,
        PairingFailed if it does not confirm.
        """
        client = next((each for each in self.waiting if each.link_code and each.link_code.phone == phone), None)
        if client is None:
            raise UnknownCode("no waiting client has asked for a code for this phone")
        jid = self._new_jid(phone)
        return self._linked(jid, client, await client.link_by_code(code, self.contact(phone).party.identity, jid))

    def _new_jid(self, phone: str) -> str:
        self._numbers[phone] += 1
        if self._numbers[phone] > _LAST_DEVICE:
            raise ValueError(f"this phone has linked {_LAST_DEVICE} devices, the simulator knows no more numbers")
        return f"{phone}:{self._numbers[phone]}{PHONE_SUFFIX}"

    def _linked(self, jid: str, client: WaitingClient, device: Device) -> str:
        self._devices[jid] = device
        self.device_props[jid] = client.device_props
        if device.phone in self.histories:
            self.start_soon(self._send_history, device)
        client.restart()
        self.note_change()
        return jid

    async def _send_history(self, device: Device) -> None:
        """To who keeps the session, and not to who has only linked it: phones take a moment."""
        await self.wait_for(lambda: self.logins[device.jid] >= 2 and self.connected(device.jid))
        await self.contact(device.phone).send(device.jid, notification(self.media, self.histories[device.phone]))

    def contact(self, phone: str) -> Contact:
        """Returns the phone with this number (digits): somebody's, or that of an account."""
        if phone not in self._contacts:
            self._contacts[phone] = Contact(phone, self.device, self.media)
            self.on_new_contact(self._contacts[phone])
        return self._contacts[phone]

    def create_group(self, subject: str, *phones: str, addressing: Addressing = "lid") -> Group:
        """Makes a group of these phones, the first of them its admin. Devices hear of it by its first message."""
        for phone in phones:
            self.contact(phone)
        group = Group(self, subject, phones, addressing)
        self.groups[group.jid] = group
        return group

    @property
    def devices(self) -> Mapping[str, Device]:
        """Returns the linked devices, by JID."""
        return MappingProxyType(self._devices)

    def device(self, jid: str) -> Device:
        try:
            return self._devices[jid]
        except KeyError:
            raise UnknownDevice(jid) from None

    def devices_of(self, phone: str) -> list[Device]:
        return [device for device in self._devices.values() if device.phone == phone]

    def is_on_whatsapp(self, phone: str) -> bool:
        phone = self.registered_as.get(phone, phone)
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
        """Cut the device's connection, if it has one, without telling it."""
        connection = self.device(jid).connection
        if connection is not None:
            connection.cut()
            await connection.closed.wait()

    async def drop_all(self) -> None:
        connections = list(self.open_connections)
        for connection in connections:
            connection.cut()
        for connection in connections:
            await connection.closed.wait()

    async def log_out(self, jid: str) -> None:
        """The phone removes the device: it is told if connected, and refused (401) from now on."""
        await self._close_with(self.device(jid), _REMOVED, unlink=True)

    async def replace(self, jid: str) -> None:
        """Another client logs in with the same keys: this one is told and closed, and may log in again."""
        await self._close_with(self.device(jid), REPLACED)

    async def stream_error(self, jid: str, code: str) -> None:
        """Send `<stream:error code=...>` and close."""
        await self._close_with(self.device(jid), Node("stream:error", {"code": code}))

    def unlink(self, jid: str) -> Device:
        """Forget a device without telling it."""
        device = self._devices.pop(jid)
        self.note_change()
        return device

    async def _close_with(self, device: Device, node: Node, *, unlink: bool = False) -> None:
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
        """Run a callback in the server's nursery; its error becomes a fault."""
        self._nursery.start_soon(self._guard, function, *args)

    def ask_for_prekeys(self, device: Device) -> None:
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
