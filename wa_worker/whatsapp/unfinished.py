"""Knows which message the library is in the middle of when its connection ends: the session waits for its event.

whatsmeow handles one stanza at a time, and goes on with the one in hand when the connection is cut. It decrypts the
message and hands it over, and cannot acknowledge it any more: WhatsApp delivers it again, but it can be decrypted only
once. So if nobody were there to take it, it would be lost. It says so in its log (`handlerQueueLoop` in client.go).
"""

from __future__ import annotations

import re

_IN_THE_MIDDLE = re.compile(r"Closing handler queue loop in the middle of handling <message\b[^>]*?\bid=\"([^\"]+)\"")


class Unfinished:
    """Holds the id of that message until its event has come, or the log has spoken of it again. Any thread."""

    def __init__(self) -> None:
        self._id: str | None = None

    def __bool__(self) -> bool:
        return self._id is not None

    def on_log(self, message: str) -> None:
        """Takes a line of the library's log. What it says of the message later comes after it was handed over, or says
        that it never will be."""
        if match := _IN_THE_MIDDLE.search(message):
            self._id = match[1]
        elif self._id is not None and self._id in message:
            self._id = None

    def on_event(self, data: bytes) -> None:
        """Takes an event, serialised."""
        if self._id is not None and self._id.encode() in data:
            self._id = None
