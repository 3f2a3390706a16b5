"""When a refusal of a received file is believed: by WhatsApp's media host, and by the proxy's storage.

The media host is asked three times within seconds, for a file that was just uploaded may not be everywhere yet. After
that its message waits for it no more: it goes as `pending`. But one host, or whatever answers in its name, may say 404
for minutes. So the file is asked for on and on, with growing pauses, and "it is not there" counts once it has been said
for ten minutes while the host gave another file, or for an hour. That it gives other bytes than the message says needs
no witness, and that they are too many is measured here: three tries tell.
"""

from __future__ import annotations

import math

import attrs
import trio

from wa_worker.edge import media_upload
from wa_worker.edge.evidence import Evidence
from wa_worker.messages import MediaError

QUICK = 3
"""Refusals after which no message waits for its file."""

TRIES = 6
"""Refusals of the media host of which some must be spread over SPREAD."""

SPREAD = 600.0
"""Seconds for which the media host must refuse a file before that is believed."""

WITHOUT_WITNESS = 6
"""Times SPREAD for which it must refuse a file while it gives no other."""

STORAGE_REFUSED_FOR = 120.0
"""Seconds for which a storage must have refused a file, while it took others, before that is believed."""


@attrs.define
class _Refusals:
    first: float
    count: int = 0


class _Counted:
    def __init__(self) -> None:
        self._refusals: dict[int, _Refusals] = {}

    def forget(self, seq: int) -> None:
        """Drops what is known of a file."""
        self._refusals.pop(seq, None)

    def _count(self, seq: int) -> _Refusals:
        refusals = self._refusals.setdefault(seq, _Refusals(trio.current_time()))
        refusals.count += 1
        return refusals


class HostRefusals(_Counted):
    """Counts what the media host refuses. One per process; Trio thread only.

    spread: seconds, see SPREAD; all pauses are shares of it. After a restart the counting begins anew.
    """

    def __init__(self, spread: float = SPREAD) -> None:
        super().__init__()
        self._spread = spread
        self._served = -math.inf

    def served(self, seq: int) -> None:
        """Notes that the host gave a file."""
        self.forget(seq)
        self._served = trio.current_time()

    def refused(self, seq: int, error: MediaError) -> bool:
        """Counts a refusal, and says whether it is believed."""
        refusals = self._count(seq)
        if error is MediaError.TOO_LARGE:
            return refusals.count >= QUICK
        age = trio.current_time() - refusals.first
        if refusals.count < TRIES or age < self._spread:
            return False
        witnessed = error is not MediaError.EXPIRED or self._served > refusals.first
        return witnessed or age >= WITHOUT_WITNESS * self._spread

    def begins_to_last(self, seq: int) -> bool:
        """Says whether the refusal that was just counted is the one after which no message waits for this file."""
        return self._refusals[seq].count == QUICK

    def lasts(self, seq: int) -> bool:
        """Says whether it was refused so often that its message does not wait for it."""
        refusals = self._refusals.get(seq)
        return refusals is not None and refusals.count >= QUICK

    def next_try(self, seq: int) -> float:
        """Returns when to ask again (`trio.current_time()`): after 2 s, and then after twice the time that it has been
        refused for, 4 minutes at the most; and at the moment from which a refusal may count."""
        now, first = trio.current_time(), self._refusals[seq].first
        after = now + min(max(2 * (now - first), self._spread / 300), self._spread / 2.5)
        if self._refusals[seq].count < QUICK:
            after = now + self._spread / 300
        return min(after, first + self._spread) if now < first + self._spread else after


class StorageRefusals(_Counted):
    """Counts what the proxy or its storage refuses. One per process; Trio thread only."""

    def __init__(self, evidence: Evidence) -> None:
        super().__init__()
        self._evidence = evidence

    def refused(self, seq: int) -> bool:
        """Counts a refusal, and says whether it is believed: others were taken meanwhile."""
        refusals = self._count(seq)
        lasted = trio.current_time() - refusals.first >= STORAGE_REFUSED_FOR
        others = self._evidence.of_others_since(media_upload.NAME, seq, refusals.first)
        return refusals.count >= QUICK and lasted and others
