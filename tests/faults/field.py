"""What the field sends: answers of what stands in front of a proxy, and texts that are none."""

from __future__ import annotations

from wa_worker.dev.proxy import Fault
from wa_worker.dev.simulator.protobufs import Message

STATUSES = (400, 402, 404, 405, 410, 418, 423, 451)

PORTALS = (
    Fault(body=b"<!DOCTYPE html><title>Sign in</title>", content_type="text/html"),
    Fault(body=b'{"message":"sign in"}'),
    Fault(body=b"OK", content_type="text/plain"),
    Fault(status=404, body=b"<html>not found</html>", content_type="text/html"),
)


def not_utf8(text: str) -> Message:
    """Makes a message of this text and a byte that is not UTF-8."""
    return Message.FromString(Message(conversation=f"{text}\0").SerializeToString().replace(b"\0", b"\xff"))
