"""A contact: somebody else's phone, with one Signal session per linked device that it talks to.

Owns what the contact received and how it writes. Its phone JID and its LID share one identity key, since whatsmeow
addresses people by LID wherever it knows one. Asks for what it cannot decrypt with retry receipts, as phones do.
Sends a delivery receipt for what it could decrypt, when messages.py says so, and others when a test does. Plays device
0 only.
`send` encrypts and queues in one step, so the messages of any number of tasks go out in the order of their sessions.
"""

import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from secrets import token_bytes
from typing import Any

import attrs
import trio

from wa_worker.dev.simulator.device import Device
from wa_worker.dev.simulator.keys import Address, Bundle, SignalParty, Undecryptable
from wa_worker.dev.simulator.mailbox import Letter
from wa_worker.dev.simulator.media_host import MediaHost
from wa_worker.dev.simulator.media_messages import MediaMessages
from wa_worker.dev.simulator.protobufs import Message
from wa_worker.dev.simulator.sender_keys import GroupKeys
from wa_worker.dev.simulator.stanza import (
    LID_SUFFIX,
    PHONE_SUFFIX,
    Node,
    child,
    children,
    content_bytes,
    new_message_id,
)
from wa_worker.dev.simulator.stanza_types import attributes

_RETRIES = 5  # whatsmeow, too, stops asking there (`sendRetryReceipt` in retry.go)


@attrs.frozen
class Received:
    """Describes a message that a contact got."""

    wa_id: str
    from_device: str  # JID of the linked device that sent it
    text: str  # "" if it is not text
    message: Any  # the Message protobuf
    tags: frozenset[str]  # of the stanza's children
    attrs: Mapping[str, str]  # of the stanza


@attrs.frozen
class ReadReceipt:
    """Says that a device has read a contact's message: the chat as the device wrote it, and in a group whose it is."""

    wa_id: str
    chat: str
    participant: str | None


