"""Whether the proxy has a call that it need not have: what it does not want to hear is then dropped, quietly.

Whose word is "there is no such call"? A gateway says 404 of everything while a proxy is deployed. So it is believed
only when it was said twice, with seconds between, and the proxy answered a poll well meanwhile; and not at all of a
call that the proxy took in the last minutes. It is asked again after ABSENT_FOR.
"""

from __future__ import annotations

import math

import structlog
import trio

from wa_worker.edge.answers import NO_SUCH_CALL
from wa_worker.edge.evidence import QUEUE, Evidence
from wa_worker.errors import EdgeError

log = structlog.get_logger(__name__)

ASK_AGAIN = 2.0
"""Seconds before the call is tried once more, to make sure."""

ABSENT_FOR = 600.0
"""Seconds for which the proxy counts as having no such call, and for which one that it took speaks against that."""

UNKNOWN_EVENT = NO_SUCH_CALL | {400}
"""How a proxy of version 2 without it answers such an event: its /events knows the types that it knows."""


class OptionalCall:
    """One per call. `endpoint`: of its version 1 call. Trio thread only."""

    def __init__(self, evidence: Evidence, endpoint: str) -> None:
        self._evidence = evidence
        self._endpoint = endpoint
        self._absent_since = -math.inf
        self._doubted: float | None = None
        """When the proxy said at first that it has none, since it was last believed or refuted."""

    @property
    def absent(self) -> bool:
        """Says whether the proxy has no such call, as far as is known: nothing is told then."""
        return trio.current_time() - self._absent_since < ABSENT_FOR

    def is_absent(self, error: EdgeError, *, batches: bool) -> bool:
        """Says whether this answer settles that the proxy has no such call. If it may, `retry_after` of the error is
        set: to be tried again soon. batches: it was an event of version 2."""
        if error.status not in (UNKNOWN_EVENT if batches else NO_SUCH_CALL):
            return False
        now = trio.current_time()
        if self.absent:  # said to another meanwhile
            return True
        if self._evidence.since(self._endpoint, now - ABSENT_FOR):
            return False
        known = self._absent_since > -math.inf and not self._evidence.since(self._endpoint, self._absent_since)
        first = now if self._doubted is None else self._doubted
        if not known and (now - first < ASK_AGAIN / 2 or not self._listed_since(first)):
            self._doubted = first
            error.retry_after = ASK_AGAIN
            return False
        if not known:
            log.info("the proxy has no such call: what it is for is not told", endpoint=self._endpoint)
        self._absent_since, self._doubted = now, None
        return True

    def _listed_since(self, moment: float) -> bool:
        return self._evidence.since(QUEUE, moment) or self._evidence.listed_since(moment)
