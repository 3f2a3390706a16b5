"""What the field sends: answers of what stands in front of a proxy, and texts that are none."""

from __future__ import annotations

from wa_worker.dev.proxy import Fault
from wa_worker.dev.simulator.protobufs import Message

STATUSES = (400, 402, 404, 405, 410, 418, 423, 451)

PORTALS = (
    Fault(body=b"<!DOCTYPE html><title>Sign in</title>", content_type="text/html"),
    Fault(status=404, body=b"<html>not found</html>", content_type="text/html"),
    Fault(status=302, headers={"Location": "https://portal.example/"}),
)
"""Not those that answer 200 and some text: what one took is posted again, but not in order (docs/delivery.md)."""


def not_utf8(text: str) -> Message:
    """Makes a message of this text and a byte that is not UTF-8."""
    return Message.FromString(Message(conversation=f"{text}\0").SerializeToString().replace(b"\0", b"\xff"))
