"""A group: its subject, who is in it, and what its members' phones write.

Owns the members and their roles, what the devices are told of changes (`parseGroupChange` in whatsmeow group.go), the
answer to a query, and what phones write; group_messages.py has what devices write. Who writes hands his sender key
(sender_keys.py) to each device that does not have it, in the same stanza as his first message; a device that lacks it
asks for the message again. Somebody who is removed gets nothing new, and the others write with fresh keys from then on.

Members are named by LID or by phone number, as the group is. Phones of contacts hear what devices write, not what
other phones do. Does not play communities, invitations or approval by an admin.
"""

import base64
import hashlib
import time
from collections.abc import Mapping
from functools import partial
from secrets import token_hex
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import trio

from wa_worker.dev.simulator.device import Device
from wa_worker.dev.simulator.mailbox import Letter
from wa_worker.dev.simulator.protobufs import Message
from wa_worker.dev.simulator.stanza import (
    GROUP_SUFFIX,
    LID_SUFFIX,
    PHONE_SUFFIX,
    Node,
    device_number,
    new_message_id,
)

if TYPE_CHECKING:
    from wa_worker.dev.simulator.world import Simulator

Addressing = Literal["lid", "pn"]


class Group:
    """Get one from `Simulator.create_group()`. Phones are digits; `by` is who makes a change."""

    def __init__(self, simulator: "Simulator", subject: str, phones: tuple[str, ...], addressing: Addressing) -> None:
        self.jid = f"120363{int(token_hex(5), 16):014d}"[:20] + GROUP_SUFFIX
        self.subject = subject
        self.addressing = addressing
        self.announcement = False
        self.description: str | None = None
        self.queries = 0  # how often a device asked for its metadata
        self.error: int | None = None  # refuse every message with this code
        self.outdated = 0  # messages whose sender knew other devices than the group has
        self.stale: set[str] = set()  # device JIDs that are not told of changes
        self._simulator = simulator
        self._created = int(time.time())
        self._creator = phones[0]
        self._version = 1
        self._admins: dict[str, bool] = {phone: phone == phones[0] for phone in phones}

    # --- members

    @property
    def phones(self) -> list[str]:
        return list(self._admins)

    def is_admin(self, phone: str) -> bool:
        return self._admins.get(phone, False)

    def name_of(self, phone: str) -> str:
        """Returns the JID under which the group knows a person."""
        return f"9{phone}{LID_SUFFIX}" if self.addressing == "lid" else f"{phone}{PHONE_SUFFIX}"

    def devices(self) -> list[Device]:
        return [device for phone in self._admins for device in self._simulator.devices_of(phone)]

    def phash(self) -> str:
        """Returns the hash of all devices, the sender's among them (`participantListHashV2` in whatsmeow send.go)."""
        names = []
        for phone in self._admins:
            user, _, server = self.name_of(phone).partition("@")
            numbers = [0, *(device_number(device.jid) for device in self._simulator.devices_of(phone))]
            names += [f"{user}.0:{number}@{server}" for number in numbers]
        digest = hashlib.sha256("".join(sorted(names)).encode()).digest()
        return "2:" + base64.b64encode(digest[:6]).decode().rstrip("=")

    # --- changes

    async def rename(self, by: str, subject: str) -> None:
        self.subject = subject
        now = str(int(time.time()))
        await self._changed(by, Node("subject", {"subject": subject, "s_t": now, "s_o": self.name_of(by)}))

    async def describe(self, by: str, text: str) -> None:
        """Change the description; "" takes it away."""
        self.description = text or None
        content = Node("body", {}, text.encode()) if text else Node("delete", {})
        await self._changed(by, Node("description", {"id": token_hex(4)}, [content]))

    async def announce(self, by: str, *, on: bool = True) -> None:
        """Let only admins write from now on, or all again."""
        self.announcement = on
        await self._changed(by, Node("announcement" if on else "not_announcement", {"v_id": self._next_version()}))

    async def add(self, by: str, *phones: str) -> None:
        """Those who are added are told what the group is, the others who came."""
        before = self.devices()
        self._admins.update(dict.fromkeys(phones, False))
        self._next_version()
        await self._tell(before, by, self._participants("add", phones))
        for phone in phones:
            created = Node("create", {"type": "", "reason": "add", "key": ""}, [self.as_node()])
            await self._tell(self._simulator.devices_of(phone), by, created)

    async def remove(self, by: str, *phones: str) -> None:
        """Remove people, or let one leave who is `by` himself."""
        before = self.devices()
        for phone in phones:
            del self._admins[phone]
            self._simulator.contact(phone).group_keys.known.forget(self.jid)
        for phone in self._admins:
            self._simulator.contact(phone).group_keys.renew(self.jid)
        self._next_version()
        await self._tell(before, by, self._participants("remove", phones))

    async def leave(self, phone: str) -> None:
        await self.remove(phone, phone)

    async def promote(self, by: str, *phones: str, tell: bool = True) -> None:
        self._admins.update(dict.fromkeys(phones, True))
        self._next_version()
        if tell:
            await self._changed(by, self._participants("promote", phones))

    async def demote(self, by: str, *phones: str) -> None:
        self._admins.update(dict.fromkeys(phones, False))
        self._next_version()
        await self._changed(by, self._participants("demote", phones))

    async def notify(self, by: str, *changes: Node) -> None:
        """Tell the devices of any change, known or not."""
        await self._changed(by, *changes)

    def as_node(self) -> Node:
        """Returns the group as `parseGroupNode` in whatsmeow group.go reads it."""
        attributes = {
            "id": self.jid.partition("@")[0],
            "subject": self.subject,
            "s_t": str(self._created),
            "s_o": self.name_of(self._creator),
            "creation": str(self._created),
            "creator": self.name_of(self._creator),
            "addressing_mode": self.addressing,
            "p_v_id": str(self._version),
            "size": str(len(self._admins)),
        }
        members = [
            Node("participant", {**self._both_names(phone), **({"type": "admin"} if admin else {})})
            for phone, admin in self._admins.items()
        ]
        return Node("group", attributes, members + ([Node("announcement", {})] if self.announcement else []))

    def _participants(self, change: str, phones: tuple[str, ...]) -> Node:
        members = [Node("participant", self._both_names(phone)) for phone in phones]
        return Node(change, {"v_id": str(self._version), "prev_v_id": str(self._version - 1)}, members)

    def _both_names(self, phone: str) -> dict[str, str]:
        if self.addressing == "lid":
            return {"jid": self.name_of(phone), "phone_number": f"{phone}{PHONE_SUFFIX}"}
        return {"jid": self.name_of(phone), "lid": f"9{phone}{LID_SUFFIX}"}

    def _next_version(self) -> str:
        self._version += 1
        return str(self._version)

    async def _changed(self, by: str, *changes: Node) -> None:
        await self._tell(self.devices(), by, *changes)

    async def _tell(self, devices: list[Device], by: str, *changes: Node) -> None:
        """Each change has the same id for all devices; who is away hears of it after his next login."""
        await trio.lowlevel.checkpoint()
        wa_id = token_hex(6)
        header = {**self.names_of(by), "type": "w:gp2", "id": wa_id, "t": str(int(time.time())), "notify": "Somebody"}
        for device in devices:
            if device.jid not in self.stale:
                device.mailbox.put(Letter(wa_id, dict(header), changes[0], more=changes[1:], tag="notification"))

    def names_of(self, phone: str) -> dict[str, str]:
        """Returns who writes, as `parseMessageSource` in whatsmeow message.go looks for it."""
        other = (
            {"participant_pn": f"{phone}{PHONE_SUFFIX}"}
            if self.addressing == "lid"
            else {"participant_lid": f"9{phone}{LID_SUFFIX}"}
        )
        return {"from": self.jid, "participant": self.name_of(phone), **other, "addressing_mode": self.addressing}

    # --- messages

    async def send(
        self,
        phone: str,
        content: Any,
        *,
        wa_id: str | None = None,
        distribute: bool = True,
        timestamp: int | None = None,
        attributes: Mapping[str, str] = MappingProxyType({}),
    ) -> str:
        """A member's phone writes a text, or a Message, to all linked devices of all members; returns the message's id.

        The phone may be the own one of an account. `distribute` False withholds the sender key from those who do not
        have it yet: they have to ask. `timestamp` None is now. `attributes`: of the stanza, where they are others. If
        cancelled, nothing was sent.
        """
        await trio.lowlevel.checkpoint()
        if phone not in self._admins:
            raise ValueError("this phone is not in the group")
        author = self._simulator.contact(phone)
        message = Message(conversation=content) if isinstance(content, str) else content
        wa_id = wa_id or new_message_id()
        header = {
            **self.names_of(phone),
            "type": "text",
            "id": wa_id,
            "t": str(int(time.time()) if timestamp is None else timestamp),
            "notify": f"Contact {phone}",
            **attributes,
        }
        key = author.group_keys.own(self.jid)
        distribution = Message(
            senderKeyDistributionMessage={
                "groupID": self.jid,
                "axolotlSenderKeyDistributionMessage": key.distribution(),
            }
        )
        keys = {
            device.jid: author.ciphertext(device, distribution.SerializeToString())
            for device in self.devices()
            if distribute and author.group_keys.hand_out(self.jid, device.jid)
        }
        ciphertext = key.encrypt(message.SerializeToString())
        whole = message.SerializeToString() + distribution.SerializeToString()  # protobufs, one after another, merge
        for device in self.devices():
            parts = [keys[device.jid]] if device.jid in keys else []
            parts.append(Node("enc", {"v": "2", "type": "skmsg"}, ciphertext))
            letter = Letter(
                wa_id,
                dict(header),
                parts[0],
                more=tuple(parts[1:]),
                encrypt_again=partial(author.encrypt_again, device, whole),
                session=author.session_of(device),
            )
            device.mailbox.put(letter)
        return wa_id
