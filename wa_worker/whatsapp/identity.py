"""Who is who: a session's own identity, and the addresses of the people in a message. Pure.

Phone number JIDs are preferred wherever a mapping is known; digits are never made up.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import attrs
from neonize.proto import Neonize_pb2 as pb

from wa_worker import jid
from wa_worker.jid.servers import OLD_USER
from wa_worker.models import Jid

Lookup = Callable[[Jid], Jid | None]
"""Looks an address up in the session store: a phone number for a LID, or the other way round."""

MOST_LOOKUPS = 64
"""Looks into the store for the people that one message names, a millisecond each or less; who is named after that
keeps the address that the message has."""

_WRITTEN = re.compile(r"(\d{5,20})(?:\.\d{1,3})?(?::\d{1,5})?@(s\.whatsapp\.net|c\.us|lid)", re.ASCII)
"""An address as messages write it: digits, perhaps an agent and a device, and the server."""


@attrs.frozen
class Identity:
    """Who a session is: its phone number JID, and its LID if WhatsApp gave one."""

    jid: Jid
    lid: Jid | None


def identity(device: pb.Device) -> Identity | None:
    """From the library's own Device; None while unpaired."""
    if not device.JID.User:
        return None
    return Identity(bare(device.JID), bare(device.LID) if device.LID.User else None)


def bare(protobuf: pb.JID) -> Jid:
    if not protobuf.User or not protobuf.Server:
        raise ValueError("an address without a user or server")
    return Jid(f"{protobuf.User}@{protobuf.Server}")


def phone_number(address: Jid, alternative: Jid | None, phone_of: Lookup) -> Jid:
    if not jid.is_lid(address):
        return address
    if alternative is not None and not jid.is_lid(alternative):
        return alternative
    return phone_of(address) or address


class People:
    """The people that one message names, as far as the store knows them. Not to be kept: what it has looked up may
    become outdated."""

    def __init__(self, me: Identity, phone_of: Lookup, lid_of: Lookup) -> None:
        self.me = me
        self._phone_of = phone_of
        self._lid_of = lid_of
        self._named: dict[Jid, Jid] = {}

    def person(self, address: pb.JID, alternative: pb.JID) -> tuple[Jid, Jid | None]:
        """Returns the phone number of a person, their LID where no number is known; and the LID, if that is known.
        Raises ValueError if the address is none."""
        raw = bare(address)
        other = bare(alternative) if alternative.User else None
        number = self.me.jid if raw == self.me.lid else phone_number(raw, other, self._phone_of)
        lid = next((each for each in (raw, other) if each and jid.is_lid(each)), None)
        return number, lid or (self.me.lid if number == self.me.jid else self._lid_of(number))

    def named(self, address: str) -> Jid | None:
        """Returns the phone number of somebody whom a message names, their LID where no number is known; None for what
        is no person's address."""
        match = _WRITTEN.fullmatch(address)
        if match is None:
            return None
        user, server = match.groups()
        raw = Jid(f"{user}@{jid.USER if server == OLD_USER else server}")
        if raw == self.me.lid:
            return self.me.jid
        if not jid.is_lid(raw):
            return raw
        if raw not in self._named and len(self._named) < MOST_LOOKUPS:
            self._named[raw] = self._phone_of(raw) or raw
        return self._named.get(raw, raw)
