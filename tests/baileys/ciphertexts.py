"""Counts message keys: a sender that encrypts two messages with one of them has lost its place in the session."""

from __future__ import annotations

from collections import Counter
from typing import Any

from waton.protocol.protobuf.wire import iter_fields

from wa_worker.dev.simulator.device import Device
from wa_worker.dev.simulator.stanza import Node, content_bytes

_MAC = 8
"""Bytes at the end of a SignalMessage."""
_RATCHET_KEY, _COUNTER = 1, 2
_INNER = 4
"""The SignalMessage in a PreKeySignalMessage."""


class Ciphertexts:
    """Put `take` into `Simulator.on_relay`. `keys` counts the messages under each key: sender, receiver, place."""

    def __init__(self) -> None:
        self.keys: Counter[tuple[str, str, bytes, int]] = Counter()

    @property
    def used_twice(self) -> int:
        return sum(times - 1 for times in self.keys.values())

    def take(self, sender: Device, receiver: Device, enc: Node) -> None:
        """Counts a ciphertext of a session; one under a group's sender key is not looked into."""
        message = content_bytes(enc)
        if enc.attrs["type"] == "pkmsg":
            message = _fields(message[1:])[_INNER]
        elif enc.attrs["type"] != "msg":
            return
        fields = _fields(message[1:-_MAC])
        self.keys[sender.jid, receiver.jid, fields[_RATCHET_KEY], fields.get(_COUNTER, 0)] += 1


def _fields(protobuf: bytes) -> dict[int, Any]:
    return {number: value for number, _, value in iter_fields(protobuf)}
