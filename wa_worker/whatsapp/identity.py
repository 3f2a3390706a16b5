"""Who is who: a session's own identity, and the addresses of the people in a message. Pure.

Phone number JIDs are preferred wherever a mapping is known; digits are never made up.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
from neonize.proto import Neonize_pb2 as pb

from wa_worker import jid
from wa_worker.models import Jid

Lookup = Callable[[Jid], Jid | None]
"""Looks an address up in the session store: a phone number for a LID, or the other way round."""


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
