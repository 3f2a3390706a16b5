"""The people of `wa-worker dev --simulate`: the owner of the phone that scans, and contacts that answer.

Owns who they are and what they say. The phone reads the QR code from the picture at the proxy, as a camera would
from a page. No tasks of its own: the session hands it pictures, the simulator messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

import trio

from wa_worker.dev.news import phone_or_jid
from wa_worker.dev.qr import read_png_data_url
from wa_worker.dev.simulated_worker import worker_command
from wa_worker.dev.simulator import Contact, PairingFailed, Received, Simulator, UnknownDevice, UnknownQR
from wa_worker.jid import USER, destination

PHONE = "5511999990001"


class Say(Protocol):
    def __call__(self, subject: str, text: str, colour: str | None = None) -> None: ...


class Everybody:
    """All who are on the simulated WhatsApp. `say` is the session's."""

    contact = "+55 11 98888-0002"
    first_message = "Hello from wa-worker"
    first_answer = f"You said: {first_message}"

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self.say: Say = lambda subject, text, colour=None: None

    @property
    def worker_command(self) -> Sequence[str]:
        return worker_command()

    def environment(self, folder: Path) -> dict[str, str]:
        """What the worker's process needs to get here."""
        return self._simulator.environment(folder)

    async def scan(self, picture: str) -> None:
        """The phone scans the code in a PNG data URL and waits for the device to confirm. A failure is told."""
        self.say("phone", f"+{PHONE} scans the code from that picture")
        try:
            await self._simulator.scan(await trio.to_thread.run_sync(read_png_data_url, picture), PHONE)
        except (ValueError, UnknownQR, PairingFailed) as error:  # the next code is another chance
            self.say("phone", f"could not link the device: {error}", "red")

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
        self.say("contact", f"{phone_or_jid(contact.jid)} decrypts: {received.text}")
        name = "Ana" if contact.jid == destination(self.contact) else None
        try:
            await contact.send(received.from_device, f"You said: {received.text}", push_name=name)
        except UnknownDevice:
            self.say("contact", "cannot answer: the device was logged out", "red")
