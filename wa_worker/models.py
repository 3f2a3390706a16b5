"""Ids, addresses and other small values that travel between the modules: frozen, and validated where they are made.

Owns the vocabulary of the project; whole messages are in messages/. Imports nothing of ours.
"""

from __future__ import annotations

import enum
import hashlib
import re
from collections.abc import Iterable
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


_SHARD = re.compile(r"(\d{1,4})/(\d{1,4})", re.ASCII)

MOST_SHARDS = 1000
"""Far more than anybody has workers; a proxy can count on it."""


@attrs.frozen
class Shard:
    """Names one of the `of` parts that all instances fall into, by `number`, from 1.

    Which part an instance is in hangs on its id alone. docs/contract.md has the function for the other side, too.
    """

    number: int
    of: int

    @classmethod
    def from_text(cls, text: str) -> Shard:
        """Reads `1/3`. Raises ValueError, with what is wrong in words that follow a name."""
        found = _SHARD.fullmatch(text)
        if found is None:
            raise ValueError("is not a shard such as 1/3: two whole numbers, and a slash between them")
        number, of = map(int, found.groups())
        if number == 0:
            raise ValueError(f"counts from 1: the first of {of} shards is 1/{of}")
        if not number <= of <= MOST_SHARDS:
            raise ValueError(f"must be from 1/N to N/N, with an N of {MOST_SHARDS} at the most")
        return cls(number, of)

    def has(self, instance: str) -> bool:
        """Says whether an instance is in this part. What cannot be an id is in some part, too."""
        digest = hashlib.md5(instance.encode("utf-8", "replace"), usedforsecurity=False).hexdigest()
        return int(digest[:8], 16) % self.of + 1 == self.number

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


def in_shard(shard: Shard | None, instances: Iterable[InstanceId]) -> list[InstanceId]:
    """Returns those that are in the shard; all of them without one."""
    return [instance for instance in instances if shard is None or shard.has(instance)]


RESERVED_FOLDER = "@worker"
"""Folder of the journal and the lock in AUTH_DIR. '@' cannot stand in an instance id: none can have this folder."""


JOURNAL_FILE = "journal.db"


class ProxyStatus(enum.Enum):
    """Says what the worker-proxy can be told about an instance (contract v1)."""

    CONNECTING = "CONNECTING"
    CONNECTED = "CONNECTED"
    DISCONNECTED = "DISCONNECTED"


class Reason(enum.StrEnum):
    """Why a status is what it is: the closed list of what the proxy hears as `reason` (docs/contract.md has it, too).

    They are for programs. A word that was released is not changed: proxies compare it.
    """

    SCAN = "scan"
    """A QR code is shown, and somebody has to scan it."""
    WAITING = "waiting"
    """A QR code will come: it is being fetched, or as many instances as may show codes already."""
    OPENING = "opening"
    """It is linked, and logs in."""
    CONNECTED = "connected"
    """Messages flow."""
    RECONNECTING = "reconnecting"
    """The connection broke and is being got back."""
    RETRYING = "retrying"
    """It could not be connected, and is tried again after a pause."""
    LOGGED_OUT = "logged_out"
    """The phone removed this device. A QR code follows."""
    REPLACED = "replaced"
    """Another client uses this session."""
    BANNED = "banned"
    """WhatsApp has banned the account for a while."""
    RESTRICTED = "restricted"
    """Connected, but WhatsApp does not let the account write first to people (error 463)."""
    OUTDATED = "outdated"
    """WhatsApp refuses this version of the worker."""
    REFUSED = "refused"
    """WhatsApp refuses the login for another reason."""
    PASSKEY = "passkey"
    """WhatsApp asks for a passkey to link this account, which the worker cannot give."""
    WORKER_STOPPING = "worker_stopping"
    """The worker stops, as it does at each deployment. The next one goes on."""
    PROXY_FAILED = "proxy_failed"
    """The proxy through which it is to reach WhatsApp lets nothing through, or is not written as one."""
    VOLUME_FULL = "volume_full"
    """The worker's volume is full or cannot be written."""
    RELEASED = "released"
    """The worker let go of the instance, as the proxy wanted or seemed to want, or a person at the worker."""
    CRASHED = "crashed"
    """An error of the worker's own. It starts the instance again."""


