"""Ids, addresses and other small values that travel between the modules: frozen, and validated where they are made.

Owns the vocabulary of the project; whole messages are in messages.py. Imports nothing of ours.
"""

from __future__ import annotations

import enum
import re
from typing import NewType

import attrs

InstanceId = NewType("InstanceId", str)
"""Name of an instance at the proxy, and of its folder on the volume. Made only by `instance_id()`."""

Jid = NewType("Jid", str)
"""A WhatsApp address without a device part: `5511...@s.whatsapp.net`, `...@lid`, `...@g.us`."""

WaMessageId = NewType("WaMessageId", str)
"""The id WhatsApp knows a message by. Unique within a chat."""

MessageId = str | int
"""The proxy's id of a queued message, echoed as it came: `7` stays a number, `"7"` stays a string."""

_SAFE_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


def instance_id(text: object) -> InstanceId:
    """Returns the id as a type, if it is a plain, safe file name (docs/contract.md).

    Raises ValueError otherwise: such an id must never reach the disk.
    """
    if not isinstance(text, str) or not _SAFE_ID.fullmatch(text) or text in {".", ".."}:
        raise ValueError("an instance id is 1-128 characters of A-Z a-z 0-9 . _ - and neither '.' nor '..'")
    return InstanceId(text)


RESERVED_FOLDER = "@worker"
"""Folder of the journal and the lock in AUTH_DIR. '@' cannot stand in an instance id: none can have this folder."""


JOURNAL_FILE = "journal.db"


class ProxyStatus(enum.Enum):
    """Says what the worker-proxy can be told about an instance (contract v1)."""

    CONNECTING = "CONNECTING"
    CONNECTED = "CONNECTED"
    DISCONNECTED = "DISCONNECTED"


@attrs.frozen
class Status:
    """Describes a status to announce. `qr_code` is a PNG data URL, and only ever set while CONNECTING."""

    status: ProxyStatus
    qr_code: str | None = attrs.field(default=None, repr=False)


class Secret:
    """A secret that does not show itself: `str()`, `repr()` and logs give `***`; only `reveal()` tells."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret('***')"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)
