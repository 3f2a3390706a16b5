"""What a pairing says to its instance."""

from __future__ import annotations

import attrs

NO_STORE = ("file is not a database", "is a directory")
"""What SQLite says, through the library, of a store that cannot hold a device."""


@attrs.frozen
class QrCode:
    code: str = attrs.field(repr=False)


@attrs.frozen
class PhoneCode:
    """A code to be typed on the phone. `expires_at`: unix seconds."""

    code: str = attrs.field(repr=False)
    expires_at: int


@attrs.frozen
class NoPhoneCode:
    """There is none. `reason` is in the library's words."""

    reason: str


@attrs.frozen
class PhoneChanged:
    """Another number is to be paired by a code, or none any more: our own word, and not the host's."""


@attrs.frozen
class Paired:
    """The device is in the store and the host has closed it."""


@attrs.frozen
class PairingEnded:
    """The codes ran out, WhatsApp refused, or the host died. `reason` is in the library's words."""

    reason: str

    @property
    def outdated(self) -> bool:
        """Says whether WhatsApp refuses this client version."""
        return "outdated" in self.reason

    @property
    def passkey(self) -> bool:
        """Says whether WhatsApp has asked for a passkey, which the library has no way to answer with (qrchan.go)."""
        return "passkey" in self.reason

    @property
    def no_store(self) -> bool:
        """Says whether the session store cannot hold a device, however often it is tried."""
        return any(sign in self.reason for sign in NO_STORE)


@attrs.frozen
class EarlyMessage:
    """Describes a message that came during the first login: the event and the session's own Device, both serialised."""

    data: bytes = attrs.field(repr=False)
    me: bytes = attrs.field(repr=False)


PairingEvent = QrCode | PhoneCode | NoPhoneCode | PhoneChanged | Paired | PairingEnded | EarlyMessage
