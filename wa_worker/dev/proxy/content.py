"""What a message may hold besides its words, the objects of `/inbound`; and the bodies of the calls beside it.

The shapes are contract.md's. Each object may be null or missing; what it has must be right.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .fields import BadRequestError
from .rows import RECEIPTS
from .shapes import (
    ListOf,
    Shape,
    any_text,
    count,
    degrees,
    flag,
    mime_type,
    one_of,
    sha256,
    some_text,
)

MEDIA = Shape(
    {"mime_type": some_text},
    {
        "sha256": sha256,
        "size": count,
        "filename": any_text,
        "voice": flag,
        "animated": flag,
        "duration": count,
        "width": count,
        "height": count,
        "url": some_text,
        "error": some_text,
    },
)
CONTEXT = Shape(
    optional={
        "message_id": some_text,
        "from": some_text,
        "body": any_text,
        "forwarded": flag,
        "frequently_forwarded": flag,
    }
)
REACTION = Shape({"message_id": some_text, "emoji": any_text})
LOCATION = Shape(
    {"latitude": degrees(90), "longitude": degrees(180)},
    {"name": any_text, "address": any_text, "url": any_text, "live": flag},
)
CONTACT = Shape(
    {"name": Shape({"formatted_name": any_text})},
    {"phones": ListOf(Shape({"phone": any_text}, {"wa_id": any_text})), "vcard": any_text},
)
POLL = Shape({"name": any_text, "options": ListOf(any_text)}, {"selectable_count": count})
GROUP = Shape({"id": some_text}, {"subject": any_text})

_TEXTS_OF_A_REFERRAL = (
    "source_url",
    "source_type",
    "source_id",
    "headline",
    "body",
    "media_type",
    "image_url",
    "video_url",
    "ctwa_clid",
)

CONTENT = Shape(
    optional={
        "from_me": flag,
        "media": MEDIA,
        "context": CONTEXT,
        "reaction": REACTION,
        "edit": Shape({"message_id": some_text}),
        "revoke": Shape({"message_id": some_text}, {"by": some_text}),
        "location": LOCATION,
        "contacts": ListOf(CONTACT, 1),
        "order": Shape(
            {"id": any_text},
            {"title": any_text, "text": any_text, "item_count": count, "total": any_text, "currency": any_text},
        ),
        "product": Shape(
            {"id": any_text},
            dict.fromkeys(("title", "description", "retailer_id", "price", "currency", "url"), any_text),
        ),
        "poll": POLL,
        "poll_vote": Shape({"message_id": some_text}, {"selected": ListOf(any_text)}),
        "event": Shape(
            {"name": any_text},
            {
                "description": any_text,
                "start_time": count,
                "end_time": count,
                "location": any_text,
                "join_link": any_text,
                "canceled": flag,
            },
        ),
        "referral": Shape(optional=dict.fromkeys(_TEXTS_OF_A_REFERRAL, any_text)),
        "mentions": ListOf(some_text),
        "group": GROUP,
        "call": Shape({"id": some_text}, {"video": flag, "group": flag, "outcome": some_text}),
    }
)
"""What is kept of an inbound message beside its words, besides `interactive` and `button` (fields.py)."""

KEPT = (*CONTENT.optional, "interactive", "button")

_MUST_HAVE = ("reaction", "edit", "revoke", "poll_vote")
"""Kinds that say nothing without their object, which has the same name."""

MEDIA_UPLOAD = Shape(
    {
        "instanceId": some_text,
        "chat_id": some_text,
        "wa_message_id": some_text,
        "message_type": some_text,
        "mime_type": mime_type,
        "size": count,
        "sha256": sha256,
    },
    {"filename": any_text},
)

MESSAGE_STATUS = Shape(
    {
        "instanceId": some_text,
        "wa_message_id": some_text,
        "chat_id": some_text,
        "status": one_of(*RECEIPTS),
        "timestamp": count,
        "recipient_id": some_text,
    },
    {"error": some_text},
)

HELD = Shape({"instanceId": some_text, "chat_id": some_text, "reason": some_text, "until": count, "timestamp": count})
"""A message status `held`, which is of a message that has not been sent."""

EVENT = Shape(
    {"instanceId": some_text, "event_type": some_text, "chat_id": some_text, "timestamp": count},
    {
        "group": GROUP,
        "action": some_text,
        "participants": ListOf(some_text),
        "by": some_text,
        "announce": flag,
        "description": any_text,
        "wa_message_id": some_text,
    },
)


def check_content(body: Mapping[str, Any]) -> None:
    """Raises BadRequestError for what an inbound message holds and what does not look as it has to."""
    CONTENT.check_fields(body)
    if body.get("update") is not None:
        flag("update", body["update"])
    kind = body.get("message_type")
    if kind in _MUST_HAVE and body.get(kind) is None:
        raise BadRequestError(f"{kind} is missing")


def content_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what is kept of an inbound message beside its words."""
    return {key: body[key] for key in KEPT if body.get(key) is not None}


def merged(kept: dict[str, Any], again: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the content of a message that is told again: its file may have come meanwhile, and nothing else has.

    One that has its file keeps it.
    """
    media, new = kept.get("media"), again.get("media")
    if new is None or (media or {}).get("url") is not None:
        return kept
    if new.get("url") is None and not again.get("update"):
        return kept
    return {**kept, "media": {**{key: value for key, value in (media or {}).items() if key != "error"}, **new}}
