"""What is in a message besides its words, as a page shows it: files, places, cards, polls, calls. Reads only.

What came in was looked at by the proxy; what goes out was not, and may be anything. So nothing is taken for what it
should be: what is no text is shown as none, and the worker says what is wrong with it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from wa_worker.dev.addresses import phone_or_jid
from wa_worker.dev.console.files import BYTES, Files, sample
from wa_worker.dev.console.page import Box, File
from wa_worker.dev.console.texts import Said, joined

Content = Mapping[str, Any]

MOST = 20
"""Cards, options, numbers and people of a message that are shown."""

SAMPLES_PATH = "/samples/"
FILE_PATH = "/file"

_MISSING = {
    "pending": "on its way: it takes its time",
    "expired": "WhatsApp does not have it any more",
    "too_large": "larger than MEDIA_MAX_MB",
    "damaged": "not what its message says it is",
    "no_upload": "the proxy takes no files",
    "off": "MEDIA_IN is off",
}
"""What `media.error` means. One that is not here is shown as it came."""

_OUTCOMES = {"missed": "Missed", "answered": "Answered", "rejected": "Declined"}


def text_of(of: object, key: str) -> str:
    """Returns a field's text, or number, in words; "" if it is nothing of that."""
    value = of.get(key) if isinstance(of, Mapping) else None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return str(value)


def list_of(of: object, key: str) -> list[Any]:
    value = of.get(key) if isinstance(of, Mapping) else None
    return value[:MOST] if isinstance(value, list) else []


