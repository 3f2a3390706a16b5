"""What the phone of a simulated contact can send to a device, a function for each kind: all that a person can tap.

Owns the words and files that are used where nobody gives any. What is about another message is about the last one: of
the device's, that the contact got, or of the contact's own.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

import attrs

from wa_worker.dev.errors import CannotDoError
from wa_worker.dev.samples import DOCUMENT, PHOTO, STICKER, VOICE_NOTE
from wa_worker.dev.simulator import Contact, Received
from wa_worker.dev.simulator.protobufs import Message

VOICE_SECONDS = 3

_CARD = "BEGIN:VCARD\nVERSION:3.0\nFN:Bia Exemplo\nTEL;waid=5511988880005:+55 11 98888-0005\nEND:VCARD"
_PLACE = {
    "degreesLatitude": -23.5505,
    "degreesLongitude": -46.6333,
    "name": "Cantina da Ana",
    "address": "Rua Exemplo, 100",
}


@attrs.define
class Correspondence:
    """Holds what a contact and a device have last said to each other. `sent`: the id of the contact's last message."""

    contact: Contact
    device: str
    """The device's JID."""
    push_name: str | None = None
    got: Received | None = None
    sent: str | None = None

    async def send(self, content: Any) -> None:
        """Sends words or a Message. Raises UnknownDevice."""
        self.sent = await self.contact.send(self.device, content, push_name=self.push_name)

    async def change(self, content: Any) -> None:
        """Sends what is about another message, and is none itself."""
        await self.contact.send(self.device, content, push_name=self.push_name)


async def photo(to: Correspondence, text: str) -> None:
    await to.send(to.contact.files.image(PHOTO.data, text))


async def voice_note(to: Correspondence, text: str) -> None:
    """`text` is left out: nobody can read it aloud here."""
    waveform = bytes(10 + 40 * (at % 8 == 0) for at in range(64))
    await to.send(to.contact.files.voice(VOICE_NOTE.data, seconds=VOICE_SECONDS, waveform=waveform))


async def document(to: Correspondence, text: str) -> None:
    await to.send(to.contact.files.document(DOCUMENT.data, DOCUMENT.name, text))


async def sticker(to: Correspondence, text: str) -> None:
    await to.send(to.contact.files.sticker(STICKER.data))


async def place(to: Correspondence, text: str) -> None:
    await to.send(Message(locationMessage={**_PLACE, "comment": text}))


async def card(to: Correspondence, text: str) -> None:
    await to.send(Message(contactMessage={"displayName": "Bia Exemplo", "vcard": _CARD}))


async def poll(to: Correspondence, text: str) -> None:
    options = [{"optionName": each} for each in ("Friday", "Saturday")]
    question = {"name": text or "When do we meet?", "options": options, "selectableOptionsCount": 1}
    await to.send(Message(pollCreationMessageV3=question))


async def forwarded(to: Correspondence, text: str) -> None:
    context = {"isForwarded": True, "forwardingScore": 1}
    await to.send(Message(extendedTextMessage={"text": text or "Look at this", "contextInfo": context}))


async def answer(to: Correspondence, text: str) -> None:
    """Quotes what the device has sent last."""
    got = _got(to)
    context = {"stanzaID": got.wa_id, "participant": _account(to), "quotedMessage": got.message}
    await to.send(Message(extendedTextMessage={"text": text or "Yes, please", "contextInfo": context}))


async def reaction(to: Correspondence, text: str) -> None:
    """To what the device has sent last. `text`: the emoji."""
    key = {"remoteJID": _account(to), "fromMe": False, "ID": _got(to).wa_id}
    now = int(time.time() * 1000)
    await to.change(Message(reactionMessage={"key": key, "text": text or "👍", "senderTimestampMS": now}))


async def edit(to: Correspondence, text: str) -> None:
    new = {"conversation": text or "I mean: tomorrow"}
    await to.change(Message(protocolMessage={"key": _own(to), "type": 14, "editedMessage": new}))


async def correct_oneself(to: Correspondence, text: str) -> None:
    """Writes, and edits that."""
    await to.send("Tomorow")
    await edit(to, text or "Tomorrow")


async def delete(to: Correspondence, text: str) -> None:
    await to.change(Message(protocolMessage={"key": _own(to), "type": 0}))


async def view_once(to: Correspondence, text: str) -> None:
    await to.contact.send_placeholder(to.device, "view_once")


KINDS: dict[str, tuple[str, Callable[[Correspondence, str], Awaitable[None]]]] = {
    "photo": ("a picture", photo),
    "voice-note": ("a voice note", voice_note),
    "document": ("a document", document),
    "sticker": ("a sticker", sticker),
    "place": ("a place", place),
    "card": ("a contact's card", card),
    "poll": ("a poll", poll),
    "forwarded": ("forwarded words", forwarded),
    "answer": ("an answer to your last message", answer),
    "reaction": ("a reaction to your last message", reaction),
    "edit": ("an edit of the last message", edit),
    "delete": ("a deletion of the last message", delete),
    "view-once": ("a view-once picture", view_once),
}
"""By name: what a person calls it, and what sends it."""

NOW_AND_THEN = (photo, voice_note, document, place, correct_oneself)
"""What a contact sends by itself, in turn."""

CHANGES = ("reaction", "edit or deletion")
"""What kind_of() calls what is about another message: nobody answers it."""

_NAMES = {
    "imageMessage": "picture",
    "videoMessage": "film",
    "audioMessage": "voice note",
    "documentMessage": "document",
    "documentWithCaptionMessage": "document",
    "stickerMessage": "sticker",
    "locationMessage": "place",
    "contactMessage": "card",
    "contactsArrayMessage": "cards",
    "reactionMessage": CHANGES[0],
    "protocolMessage": CHANGES[1],
    "editedMessage": CHANGES[1],
}


def kind_of(message: Any) -> str:
    """Returns what a person calls a message that has no words."""
    while message.HasField("ephemeralMessage"):
        message = message.ephemeralMessage.message
    if any(field.name.startswith("pollCreation") for field, _ in message.ListFields()):
        return "poll"
    return next((name for field, name in _NAMES.items() if message.HasField(field)), "message")


def _got(to: Correspondence) -> Received:
    if to.got is None:
        raise CannotDoError("There is no message of yours yet that it could be about.")
    return to.got


def _own(to: Correspondence) -> dict[str, object]:
    if to.sent is None:
        raise CannotDoError("The contact has not written anything yet.")
    return {"remoteJID": _account(to), "fromMe": True, "ID": to.sent}


def _account(to: Correspondence) -> str:
    user, _, server = to.device.partition("@")
    return f"{user.partition(':')[0]}@{server}"
