"""Contacts, and their vCards (RFC 2426, the version 3.0 that phones write; `waid` is WhatsApp's own parameter)."""

from __future__ import annotations

from collections.abc import Sequence

from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import ContactMessage, ContactsArrayMessage, ContextInfo, Message

from wa_worker.messages import ContactCard


def contacts(cards: Sequence[ContactCard], context: ContextInfo | None) -> Message:
    """Returns one card, or several in one message."""
    made = [ContactMessage(displayName=card.name.formatted_name, vcard=card.vcard or _vcard(card)) for card in cards]
    if len(made) == 1:
        if context is not None:
            made[0].contextInfo.CopyFrom(context)
        return Message(contactMessage=made[0])
    shown = f"{made[0].displayName} + {len(made) - 1}"
    return Message(contactsArrayMessage=ContactsArrayMessage(displayName=shown, contacts=made, contextInfo=context))


def _vcard(card: ContactCard) -> str:
    name = _escaped(card.name.formatted_name)
    lines = ["BEGIN:VCARD", "VERSION:3.0", f"N:;{name};;;", f"FN:{name}"]
    for phone in card.phones:
        digits = "".join(char for char in phone.phone if char in "0123456789")
        # only digits with a country code are an account's, and only a plus says that they have one
        account = phone.wa_id or (digits if phone.phone.strip().startswith("+") else "")
        waid = f";waid={account}" if account else ""
        lines.append(f"TEL;type=CELL;type=VOICE{waid}:{_escaped(phone.phone)}")
    return "\n".join([*lines, "END:VCARD"])


def _escaped(text: str) -> str:
    """Returns a text as a value: nobody's name begins a line or a field of its own."""
    for char in ("\\", ";", ","):
        text = text.replace(char, "\\" + char)
    return "\\n".join(text.splitlines())
