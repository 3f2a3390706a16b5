"""The content of a row of the proxy's queue: one function for each `type` (docs/contract.md). Pure.

Strict: what cannot be sent as the proxy wants it is refused with the reason, not sent as something else. Fields that
are not known are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from wa_worker.edge.row_values import Row, body_text, bounded, encodable, line, object_of, shape
from wa_worker.errors import Failure, RowError
from wa_worker.messages import (
    ContactCard,
    ContactName,
    ContactPhone,
    Contacts,
    Content,
    Deletion,
    Location,
    MediaKind,
    NewText,
    OutgoingMedia,
    Poll,
    ReactionTo,
    Target,
    Text,
)

MAX_LINK = 8192
"""Longest link taken, in characters: signed ones have some thousand."""

MAX_CARDS = 50
MAX_CARD_PHONES = 20
MAX_OPTIONS = 12
"""Options of a poll; phones offer no more."""

MAX_OPTION = 100
"""Characters of an option; phones take no more."""

_EDITED = {
    None: None,
    "text": None,
    **{kind.value: kind for kind in (MediaKind.IMAGE, MediaKind.VIDEO, MediaKind.DOCUMENT)},
}
"""As what a message was sent that can be edited: a text, or a file with a caption."""

_MIME_TYPE = re.compile(r"[A-Za-z0-9][\w.+-]{0,100}/[A-Za-z0-9][\w.+-]{0,100}(?:\s*;[ -~]{0,200})?", re.ASCII)
_WA_ID = re.compile(r"[!-~]{1,128}")
"""An id of WhatsApp's: letters and digits in fact, of whatever length its clients like."""


def content(row: Row) -> Content:
    """Returns what the row says is to be sent. Raises RowError, or KeyError for what is missing."""
    kind = row.get("type")
    build = _KINDS.get("text" if kind is None else kind) if kind is None or isinstance(kind, str) else None
    if build is None:
        raise RowError(Failure.BAD_TYPE, f"type is {shape(kind)} that is none")
    return build(row)


def _text(row: Row) -> Text:
    return Text(body_text(row["body"]))


def _media(kind: MediaKind) -> Callable[[Row], OutgoingMedia]:
    def build(row: Row) -> OutgoingMedia:
        media = object_of(row, "media", Failure.BAD_MEDIA)
        link, mime_type, voice = media.get("link"), media.get("mime_type"), media.get("voice")
        if mime_type is not None and not (isinstance(mime_type, str) and _MIME_TYPE.fullmatch(mime_type)):
            raise RowError(Failure.BAD_MEDIA, "media.mime_type is not one")
        if voice is not None and not isinstance(voice, bool):
            raise RowError(Failure.BAD_MEDIA, "media.voice is neither true nor false")
        filename = line(media.get("filename"), "media.filename", Failure.BAD_MEDIA)
        caption = media.get("caption") or row.get("body") or None
        if caption is not None and not isinstance(caption, str):
            raise RowError(Failure.BAD_MEDIA, "the caption is not a string")
        return OutgoingMedia(
            kind,
            _link(link),
            mime_type,
            re.split(r"[/\\]", filename)[-1] or None if filename else None,
            bounded(caption) if caption else None,
            voice=bool(voice) and kind is MediaKind.AUDIO,
        )

    return build


def _link(link: object) -> str:
    if not isinstance(link, str) or not link.strip():
        raise RowError(Failure.BAD_MEDIA, "media.link is not a string with something in it")
    if len(link) > MAX_LINK:
        raise RowError(Failure.BAD_LINK, "media.link is too long")
    try:
        parts = urlsplit(link.strip())
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and parts.username is None
    except ValueError:
        usable = False
    if not usable or not link.strip().isprintable():
        raise RowError(Failure.BAD_LINK, "media.link is not an address of a file")
    return link.strip()


def _location(row: Row) -> Location:
    place = object_of(row, "location", Failure.BAD_LOCATION)
    latitude, longitude = (_degrees(place.get(key), limit) for key, limit in (("latitude", 90), ("longitude", 180)))
    name, address, url = (
        line(place.get(key), f"location.{key}", Failure.BAD_LOCATION) for key in ("name", "address", "url")
    )
    return Location(latitude, longitude, name, address, url)


def _degrees(value: object, limit: int) -> float:
    if isinstance(value, str):
        try:
            value = float(value)  # a numeric column may come as a text
        except ValueError:
            value = None
    if isinstance(value, bool) or not isinstance(value, int | float) or not -limit <= value <= limit:
        raise RowError(Failure.BAD_LOCATION, f"a coordinate is not a number from -{limit} to {limit}")
    return float(value)


