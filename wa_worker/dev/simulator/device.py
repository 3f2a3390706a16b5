"""A linked device as the server knows it: its keys, its mailbox and its connection."""

import attrs

from wa_worker.dev.simulator.connection import Connection
from wa_worker.dev.simulator.keys import Address, Bundle
from wa_worker.dev.simulator.mailbox import Mailbox
from wa_worker.dev.simulator.stanza import device_number, lid_of, phone_of


class UnknownDevice(KeyError):
    """No such device is linked: it never was, or it was logged out."""


@attrs.define(eq=False)
class Device:
    """A device that a phone has linked. `connection` is set while it is logged in."""

    jid: str
    noise_key: bytes = attrs.field(repr=False)
    identity: bytes
    registration_id: int
    signed_prekey: tuple[int, bytes, bytes]  # id, public, signature
    prekeys: dict[int, bytes] = attrs.field(factory=dict, repr=False)
    mailbox: Mailbox = attrs.field(factory=Mailbox, repr=False)
    connection: Connection | None = attrs.field(default=None, repr=False)
    active: bool = False
    # Ids of the client's messages that were accepted: WhatsApp delivers what is sent again under its id only once.
    accepted: set[str] = attrs.field(factory=set, repr=False)

    @property
    def lid(self) -> str:
        return lid_of(self.jid)

    @property
    def phone(self) -> str:
        return phone_of(self.jid)

    @property
    def address(self) -> Address:
        """Returns its Signal address, as contacts know it."""
        return self.phone, device_number(self.jid)

    def take_bundle(self) -> Bundle:
        """Returns a bundle with the next one-time prekey, or without one if all are used up."""
        prekey = next(iter(self.prekeys.items()), None)
        if prekey is not None:
            del self.prekeys[prekey[0]]
        number, public, signature = self.signed_prekey
        return Bundle(self.registration_id, self.identity, number, public, signature, prekey)
