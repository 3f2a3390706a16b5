"""Messages that come without their content: which of them stay so.

Of what can be seen once, linked devices get a placeholder, and nothing ever follows. Other placeholders, such as that
of the first message after a click on an advertisement, stand for a message that the library asks the own phone for: it
comes later, under the same id. The event does not say which it is; the line that the library logs before it does
(`decryptMessages` in whatsmeow's message.go).
"""

from __future__ import annotations

import re
from collections import deque

_LINE = re.compile(r'Unavailable message (\S{1,256}) from .*\(type: "view_once"\)', re.DOTALL)

MOST = 256
"""Ids that are kept: the event is handed over behind the hundred that the library's channel holds."""


class Placeholders:
    """Remembers what can be seen once. Any thread."""

    def __init__(self) -> None:
        self._view_once: deque[str] = deque(maxlen=MOST)

    def on_log(self, line: str) -> None:
        """Takes a line of the library's log."""
        if match := _LINE.fullmatch(line):
            self._view_once.append(match.group(1))

    def is_view_once(self, wa_id: str) -> bool:
        """Says whether the message with this id, which came without its content, can be seen once."""
        return wa_id in self._view_once
