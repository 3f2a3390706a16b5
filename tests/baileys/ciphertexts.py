"""Counts message keys: a sender that encrypts two messages with one of them has lost its place in the session."""

from __future__ import annotations

from collections import Counter

from wa_worker.dev.simulator.device import Device
from wa_worker.dev.simulator.signal_messages import PreKeySignalMessage, SignalMessage, read
from wa_worker.dev.simulator.stanza import Node, content_bytes

_MAC = 8
"""Bytes at the end of a SignalMessage."""


class Ciphertexts:
    """Put `take` into `Simulator.on_relay`. `keys` counts the messages under each key: sender, receiver, place."""

    def __init__(self) -> None:
        self.keys: Counter[tuple[str, str, bytes, int]] = Counter()

    @property
    def used_twice(self) -> int:
        return sum(times - 1 for times in self.keys.values())

    def take(self, sender: Device, receiver: Device, enc: Node) -> None:
        """Counts a ciphertext of a session; one under a group's sender key is not looked into."""
        whole = content_bytes(enc)
        if enc.attrs["type"] == "pkmsg":
            whole = read(PreKeySignalMessage, whole).message
        elif enc.attrs["type"] != "msg":
            return
        message = read(SignalMessage, whole[:-_MAC])
        self.keys[sender.jid, receiver.jid, message.ratchetKey, message.counter] += 1