def _contacts(row: Row) -> Contacts:
    cards = row.get("contacts")
    if not isinstance(cards, list) or not 1 <= len(cards) <= MAX_CARDS:
        raise RowError(Failure.BAD_CONTACTS, f"contacts is not a list of 1 to {MAX_CARDS} cards")
    return Contacts(tuple(_card(card) for card in cards))


def _card(card: object) -> ContactCard:
    name = card.get("name") if isinstance(card, dict) else None
    called = name.get("formatted_name") if isinstance(name, dict) else name
    called = line(called, "the name of a card", Failure.BAD_CONTACTS)
    if not isinstance(card, dict) or not called:
        raise RowError(Failure.BAD_CONTACTS, "a card has no name")
    phones, vcard = card.get("phones") or [], card.get("vcard")
    if not isinstance(phones, list) or len(phones) > MAX_CARD_PHONES:
        raise RowError(Failure.BAD_CONTACTS, "the phones of a card are no list")
    if vcard is not None and not (isinstance(vcard, str) and vcard.lstrip().upper().startswith("BEGIN:VCARD")):
        raise RowError(Failure.BAD_CONTACTS, "a vcard is none")
    if not phones and not vcard:
        raise RowError(Failure.BAD_CONTACTS, "a card has neither phones nor a vcard")
    return ContactCard(ContactName(called), tuple(map(_phone, phones)), bounded(vcard) if vcard else None)


def _phone(phone: object) -> ContactPhone:
    if not isinstance(phone, dict):
        raise RowError(Failure.BAD_CONTACTS, "a phone of a card is no object")
    number, wa_id = (line(phone.get(key), "a number of a card", Failure.BAD_CONTACTS) for key in ("phone", "wa_id"))
    if not number or (wa_id and not (wa_id.isascii() and wa_id.isdigit())):
        raise RowError(Failure.BAD_CONTACTS, "a phone of a card has no number, or a wa_id that is none")
    return ContactPhone(number, wa_id)


def _reaction(row: Row) -> ReactionTo:
    reaction = object_of(row, "reaction", Failure.BAD_REACTION)
    emoji = reaction.get("emoji")
    if not isinstance(emoji, str) or len(emoji) > 64:
        raise RowError(Failure.BAD_REACTION, "reaction.emoji is not a string, or is no emoji")
    encodable("reaction.emoji", emoji)
    return ReactionTo(target(reaction, Failure.BAD_REACTION), emoji.strip())


def _edit(row: Row) -> NewText:
    edit = object_of(row, "edit", Failure.BAD_EDIT)
    kind = edit.get("message_type")
    if not (kind is None or isinstance(kind, str)) or kind not in _EDITED:
        raise RowError(Failure.BAD_EDIT, "edit.message_type is none that has words")
    return NewText(target(edit, Failure.BAD_EDIT), body_text(row["body"]), _EDITED[kind])


def _revoke(row: Row) -> Deletion:
    return Deletion(target(object_of(row, "revoke", Failure.BAD_REVOKE), Failure.BAD_REVOKE))


def target(named: Row, failure: Failure) -> Target:
    """Returns the message that an object names. Raises RowError."""
    message, sender = named.get("message_id"), named.get("from")
    if not isinstance(message, str) or not _WA_ID.fullmatch(message):
        raise RowError(failure, "message_id is not the id of a message")
    return Target(message, line(sender, "from", failure))


def _poll(row: Row) -> Poll:
    poll = object_of(row, "poll", Failure.BAD_POLL)
    name = line(poll.get("name"), "poll.name", Failure.BAD_POLL)
    options, count = poll.get("options"), poll.get("selectable_count", 1)
    if not name or not isinstance(options, list) or not 2 <= len(options) <= MAX_OPTIONS:
        raise RowError(Failure.BAD_POLL)
    words = tuple(line(option, "an option", Failure.BAD_POLL) or "" for option in options)
    if len(set(words)) != len(words) or not all(0 < len(word) <= MAX_OPTION for word in words):
        raise RowError(Failure.BAD_POLL, "an option is empty, too long, or there twice")
    if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= len(words):
        raise RowError(Failure.BAD_POLL, "poll.selectable_count is not a number from 0 to that of the options")
    return Poll(name, words, count)


_KINDS: Mapping[str, Callable[[Row], Content]] = {
    "text": _text,
    **{kind.value: _media(kind) for kind in MediaKind},
    "location": _location,
    "contacts": _contacts,
    "contact": _contacts,  # as `inbound` calls it
    "reaction": _reaction,
    "edit": _edit,
    "revoke": _revoke,
    "poll": _poll,
}
