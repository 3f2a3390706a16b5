"""The people of `wa-worker dev --simulate`: the owners of the phones that scan, and contacts that answer.

Owns who they are, what they say, and what they do to a device: link it, log it out, get it into trouble. A phone
reads the QR code from the picture at the proxy, as a camera would from a page. What is to happen later happens in
the simulator's nursery and ends with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

import trio

from wa_worker.dev.addresses import phone_or_jid
from wa_worker.dev.errors import CannotDoError
from wa_worker.dev.simulator import Contact, PairingFailed, Received, Simulator, UnknownDevice, UnknownQR
from wa_worker.dev.simulator.calls import IncomingCall
from wa_worker.dev.world import phone_messages
from wa_worker.dev.world.phone_messages import CHANGES, KINDS, NOW_AND_THEN, Correspondence, kind_of
from wa_worker.dev.world.qr import read_png_data_url
from wa_worker.dev.world.simulated_worker import worker_command
from wa_worker.jid import USER, destination

OUTAGE = 5.0
"""Seconds for which a dropped connection cannot be made anew: long enough to be seen."""

BAN = 10
"""Seconds."""

RINGING = 3.0
"""Seconds until a call that nobody takes ends."""

MORE = 1.5
"""Seconds after an answer at which a contact sends something more."""


class Say(Protocol):
    def __call__(self, subject: str, text: str, colour: str | None = None) -> None: ...


class SimulatedUsers:
    """All who are on the simulated WhatsApp. `say` is set by narration.py. Each instance has a phone of its own."""

    contact = "+55 11 98888-0002"
    first_message = "Hello from wa-worker"
    first_answer = f"You said: {first_message}"

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.say: Say = lambda subject, text, colour=None: None
        self._phones: dict[str, str] = {}
        self._linked: dict[str, str] = {}  # device JID, by instance
        self._correspondences: dict[tuple[str, str], Correspondence] = {}  # by the contact's phone and the device
        self._turns: Counter[tuple[str, str]] = Counter()  # messages that were answered
        simulator.on_new_contact = self._answer_messages_of

    @property
    def worker_command(self) -> Sequence[str]:
        return worker_command()

    def environment(self, folder: Path) -> dict[str, str]:
        """Says what the worker's process needs to get here."""
        return self.simulator.environment(folder)

    # --- phones

    def phone_of(self, instance: str) -> str:
        """Returns the number, in digits, of the phone that scans for this instance."""
        return self._phones.setdefault(instance, f"551199999{len(self._phones) + 1:04}")

    def device_of(self, instance: str) -> str | None:
        """Returns the JID of the device that was linked for this instance, if it still is."""
        jid = self._linked.get(instance)
        return jid if jid in self.simulator.devices else None

    async def scan(self, instance: str, picture: str) -> None:
        """The phone scans the code in a PNG data URL and waits for the device to confirm.

        A failure is told, and raises CannotDoError: the next code is another chance.
        """
        phone = self.phone_of(instance)
        self.say("phone", f"+{phone} scans the code of {instance} from that picture")
        try:
            code = await trio.to_thread.run_sync(read_png_data_url, picture)
            self._linked[instance] = await self.simulator.scan(code, phone)
        except (ValueError, UnknownQR, PairingFailed) as error:
            self.say("phone", f"could not link the device: {error}", "red")
            raise CannotDoError(f"The phone could not link the device: {error}.") from error

    async def drop(self, instance: str) -> None:
        """Cuts the device's connection, and each that it makes for the next OUTAGE seconds."""
        jid = self._device(instance)
        self.say("phone", f"the connection of {instance} is cut for {OUTAGE:.0f} s", "yellow")
        self.simulator.unreachable.add(jid)
        self._later(OUTAGE, partial(self.simulator.unreachable.discard, jid))
        await self.simulator.drop(jid)

    async def ban(self, instance: str) -> None:
        """Cuts the connection and refuses logins for BAN seconds."""
        jid = self._device(instance)
        self.say("phone", f"WhatsApp bans {instance} for {BAN} s", "yellow")
        self.simulator.bans[jid] = BAN
        self._later(BAN, partial(self.simulator.bans.pop, jid, None))
        await self.simulator.drop(jid)

    async def log_out(self, instance: str) -> None:
        """The phone removes the device."""
        jid = self._device(instance)
        self.say("phone", f"+{self.phone_of(instance)} logs {instance} out", "yellow")
        await self.simulator.log_out(jid)

    def _device(self, instance: str) -> str:
        jid = self.device_of(instance)
        if jid is None:
            raise CannotDoError(f"No device is linked for {instance}: scan its code first.")
        return jid

    def _later(self, seconds: float, action: Callable[[], object]) -> None:
        async def act() -> None:
            await trio.sleep(seconds)
            action()

        self.simulator.start_soon(act)

    # --- contacts

    @property
    def can_send(self) -> tuple[tuple[str, str], ...]:
        """Returns what a contact can send besides words: names for `write()`, and what a person calls them."""
        return (("call", "a missed call"), *((name, title) for name, (title, _) in KINDS.items()))

    async def write(self, instance: str, sender: str, text: str, kind: str = "") -> None:
        """The contact with this number writes to the instance's device: words, or what `can_send` names, with them.

        Raises CannotDoError.
        """
        jid = self._device(instance)
        try:
            phone, _, server = destination(sender).partition("@")
        except ValueError as error:
            raise CannotDoError(f"Nobody can write from there: {error}.") from error
        if server != USER or not self.simulator.is_on_whatsapp(phone) or phone in self._phones.values():
            raise CannotDoError("Only people with a phone number of their own can write here.")
        to = self._correspondence(self.simulator.contact(phone), jid)
        try:
            if kind == "call":
                self._call(to)
            elif kind in KINDS:
                await KINDS[kind][1](to, text)
            elif kind:
                raise CannotDoError("A contact cannot send that.")
            else:
                await to.send(text)
        except UnknownDevice:
            raise CannotDoError(f"{instance} was logged out.") from None

    def _call(self, to: Correspondence) -> None:
        call = IncomingCall(to.contact, self.simulator.device(to.device))
        call.offer()
        self._later(RINGING, partial(call.terminate, "timeout"))

    def _correspondence(self, contact: Contact, device: str) -> Correspondence:
        made = Correspondence(contact, device, self._name(contact))
        return self._correspondences.setdefault((contact.phone, device), made)

    def _answer_messages_of(self, contact: Contact) -> None:
        contact.on_message = partial(self._answer, contact)

    async def _answer(self, contact: Contact, received: Received) -> None:
        """The contact reads a message and says what it said. With every second it reacts and quotes it; after every
        third it sends something more."""
        if contact.phone in self._phones.values():
            return  # whoever scans does not chat
        to = self._correspondence(contact, received.from_device)
        what = received.text or kind_of(received.message)
        self.say("contact", f"{phone_or_jid(contact.jid)} decrypts: {what}")
        try:
            await self._read(to, received)
            if not received.text and what in CHANGES:
                return
            to.got = received
            turn = self._turns[to.contact.phone, to.device]
            self._turns[to.contact.phone, to.device] += 1
            words = f"You said: {received.text}" if received.text else f"Thank you for the {what}"
            if turn % 2:
                await phone_messages.reaction(to, "")
                await phone_messages.answer(to, words)
            else:
                await to.send(words)
            if turn % 3 == 2:
                await trio.sleep(MORE)
                await NOW_AND_THEN[turn // 3 % len(NOW_AND_THEN)](to, text="")
        except UnknownDevice:
            self.say("contact", "cannot answer: the device was logged out", "red")

    async def _read(self, to: Correspondence, received: Received) -> None:
        await to.contact.send_receipt(to.device, received.wa_id, "read")
        if received.message.audioMessage.PTT:
            await to.contact.send_receipt(to.device, received.wa_id, "played")

    def _name(self, contact: Contact) -> str | None:
        return "Ana" if contact.jid == destination(self.contact) else None
