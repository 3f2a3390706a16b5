"""Contacts: cards with a name and phone numbers (RFC 6350; phones write version 3.0). Pure.

The shape is that of Meta's Cloud API. A phone writes the account that a number has beside it: `TEL;waid=5511...`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import ContactMessage, Message

from wa_worker.messages import ContactCard, ContactName, ContactPhone
from wa_worker.whatsapp.kinds.content import Content
from wa_worker.whatsapp.kinds.limits import SHORT

MOST_NUMBERS = 10
"""Numbers of a card that are read."""

MOST_CARDS = 300
"""Cards of a message that are read; phones send 257 at the most."""

LONGEST = 16_384
"""Characters of a card that are read: a picture in it may be large, and comes last."""

LONGEST_IN_ALL = 131_072
"""Characters of all cards of a message that are handed on: with all else less than a proxy has to take."""


def _contact(message: Message) -> Content:
    card = _card(message.contactMessage)
    return Content("contact", _words(card), contacts=_handed_on([card]))


def _contacts(message: Message) -> Content:
    several = message.contactsArrayMessage
    cards = [_card(each) for each in several.contacts[:MOST_CARDS]]
    body = "\n".join(map(_words, cards)) or several.displayName
    return Content("contact", body, contacts=_handed_on(cards) or None)


CARDS: dict[str, Callable[[Message], Content]] = {"contactMessage": _contact, "contactsArrayMessage": _contacts}
"""By the field of the message."""


def _card(contact: ContactMessage) -> ContactCard:
    name = contact.displayName.strip()
    phones: dict[str, ContactPhone] = {}
    card = contact.vcard[:LONGEST]
    for line in card.replace("\r\n", "\n").replace("\n ", "").replace("\n\t", "").split("\n"):
        head, _, value = line.partition(":")
        parts = head.split(";")
        field = parts[0].rpartition(".")[2].upper()  # 'item1.TEL;waid=5511988880005'
        value = value.strip().replace("\\,", ",").replace("\\;", ";").replace("\\\\", "\\")
        if field == "FN" and not name:
            name = value
        elif field == "TEL" and value and len(phones) < MOST_NUMBERS:
            phone = value.removeprefix("tel:")[:SHORT]
            phones.setdefault(phone, ContactPhone(phone, _account(parts[1:])))
    whole = contact.vcard if len(contact.vcard) <= LONGEST else ""
    return ContactCard(ContactName(name[:SHORT]), tuple(phones.values()), whole or None)


def _account(parameters: Iterable[str]) -> str | None:
    for parameter in parameters:
        name, _, digits = parameter.partition("=")
        if name.strip().lower() == "waid" and digits.isascii() and digits.isdigit() and len(digits) <= 20:
            return digits
    return None


def _words(card: ContactCard) -> str:
    """Returns the name and the numbers with commas between them: 'Bia, +55 11 98888-0005'."""
    return ", ".join(filter(None, (card.name.formatted_name, *(each.phone for each in card.phones))))


def _handed_on(cards: list[ContactCard]) -> tuple[ContactCard, ...]:
    """Leaves out the whole text of those cards that are too many; their names and numbers stay."""
    handed_on: list[ContactCard] = []
    room = LONGEST_IN_ALL
    for card in cards:
        room -= len(card.vcard or "")
        handed_on.append(card if room >= 0 else ContactCard(card.name, card.phones))
    return tuple(handed_on)
