"""Whether a refusal of a received message may be acted on: whose word is it, and how often has it been said.

What refuses everything speaks of the proxy, or of something in front of it. So a message is set aside only after
REJECTIONS refusals that are minutes apart, each with others accepted at `/inbound` since the one before. That it is
there already (409) is believed sooner, since it is often true: when others were accepted since it was said at first, or
when an earlier try of ours may have got through and the proxy has listed instances well since.
"""

from __future__ import annotations

import attrs
import trio

from wa_worker.edge.answers import ALREADY_THERE
from wa_worker.edge.events import INBOUND, inbound_key
from wa_worker.edge.evidence import Evidence
from wa_worker.errors import EdgeError, EdgeRejected
from wa_worker.journal import PendingInbound

REJECTIONS = 3
"""Refusals that count before a message is set aside."""

REFUSAL_PAUSE = 60.0
"""Seconds between these refusals, at the least about half of that."""


@attrs.frozen
class _Refusal:
    """What a message was answered. `first`, `last`: when a refusal counted; `count`: how many have."""

    first: float
    last: float
    count: int = 1


class Refusals:
    """The refusals of the messages that wait. In memory only: after a restart the counting starts anew.

    oldest_new: rows below it were there when the process started, or when it got another worker's instance: somebody
    else may have posted them.
    """

    def __init__(self, evidence: Evidence, oldest_new: int, pause: float = REFUSAL_PAUSE) -> None:
        self.pause = pause
        self._evidence = evidence
        self.oldest_new = oldest_new
        self._refusals: dict[int, _Refusal] = {}
        self._unanswered: set[int] = set()
        """Rows of which a try may have got through without our hearing of it."""

    def settled(self, row: PendingInbound) -> None:
        """Forgets a message that waits no more."""
        self._refusals.pop(row.seq, None)
        self._unanswered.discard(row.seq)

    def unanswered(self, row: PendingInbound, error: EdgeError) -> None:
        """Notes a try that failed without a word about the message."""
        if error.status is None or error.status >= 500 or error.status < 300:
            self._unanswered.add(row.seq)

    def lacks_witness(self, row: PendingInbound) -> bool:
        """Says whether a message has been refused for long while nobody else wrote: the next of its chat may tell."""
        known = self._refusals.get(row.seq)
        if known is None or trio.current_time() - known.first < REJECTIONS * self.pause:
            return False
        return not self._others_accepted_since(row, known.last)

    def is_final(self, row: PendingInbound, error: EdgeRejected) -> bool:
        """Counts a refusal, and says whether the message is settled by it: as there already, or as dead."""
        now = trio.current_time()
        known = self._refusals.get(row.seq)
        if known is None:
            self._refusals[row.seq] = _Refusal(now, now)
            return False
        if error.status == ALREADY_THERE:
            return self._is_there(row, known)
        if now - known.last < self.pause / 2 or not self._others_accepted_since(row, known.last):
            return False
        self._refusals[row.seq] = attrs.evolve(known, last=now, count=known.count + 1)
        return known.count + 1 >= REJECTIONS

    def _is_there(self, row: PendingInbound, known: _Refusal) -> bool:
        if self._others_accepted_since(row, known.first):
            return True
        old_enough = trio.current_time() - known.first >= REJECTIONS * self.pause
        plausible = row.seq in self._unanswered or row.seq < self.oldest_new
        return (plausible or old_enough) and self._evidence.listed_since(known.first)

    def _others_accepted_since(self, row: PendingInbound, moment: float) -> bool:
        return self._evidence.of_others_since(INBOUND, inbound_key(row.instance, row.message), moment)
