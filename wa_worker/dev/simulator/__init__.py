"""A WhatsApp server for development and tests, which the unmodified neonize pairs with and writes to.

    async with open_simulator() as simulator:
        env = simulator.environment(folder)     # for a process started by `trust.command(...)`
        jid = await simulator.scan(qr, "5511999990001")
        await simulator.contact("5511988880002").send(jid, "oi")

It proves what the real library does, not what the real service does: server.py, session.py, phone.py, iq.py,
messages.py and contact.py say each what they play of the protocol and what they do not.

The names below load on first use, so that a client process, which needs trust.py only, does not load a server.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wa_worker.dev.simulator.contact import Contact, Received
    from wa_worker.dev.simulator.device import Device
    from wa_worker.dev.simulator.phone import PairingFailed, UnknownQR
    from wa_worker.dev.simulator.server import Simulator, UnknownDevice, open_simulator

__all__ = [
    "Contact",
    "Device",
    "PairingFailed",
    "Received",
    "Simulator",
    "UnknownDevice",
    "UnknownQR",
    "open_simulator",
]

_HOMES = {
    "Contact": "contact",
    "Device": "device",
    "PairingFailed": "phone",
    "Received": "contact",
    "Simulator": "server",
    "UnknownDevice": "server",
    "UnknownQR": "phone",
    "open_simulator": "server",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
