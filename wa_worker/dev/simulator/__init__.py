"""A WhatsApp server for development and tests, which the unmodified neonize pairs with and writes to.

    async with open_simulator() as simulator:
        env = simulator.environment(folder)     # for a process started by `trust.command(...)`
        jid = await simulator.scan(qr, "5511999990001")
        await simulator.contact("5511988880002").send(jid, "oi")

It proves what the real library does, not what the real service does: session.py, phone.py, iq.py, messages.py,
groups.py and contact.py say each what they play of the protocol and what they do not.

trust.py        makes the neonize of a client process trust the simulator; imported there, and nothing else is
protobufs.py    the protobuf messages that are used, from neonize
signal_messages.py  those of libsignal, which neonize has none of
stanza.py       stanzas and JIDs
binary_xml.py   stanzas as bytes, and back
tokens.json     WhatsApp's dictionary for that
curve.py        key pairs, agreements and signatures
chains.py       chains of keys, of which each serves for one message
sessions.py     Signal sessions
keys.py         prekey bundles and Signal sessions of one phone
sender_keys.py  what one writes to groups with, and reads others' messages there
noise.py        the Noise handshake and its ciphers
dialect.py      the binary form of stanzas that a client writes
connection.py   one client's WebSocket with WhatsApp's frames
mailbox.py      what a linked device has yet to receive
device.py       a linked device
stanza_types.py what a phone writes around its messages
calls.py        calls that ring at a linked device
placeholders.py messages that the own phone hands over
contact.py      somebody else's phone
groups.py       a group: its members, its changes, what its phones write
group_messages.py a client's messages to a group
poll_votes.py   a vote in a poll, as a phone encrypts it
link_code.py    linking a device by a code that is typed on the phone
history.py      what a phone sends of its history
phone.py        the account's own phone: it scans a QR code
credentials.py  what a client must trust
world.py        the Simulator: devices, contacts, counters and controls
iq.py           answers to a client's requests
media_host.py   the host of encrypted files, and the ways in which it fails
media_messages.py  messages with a file, as a phone writes and reads them
messages.py     a client's messages and receipts
relay.py        receipts from one linked account to another
session.py      one client, from the handshake to its end
server.py       listens and ends TLS

The names below load on first use, so that a client process, which needs trust.py only, does not load a server.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wa_worker.dev.simulator.contact import Contact, Received
    from wa_worker.dev.simulator.device import Device, UnknownDevice
    from wa_worker.dev.simulator.groups import Group
    from wa_worker.dev.simulator.link_code import UnknownCode, WrongCode
    from wa_worker.dev.simulator.media_host import Behaviour, MediaHost
    from wa_worker.dev.simulator.phone import PairingFailed, UnknownQR
    from wa_worker.dev.simulator.server import open_simulator
    from wa_worker.dev.simulator.world import Simulator

__all__ = [
    "Behaviour",
    "Contact",
    "Device",
    "Group",
    "MediaHost",
    "PairingFailed",
    "Received",
    "Simulator",
    "UnknownCode",
    "UnknownDevice",
    "UnknownQR",
    "WrongCode",
    "open_simulator",
]

_MODULES = {
    "Behaviour": "media_host",
    "Contact": "contact",
    "Device": "device",
    "Group": "groups",
    "MediaHost": "media_host",
    "PairingFailed": "phone",
    "Received": "contact",
    "Simulator": "world",
    "UnknownCode": "link_code",
    "UnknownDevice": "device",
    "UnknownQR": "phone",
    "WrongCode": "link_code",
    "open_simulator": "server",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
