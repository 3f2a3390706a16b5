"""Calls that ring at a linked device, and how they end (`handleCallEvent` in whatsmeow call.go).

Only what a device that cannot take calls hears of them: there is no voice, and no key for any. A stanza is sent once,
if the device is connected.
"""

from __future__ import annotations

import time
from secrets import token_hex

from wa_worker.dev.simulator.contact import Contact
from wa_worker.dev.simulator.device import Device
from wa_worker.dev.simulator.stanza import Node


class IncomingCall:
    """A call of a contact at a device. `group`: the JID of the group that it is for."""

    def __init__(self, caller: Contact, device: Device, *, video: bool = False, group: str | None = None) -> None:
        self.id = token_hex(16).upper()
        self._caller = caller
        self._device = device
        self._video = video
        self._group = group

    def offer(self) -> None:
        """It rings."""
        media = [Node("audio", {"enc": "opus", "rate": "16000"})]
        if self._video:
            media.append(Node("video", {"enc": "vp8"}))
        self._send("offer", {}, media)

    def notice(self) -> None:
        """It rings, in a group."""
        self._send("offer_notice", {"media": "video" if self._video else "audio", "type": "group"})

    def accept(self) -> None:
        """Somebody takes it."""
        self._send("accept", {})

    def terminate(self, reason: str = "") -> None:
        """It ends: 'timeout', 'accepted_elsewhere', 'rejected_elsewhere', or '' where the caller hangs up."""
        self._send("terminate", {"reason": reason} if reason else {})

    def _send(self, tag: str, more: dict[str, str], content: list[Node] | None = None) -> None:
        about = {"call-id": self.id, "call-creator": self._caller.lid, "caller_pn": self._caller.jid, **more}
        if self._group is not None:
            about["group-jid"] = self._group
        header = {"from": self._caller.lid, "id": token_hex(8).upper(), "t": str(int(time.time()))}
        node = Node("call", {**header, "platform": "android", "version": "2.24.1"}, [Node(tag, about, content)])
        if self._device.connection is not None:
            self._device.connection.send(node)
