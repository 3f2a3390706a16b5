"""Places."""

from __future__ import annotations

from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import ContextInfo, LocationMessage, Message

from wa_worker.messages import Location


def location(place: Location, context: ContextInfo | None) -> Message:
    """Returns a place. That a place moves cannot be sent: a phone is needed for that."""
    made = LocationMessage(
        degreesLatitude=place.latitude,
        degreesLongitude=place.longitude,
        name=place.name,
        address=place.address,
        URL=place.url,
        contextInfo=context,
    )
    return Message(locationMessage=made)