class Contact:
    """Get one from `Simulator.contact(phone)`. `device` finds a linked device, or raises UnknownDevice.
    `files` writes the messages with files that it sends, and reads those that it got."""

    def __init__(self, phone: str, device: Callable[[str], Device], media: MediaHost) -> None:
        self.phone = phone
        self.jid = f"{phone}{PHONE_SUFFIX}"
        self.lid = f"9{phone}{LID_SUFFIX}"
        self.party = SignalParty()
        self.group_keys = GroupKeys()
        self.received: list[Received] = []
        self.read: list[ReadReceipt] = []  # of this contact's messages
        self.files = MediaMessages(media)
        self.undecryptable = 0
        self.on_message: Callable[[Received], Awaitable[None]] | None = None
        self._device = device
        self._arrivals = trio.lowlevel.ParkingLot()
        self._retries: Counter[tuple[str, str]] = Counter()  # asked for again, by device and message
        self._timers: dict[str, tuple[int, int]] = {}  # of chats, by device: seconds, and since when
        self._sessions: dict[Address, int] = {}  # how many this contact has started, by device

    async def wait_received(self, count: int) -> list[Received]:
        """Wait until at least `count` messages have come; return all."""
        await trio.lowlevel.checkpoint()
        while len(self.received) < count:
            await self._arrivals.park()
        return list(self.received)

    async def send(
        self,
        device_jid: str,
        content: Any,
        *,
        wa_id: str | None = None,
        push_name: str | None = None,
        use_lid: bool = False,
        recipient: str | None = None,
        timestamp: int | None = None,
    ) -> str:
        """Send a text, or a Message, to a linked device; return the message's id. `timestamp` None is now.

        It stays pending, through reconnects, until the device's receipt. `use_lid` sends from the contact's LID.
        `recipient` is the chat of a message that the device's own phone has sent (its content is then a Message
        with `deviceSentMessage`). Raises UnknownDevice. If cancelled,
        nothing was sent.
        """
        await trio.lowlevel.checkpoint()
        device = self._device(device_jid)
        message = self._text(device_jid, content) if isinstance(content, str) else content
        plaintext = message.SerializeToString()
        enc = self.ciphertext(device, plaintext)
        wa_id = wa_id or new_message_id()
        header = {**self._header(wa_id, push_name, use_lid=use_lid), **attributes(message)}
        if recipient is not None:
            header["recipient"] = recipient
        if timestamp is not None:
            header["t"] = str(timestamp)
        letter = Letter(
            wa_id=wa_id,
            header=header,
            enc=enc,
            encrypt_again=partial(self.encrypt_again, device, plaintext),
            session=self.session_of(device),
        )
        device.mailbox.put(letter)
        return wa_id

    async def set_timer(self, device_jid: str, seconds: int, *, timestamp: int | None = None) -> str:
        """Make the messages of the chat with this device's account disappear after so many seconds, 0 for never; tell
        the device so. The texts that are sent to it from now on carry the timer."""
        now = int(time.time()) if timestamp is None else timestamp
        self._timers[device_jid] = (seconds, now)
        setting = {"type": "EPHEMERAL_SETTING", "ephemeralExpiration": seconds, "ephemeralSettingTimestamp": now}
        return await self.send(device_jid, Message(protocolMessage=setting), timestamp=timestamp)

    async def send_garbage(self, device_jid: str) -> str:
        """Send what no session can decrypt, and never send it better; the device's ack takes it off."""
        await trio.lowlevel.checkpoint()
        device = self._device(device_jid)
        enc = Node("enc", {"v": "2", "type": "msg"}, b"\x33" + token_bytes(64))
        wa_id = new_message_id()
        header = self._header(wa_id, None, use_lid=False)
        device.mailbox.put(Letter(wa_id, header, enc))
        return wa_id

    async def send_placeholder(self, device_jid: str, kind: str | None = None) -> str:
        """Send that there is a message, without its content: 'view_once', None for one that the account's phone can
        hand over. The device's ack takes it off."""
        await trio.lowlevel.checkpoint()
        wa_id = new_message_id()
        instead = Node("unavailable", {} if kind is None else {"type": kind})
        self._device(device_jid).mailbox.put(Letter(wa_id, self._header(wa_id, None, use_lid=False), instead))
        return wa_id

    async def send_receipt(
        self,
        device_jid: str,
        wa_id: str,
        kind: str | None = None,
        *,
        more: Sequence[str] = (),
        group: str | None = None,
        member: str | None = None,
    ) -> None:
        """Send a receipt for a message of a linked device, if that is connected: 'read', or any other word; None means
        delivered. `more`: of other messages, in the same one. It is sent once. `group`, and who this is in it as
        `member`: for a message to that. Raises UnknownDevice."""
        await trio.lowlevel.checkpoint()
        connection = self._device(device_jid).connection
        if connection is not None:
            connection.send(_receipt(group or self.jid, wa_id, kind, member, more))

    def confirm(self, device: Device, stanza: Node, member: str | None = None) -> None:
        """Tell the device that its message has arrived: now, or after its next login, until it acknowledges that.

        member: who this is in the group that it was sent to.
        """
        device.mailbox.tell(_receipt(stanza.attrs["to"], stanza.attrs["id"], None, member))

    def _text(self, device_jid: str, text: str) -> Any:
        """As phones write it: with the chat's timer, if it has one."""
        seconds, since = self._timers.get(device_jid, (0, 0))
        if not seconds:
            return Message(conversation=text)
        context = {"expiration": seconds, "ephemeralSettingTimestamp": since}
        return Message(extendedTextMessage={"text": text, "contextInfo": context})

    def encrypt_again(self, device: Device, plaintext: bytes, letter: Letter, receipt: Node) -> None:
        """Encrypt and send a letter anew: the device could not decrypt it and sent this retry receipt.

        A new session is started, from the receipt's keys or a fresh one-time prekey, unless one was already since
        this letter was written: one new session serves for many letters of a lost one.
        """
        retry = child(receipt, "retry")
        keys = child(receipt, "keys")
        if keys is not None:
            self._start_session(device, Bundle.from_node(receipt))
        elif letter.session == self._sessions.get(device.address, 0):
            self._start_session(device, device.take_bundle())
        letter.enc, letter.more = self._encrypt(device, plaintext), ()
        letter.enc.attrs["count"] = retry.attrs.get("count", "1") if retry is not None else "1"
        letter.session = self._sessions.get(device.address, 0)
        device.mailbox.resend(letter)

    def take(self, device: Device, stanza: Node, enc: Node) -> Received | None:
        """A message of a device has come: decrypt and keep it.

        None if it does not decrypt: it is counted, and the device is asked to send it again. A healthy client
        needs that, too. whatsmeow reads a session, encrypts and writes it back without a lock against the task that
        decrypts (`WithCachedSessions` in store/sessioncache.go), so it uses a key twice now and then: with 41
        to 151 of 600 messages, in three runs, when it sent to and heard from one contact at full speed; with none when
        they took turns.
        """
        try:
            plaintext = self.party.decrypt(device.address, enc.attrs["type"], content_bytes(enc))
        except Undecryptable:
            self.undecryptable += 1
            self.ask_again(device, stanza)
            return None
        return self.keep(device, stanza, Message.FromString(plaintext))

    def keep(self, device: Device, stanza: Node, message: Any) -> Received:
        """A message of a device was decrypted."""
        received = Received(
            wa_id=stanza.attrs["id"],
            from_device=device.jid,
            text=message.conversation or message.extendedTextMessage.text,
            message=message,
            tags=frozenset(item.tag for item in children(stanza)),
            attrs=dict(stanza.attrs),
        )
        self.received.append(received)
        self._arrivals.unpark_all()
        return received

    def ask_again(self, device: Device, stanza: Node, participant: str | None = None) -> None:
        """A retry receipt, with keys for a new session from the second on (`handleRetryReceipt` in retry.go).

        participant: who this is in the group that it was sent to.
        """
        wa_id = stanza.attrs["id"]
        self._retries[device.jid, wa_id] += 1
        count = self._retries[device.jid, wa_id]
        if count > _RETRIES:
            return
        now = str(int(time.time()))
        parts = [Node("retry", {"count": str(count), "id": wa_id, "t": now, "v": "1"})]
        if count > 1:
            bundle = self.party.new_bundle()
            parts += [bundle.registration, bundle.as_keys()]
        header = {"from": stanza.attrs["to"], "type": "retry", "id": wa_id, "t": now}
        if participant is None:
            device.accepted.discard(wa_id)
        else:
            header["participant"] = participant
        device.mailbox.tell(Node("receipt", header, parts))

    def ciphertext(self, device: Device, plaintext: bytes) -> Node:
        """Encrypt for one device: put it on the wire before the next."""
        if not self.party.has_session(device.address):
            self._start_session(device, device.take_bundle())
        return self._encrypt(device, plaintext)

    def session_of(self, device: Device) -> int:
        """Says how many sessions this contact has started with a device."""
        return self._sessions.get(device.address, 0)

    def _start_session(self, device: Device, bundle: Bundle) -> None:
        self.party.start_session(device.address, bundle)
        self._sessions[device.address] = self._sessions.get(device.address, 0) + 1

    def _encrypt(self, device: Device, plaintext: bytes) -> Node:
        kind, ciphertext = self.party.encrypt(device.address, plaintext)
        return Node("enc", {"v": "2", "type": kind}, ciphertext)

    def _header(self, wa_id: str, push_name: str | None, *, use_lid: bool) -> dict[str, str]:
        """Both of the contact's JIDs, as `parseMessageSource` in whatsmeow message.go looks for them."""
        names = {"from": self.lid, "sender_pn": self.jid} if use_lid else {"from": self.jid, "sender_lid": self.lid}
        return {
            **names,
            "type": "text",
            "id": wa_id,
            "t": str(int(time.time())),
            "notify": f"Contact {self.phone}" if push_name is None else push_name,
        }


def _receipt(sender: str, wa_id: str, kind: str | None, member: str | None = None, more: Sequence[str] = ()) -> Node:
    header = {"from": sender, "id": wa_id, "t": str(int(time.time()))}
    if member is not None:
        header["participant"] = member
    items = [Node("list", {}, [Node("item", {"id": each}) for each in more])] if more else None
    return Node("receipt", header if kind is None else {**header, "type": kind}, items)