def object_of(of: object, key: str) -> Content:
    value = of.get(key) if isinstance(of, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def boxes_of(kind: str, content: Content) -> tuple[Box, ...]:
    """Returns what there is, in an order of our own."""
    return tuple(box for key, read in _BOXES.items() if key in content or key == kind for box in read(content))


def _place(content: Content) -> Iterator[Box]:
    if place := object_of(content, "location"):
        where = f"{text_of(place, 'latitude')}, {text_of(place, 'longitude')}"
        kind = "Place, moving" if place.get("live") is True else "Place"
        yield Box(kind, text_of(place, "name") or where, _some(text_of(place, "address"), where, text_of(place, "url")))


def _cards(content: Content) -> Iterator[Box]:
    for card in list_of(content, "contacts"):
        name = card.get("name") if isinstance(card, Mapping) else None
        called = text_of(name, "formatted_name") or text_of(card, "name")
        yield Box("Contact", called, _some(*(text_of(phone, "phone") for phone in list_of(card, "phones"))))


def _poll(content: Content) -> Iterator[Box]:
    if poll := object_of(content, "poll"):
        options = list_of(poll, "options")
        yield Box("Poll", text_of(poll, "name"), tuple(f"○ {each}" for each in options if isinstance(each, str)))


def _event(content: Content) -> Iterator[Box]:
    if event := object_of(content, "event"):
        kind = "Event, called off" if event.get("canceled") is True else "Event"
        times = [_day(event.get(key)) for key in ("start_time", "end_time")]
        more = (text_of(event, key) for key in ("description", "location", "join_link"))
        yield Box(kind, text_of(event, "name"), _some(" to ".join(filter(None, times)), *more))


def _order(content: Content) -> Iterator[Box]:
    if order := object_of(content, "order"):
        count = text_of(order, "item_count")
        price = f"{text_of(order, 'total')} {text_of(order, 'currency')}".strip()
        lines = _some(text_of(order, "text"), f"{count} articles" if count else "", price)
        yield Box("Order", text_of(order, "title") or text_of(order, "id"), lines)


def _product(content: Content) -> Iterator[Box]:
    if product := object_of(content, "product"):
        price = f"{text_of(product, 'price')} {text_of(product, 'currency')}".strip()
        lines = _some(text_of(product, "description"), price, text_of(product, "url"))
        yield Box("Article", text_of(product, "title") or text_of(product, "id"), lines)


def _referral(content: Content) -> Iterator[Box]:
    if advertisement := object_of(content, "referral"):
        lines = _some(text_of(advertisement, "body"), text_of(advertisement, "source_url"))
        yield Box("From an advertisement", text_of(advertisement, "headline"), lines)


def _call(content: Content) -> Iterator[Box]:
    call = object_of(content, "call")
    outcome = text_of(call, "outcome")
    what = f"{'group ' if call.get('group') is True else ''}{'video ' if call.get('video') is True else ''}call"
    yield Box("Call", f"{_OUTCOMES.get(outcome, outcome.replace('_', ' '))} {what}".strip())


def _view_once(content: Content) -> Iterator[Box]:
    yield Box("View once", Said("It can be seen on the phone only."))


_BOXES: dict[str, Callable[[Content], Iterator[Box]]] = {
    "referral": _referral,
    "location": _place,
    "contacts": _cards,
    "poll": _poll,
    "event": _event,
    "order": _order,
    "product": _product,
    "call": _call,
    "view_once": _view_once,
}
"""By the object of a message, which for the last ones is its type, too."""


def file_in(media: Content, kind: str, files: Files) -> File:
    """Returns the file of a message that came in."""
    url, error = text_of(media, "url"), text_of(media, "error")
    about: list[str] = [kind_in_words(kind, media), size_in_words(media.get("size")), _length(media.get("duration"))]
    content_type = files.content_type(url) if url else None
    if content_type is None:
        missing = Said(_MISSING[error]) if error in _MISSING else error or Said("not at this proxy")
        return File("", "", text_of(media, "filename"), joined(" · ", _some(*about, missing)))
    shown = content_type.partition("/")[0] if content_type != BYTES else ""
    if not shown and kind != "document":
        about.append(Said("not shown: it does not look like what it is called"))
    link = f"{FILE_PATH}?{urlencode({'url': url})}"
    return File(shown, link, text_of(media, "filename"), joined(" · ", _some(*about)), sticker=kind == "sticker")


def file_out(media: Content, kind: str, console: str) -> File:
    """Returns the file of a message that goes out: its link as words, or the sample that is there, shown. `console`:
    the address at which a worker gets the samples."""
    link, name = text_of(media, "link"), text_of(media, "filename")
    ours = link.removeprefix(f"{console}{SAMPLES_PATH}") if console else link
    found = sample(ours) if ours != link else None
    if found is None:
        return File("", "", name or link, joined(" · ", _some(kind_in_words(kind, media), link if name else "")))
    shown = found.content_type.partition("/")[0] if found.inline else ""
    about = joined(" · ", _some(kind_in_words(kind, media), size_in_words(len(found.data))))
    return File(shown, f"{SAMPLES_PATH}{found.name}", name or found.name, about, sticker=kind == "sticker")


def kind_in_words(kind: str, media: Content) -> str:
    return Said("voice note" if media.get("voice") is True else kind)


def size_in_words(size: object) -> str:
    if isinstance(size, bool) or not isinstance(size, int | float) or size < 0:
        return ""
    return f"{size:.0f} B" if size < 1000 else f"{size / 1000:.1f} kB" if size < 1_000_000 else f"{size / 1e6:.1f} MB"


def people(of: object, key: str) -> tuple[str, ...]:
    return tuple(phone_or_jid(each) for each in list_of(of, key) if isinstance(each, str))


def _length(seconds: object) -> str:
    whole = isinstance(seconds, int) and not isinstance(seconds, bool)
    return f"{seconds // 60}:{seconds % 60:02}" if isinstance(seconds, int) and whole else ""


def _day(at: object) -> str:
    if isinstance(at, bool) or not isinstance(at, int | float):
        return ""
    try:
        return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))
    except (ValueError, OverflowError, OSError):
        return str(at)


def _some(*texts: str) -> tuple[str, ...]:
    return tuple(text for text in texts if text)
