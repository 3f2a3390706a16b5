"""Whether WhatsApp lets an account write first to people (error 463), as far as its own sends tell.

A refusal is about people who have not written to the account: what goes to others says nothing about it. So only a
message to somebody for whom one was refused proves that it is over. That no more is refused is watched by the instance.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from wa_worker.errors import Failure, SendDelayed
from wa_worker.models import Jid
from wa_worker.states import Event, Report

SAID_AGAIN = 300.0
"""Seconds in which further refusals are not reported: two hundred in a batch are no news, and one every five minutes
keeps the hour for which an account counts as restricted."""

MOST_CHATS = 10_000
"""Chats that are remembered: more first messages than any account sends in the hour."""


class Restriction:
    """Follows the sends of one account. For one thread at a time.

    report: is told RESTRICTED and UNRESTRICTED; from any thread.
    """

    def __init__(
        self, report: Callable[[Report], None], *, said_again: float = SAID_AGAIN, most_chats: int = MOST_CHATS
    ) -> None:
        self._report = report
        self._said_again = said_again
        self._most_chats = most_chats
        self._refused: dict[Jid, None] = {}
        self._reported_at = -math.inf

    @contextmanager
    def watching(self, chat: Jid) -> Iterator[None]:
        """Learns from the send to `chat` in the block, which raises SendError if it fails."""
        try:
            yield
        except SendDelayed as error:
            if error.failure is Failure.LIMITED:
                self._note_refusal(chat, str(error))
            raise
        if chat in self._refused:
            self._refused.clear()
            self._reported_at = -math.inf
            self._report(Report(Event.UNRESTRICTED, "a message to somebody for whom one was refused has left"))

    def _note_refusal(self, chat: Jid, detail: str) -> None:
        if len(self._refused) < self._most_chats:
            self._refused[chat] = None
        if time.monotonic() - self._reported_at >= self._said_again:
            self._reported_at = time.monotonic()
            self._report(Report(Event.RESTRICTED, detail))
