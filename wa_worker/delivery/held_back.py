"""What PACE holds back of one instance, for who looks at it, and what of that the proxy is told.

All of it is in memory: what is held back is listed again by the proxy, and then it is known anew.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping

import attrs

from wa_worker.delivery.pace import ABSENT, MOST_REMEMBERED
from wa_worker.messages.pacing import HeldMessage, HeldReason
from wa_worker.models import MessageId

TOLD_FROM = 60.0
"""Seconds: of shorter holds the proxy is not told. They are over before anybody has read of them."""

TOLD_AGAIN = 30.0
"""Seconds before it is tried again to tell the proxy of one."""


@attrs.define
class _Entry:
    message: HeldMessage
    told_until: float = 0.0
    """Until when the proxy leaves it out, as far as it was told; or is left alone with it."""


@attrs.frozen
class HeldView:
    """Says how many messages are held back, why, and until when the first of them is (unix seconds)."""

    messages: int = 0
    until: float | None = None
    reasons: Mapping[HeldReason, int] = attrs.Factory(dict)


class HeldBack:
    """One per instance. Any thread may call. Times in unix seconds."""

    def __init__(self) -> None:
        self._entries: dict[MessageId, _Entry] = {}
        self._lock = threading.Lock()

    def note(self, message: HeldMessage) -> bool:
        """Notes that a message is held back. Says whether that is news: it was not, or for another reason."""
        with self._lock:
            known = self._entries.pop(message.message_id, None)
            entry = _Entry(message) if known is None else attrs.evolve(known, message=message)
            self._entries[message.message_id] = entry
            if len(self._entries) > MOST_REMEMBERED:
                del self._entries[next(iter(self._entries))]
            return known is None or known.message.reason is not message.reason

    def drop(self, message: MessageId) -> None:
        """A message is not held back any more."""
        with self._lock:
            self._entries.pop(message, None)

    def to_tell(self, now: float) -> list[HeldMessage]:
        """Returns what the proxy is to hear now, and counts it as told for a moment."""
        with self._lock:
            found = [
                entry
                for entry in self._entries.values()
                if entry.message.until - now >= TOLD_FROM and entry.told_until <= now
            ]
            for entry in found:
                entry.told_until = now + TOLD_AGAIN
            return [entry.message for entry in found]

    def told(self, message: HeldMessage) -> None:
        """The proxy knows of it."""
        with self._lock:
            if (entry := self._entries.get(message.message_id)) is not None:
                entry.told_until = message.until

    def view(self, now: float) -> HeldView:
        """Returns what is held back now. What was not looked at again in its time is not listed any more."""
        with self._lock:
            for id, entry in list(self._entries.items()):  # noqa: A001 - that is what it is
                if entry.message.until + ABSENT < now:
                    del self._entries[id]
            held = [entry.message for entry in self._entries.values()]
        if not held:
            return HeldView()
        return HeldView(len(held), min(each.until for each in held), Counter(each.reason for each in held))


def held_by_reason(paced: Iterable[HeldBack], now: float) -> Mapping[HeldReason, int]:
    """Counts what is held back of several instances, by why. Milliseconds for ten thousand: for a thread."""
    total: Counter[HeldReason] = Counter()
    for held in paced:
        total.update(held.view(now).reasons)
    return total
