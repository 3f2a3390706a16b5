"""What a message may hold besides its words, in both directions. Frozen values.

Names are those of Meta's Cloud API where it has one, so that a back end that knows that API knows these
(developers.facebook.com/docs/whatsapp/cloud-api/webhooks/components). What is None is not told.
"""

from __future__ import annotations

import attrs

from wa_worker.models import Jid


@attrs.frozen
class Media:
    """Describes a file. `sha256`: of its bytes, in hex. `size`: bytes. `duration`: seconds. `width`, `height`: pixels.

    url: what the proxy answered when it was uploaded. error: one word of `MediaError`, why there is no `url`.
    """

    mime_type: str
    sha256: str | None = None
    size: int | None = None
    filename: str | None = attrs.field(default=None, repr=False)
    voice: bool | None = None
    animated: bool | None = None
    duration: int | None = None
    width: int | None = None
    height: int | None = None
    url: str | None = attrs.field(default=None, repr=False)
    error: str | None = None


@attrs.frozen
class Context:
    """Describes what a message answers, and whether it was forwarded. `sender` (`from` to the proxy): who wrote the
    message with the id `message_id`; `body`: its words."""

    message_id: str | None = None
    sender: Jid | None = attrs.field(default=None, repr=False)
    body: str | None = attrs.field(default=None, repr=False)
    forwarded: bool | None = None
    frequently_forwarded: bool | None = None


@attrs.frozen
class Reaction:
    """Describes a reaction to the message `message_id`. `emoji` '': it was taken back."""

    message_id: str
    emoji: str = attrs.field(repr=False)


@attrs.frozen
class Edit:
    """Names the message whose text has changed; the new one is the `body`."""

    message_id: str


@attrs.frozen
class Revoke:
    """Names a message that was deleted for all. `by`: who did that: its author, or an admin of the group."""

    message_id: str
    by: Jid | None = attrs.field(default=None, repr=False)


@attrs.frozen
class Location:
    """Describes a place: degrees, WGS 84. `live`: it moves, and this is where it was at first."""

    latitude: float = attrs.field(repr=False)
    longitude: float = attrs.field(repr=False)
    name: str | None = attrs.field(default=None, repr=False)
    address: str | None = attrs.field(default=None, repr=False)
    url: str | None = attrs.field(default=None, repr=False)
    live: bool | None = None


@attrs.frozen
class ContactName:
    formatted_name: str = attrs.field(repr=False)


@attrs.frozen
class ContactPhone:
    """Describes a number of a card, as it is written there. `wa_id`: the digits of its account, where the card says."""

    phone: str = attrs.field(repr=False)
    wa_id: str | None = attrs.field(default=None, repr=False)


@attrs.frozen
class ContactCard:
    """Describes a contact. `vcard`: the whole card, as it came (RFC 6350; phones write version 3.0)."""

    name: ContactName
    phones: tuple[ContactPhone, ...] = ()
    vcard: str | None = attrs.field(default=None, repr=False)


@attrs.frozen
class Poll:
    """Describes a poll. `selectable_count`: how many options one may choose, 0 for any number."""

    name: str = attrs.field(repr=False)
    options: tuple[str, ...] = attrs.field(repr=False)
    selectable_count: int = 0
