"""Events that people are invited to. Pure."""

from __future__ import annotations

from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import Message

from wa_worker.messages import PlannedEvent
from wa_worker.whatsapp.kinds.content import Content
from wa_worker.whatsapp.kinds.limits import EXACT, LINK, LONG, SHORT, clipped, whole
from wa_worker.whatsapp.kinds.places import where
from wa_worker.whatsapp.kinds.words import words


def planned_event(message: Message) -> Content:
    """Returns an event. Its times are unix seconds on the wire, too."""
    event = message.eventMessage
    found = PlannedEvent(
        event.name[:SHORT],
        description=clipped(event.description, LONG),
        start_time=_time(event.startTime),
        end_time=_time(event.endTime),
        location=clipped(where(event.location), LONG),
        join_link=clipped(event.joinLink, LINK),
        canceled=event.isCanceled if event.HasField("isCanceled") else None,
    )
    return Content("event", words(event), event=found)


def _time(seconds: int) -> int | None:
    return whole(seconds, EXACT) or None