class NextStep(enum.StrEnum):
    """What somebody has to do about a status: the closed list of what the proxy hears as `action`."""

    SCAN = "scan"
    """Scan the QR code, which is there or comes."""
    WAIT = "wait"
    """Nothing: the worker goes on by itself."""
    UPGRADE = "upgrade"
    """Upgrade wa-worker."""
    CHECK_PHONE = "check_phone"
    """Look at the phone, and at where else the session may be used."""
    PASSKEY = "passkey"
    """Read docs/troubleshooting.md on passkeys: scanning again does not help."""
    CHECK_PROXY = "check_proxy"
    """Look at the proxy of the instance: whether it is written right, and works."""


@attrs.frozen
class Why:
    """Says why a status is what it is, and what somebody has to do about it; None for nothing, all is well."""

    reason: Reason
    action: NextStep | None


@attrs.frozen
class Account:
    """Says whose session it is: its own phone number JID, and the name that the account gives itself, if known."""

    jid: Jid
    push_name: str | None = attrs.field(default=None, repr=False)


class NoCode(enum.StrEnum):
    """Why there is no pairing code though one is asked for: the closed list of what the proxy hears (for people)."""

    BAD_NUMBER = "pair_phone is not a phone number, or lacks its country code"
    REFUSED = "WhatsApp gives no pairing code for this number now"


@attrs.frozen
class PairingCode:
    """Says what is to be typed on the phone, until `expires_at` (unix seconds), of an instance that is to be paired so.

    code: None while there is none; fault: why there will be none.
    """

    code: str | None = attrs.field(default=None, repr=False)
    expires_at: int | None = None
    fault: NoCode | None = None


def _plain(status: Status) -> Why:
    """Returns why a status of which nobody says more is what it is."""
    if status.qr_code is not None:
        return Why(Reason.SCAN, NextStep.SCAN)
    return {
        ProxyStatus.CONNECTING: Why(Reason.OPENING, NextStep.WAIT),
        ProxyStatus.CONNECTED: Why(Reason.CONNECTED, None),
        ProxyStatus.DISCONNECTED: Why(Reason.RELEASED, None),
    }[status.status]


@attrs.frozen
class Status:
    """Describes a status to announce. `qr_code` is a PNG data URL, and only ever set while CONNECTING.

    since: since when `why` has been so; until: when the worker tries next, None if that is not known. Both in whole
    unix seconds.
    """

    status: ProxyStatus
    qr_code: str | None = attrs.field(default=None, repr=False)
    why: Why = attrs.field(default=attrs.Factory(_plain, takes_self=True))
    since: int = 0
    until: int | None = None
    account: Account | None = attrs.field(default=None, repr=False)
    pairing: PairingCode | None = None
    """None: nobody asks for a pairing code."""

    def shows_as(self, other: Status | None) -> bool:
        """Says whether the proxy lists and shows an instance alike for both: they differ in the reason at the most."""
        mine = (self.status, self.qr_code, self.pairing)
        return other is not None and mine == (other.status, other.qr_code, other.pairing)


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


@attrs.frozen
class EgressProxy:
    """Names the proxy through which an instance reaches WhatsApp. Made by edge/egress_url.py.

    scheme: http, https or socks5; host: as in a URL. url: all of it, with the user and the password if it has any.
    """

    scheme: str
    host: str
    port: int
    url: Secret

    @property
    def place(self) -> str:
        """Says where it is, without a word of its credentials."""
        return f"{self.host}:{self.port}"


@attrs.frozen
class Unusable:
    """Stands where a proxy should be and is none that can be used. It is no leave to go without: the instance waits.

    why: for people, without a word of what was written.
    """

    why: str


Egress = EgressProxy | Unusable | None
"""By which way an instance goes out to WhatsApp; None: by the worker's own, which all such instances share."""
