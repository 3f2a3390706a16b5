"""The simulated people of `wa-worker dev --simulate`: the owner of the phone that scans, and contacts that answer.

Owns whom they are and what they say. The phone reads the QR code from the picture at the proxy, as a camera would
from a page, and scans each new one: after a logout, too. Stops when cancelled.
"""

from __future__ import annotations

from functools import partial

import trio

from wa_worker.dev.news import phone_or_jid
from wa_worker.dev.proxy import ReferenceProxy, Store
from wa_worker.dev.qr import read_png_data_url
from wa_worker.dev.simulator import Contact, PairingFailed, Received, Simulator, UnknownDevice, UnknownQR
from wa_worker.dev.terminal import Terminal
from wa_worker.jid import USER, destination

PHONE = "5511999990001"
CONTACT = "+55 11 98888-0002"
CONTACT_NAME = "Ana"


def answer_to(text: str) -> str:
    """What a contact answers."""
    return f"You said: {text}"


async def run_phone(simulator: Simulator, proxy: ReferenceProxy, instance: str, terminal: Terminal) -> None:
    """Scans each QR code that this instance shows."""
    seen: str | None = None

    def new_picture(store: Store) -> str | None:
        row = store.instance(instance)
        return row.qr_code if row is not None and row.qr_code != seen else None

    while True:
        seen = await proxy.wait_for(new_picture)
        assert seen is not None
        try:
            code = await trio.to_thread.run_sync(read_png_data_url, seen)
            terminal.say("phone", f"+{PHONE} scans the QR code from the picture")
            await simulator.scan(code, PHONE)
        except (ValueError, UnknownQR, PairingFailed) as error:  # the next code is another chance
            terminal.say("phone", f"could not link the device: {error}", "red")


class Contacts:
    """Whoever is written to: they tell what they read, and answer it."""

    def __init__(self, simulator: Simulator, terminal: Terminal) -> None:
        self._simulator = simulator
        self._terminal = terminal

    def attend(self, to: str) -> None:
        """Somebody is about to get a message at this address. Groups, and what is no address, have nobody."""
        try:
            phone, _, server = destination(to).partition("@")
        except ValueError:
            return
        if server == USER and phone != PHONE:
            contact = self._simulator.contact(phone)
            contact.on_message = partial(self._answer, contact)

    async def _answer(self, contact: Contact, received: Received) -> None:
        self._terminal.say("contact", f"{phone_or_jid(contact.jid)} reads: {received.text}")
        name = CONTACT_NAME if contact.jid == destination(CONTACT) else None
        try:
            await contact.send(received.from_device, answer_to(received.text), push_name=name)
        except UnknownDevice:
            self._terminal.say("contact", "cannot answer: the device was logged out", "red")
