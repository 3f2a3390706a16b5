"""Locations: a place that somebody sent, or where they are now. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import LocationMessage, Message

from wa_worker.messages import Location
from wa_worker.whatsapp.kinds.content import Content
from wa_worker.whatsapp.kinds.limits import LINK, LONG, clipped

DIGITS = 6
"""Decimals of degrees in a body: a tenth of a metre."""


def _place(message: Message) -> Content:
    place = message.locationMessage
    location = _location(
        place,
        name=clipped(place.name),
        address=clipped(place.address, LONG),
        url=clipped(place.URL, LINK),
        live=place.isLive or None,
    )
    body = "\n".join(filter(None, (where(place), place.comment)))
    return Content("location", body or _coordinates(location), location=location)


def _live(message: Message) -> Content:
    live = message.liveLocationMessage
    location = _location(live, live=True)
    return Content("location", live.caption or _coordinates(location), location=location)


PLACES: dict[str, Callable[[Message], Content]] = {"locationMessage": _place, "liveLocationMessage": _live}
"""By the field of the message."""


def where(place: LocationMessage) -> str:
    """Returns the name and the address of a place: 'Loja Centro, Rua Exemplo, 100'."""
    name, address = place.name.strip(), place.address.strip()
    return address if address.startswith(name) else f"{name}, {address}" if address else name


def _location(place: Any, **more: Any) -> Location | None:
    """Returns None where the degrees are no place on earth; JSON has no word for some numbers that they can be."""
    latitude, longitude = place.degreesLatitude, place.degreesLongitude
    there = place.HasField("degreesLatitude") and place.HasField("degreesLongitude")
    if not there or not (math.isfinite(latitude) and abs(latitude) <= 90) or not abs(longitude) <= 180:
        return None
    return Location(latitude, longitude, **more)


def _coordinates(location: Location | None) -> str:
    """Writes a place that has no words: a phone shows a map of it."""
    return f"{round(location.latitude, DIGITS)}, {round(location.longitude, DIGITS)}" if location else ""
