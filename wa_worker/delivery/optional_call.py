"""Whether the proxy has a call that it need not have: what it does not want to hear is then dropped, quietly.

Whose word is "there is no such call"? A gateway says 404 of everything while a proxy is deployed, and a proxy may say
so of what the call is about. So what was refused is dropped only when it was refused twice, with seconds between, and
the proxy answered a poll well meanwhile; after ten minutes, if it took others in the last ones. The call is missing
when that has happened to two. It is asked again after ABSENT_FOR.
"""

from __future__ import annotations

import math
from collections.abc import Hashable

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
    """One per call. `endpoint`: of its version 1 call. absent_for, ask_again: seconds, see above. Trio thread only."""

    def __init__(
        self, evidence: Evidence, endpoint: str, *, absent_for: float = ABSENT_FOR, ask_again: float = ASK_AGAIN
    ) -> None:
        self._absent_for = absent_for
        self._ask_again = ask_again
        self._evidence = evidence
        self._endpoint = endpoint
        self._absent_since = -math.inf
        self._doubted: dict[Hashable, float] = {}
        """What was refused, by key, and when at first."""
        self._dropped: Hashable = None
        """The last one that was dropped."""

    @property
    def absent(self) -> bool:
        """Says whether the proxy has no such call, as far as is known: nothing is told then."""
        return trio.current_time() - self._absent_since < self._absent_for

    def drops(self, error: EdgeError, key: Hashable, *, batches: bool) -> bool:
        """Says whether what was answered so is not to be told again. If it soon may be, `retry_after` of the error is
        set. key: what was told; batches: it was an event of version 2."""
        if error.status not in (UNKNOWN_EVENT if batches else NO_SUCH_CALL):
            return False
        if self.absent:  # said to another meanwhile
            return True
        now = trio.current_time()
        if self._absent_since > -math.inf and not self._evidence.since(self._endpoint, self._absent_since):
            self._absent_since = now
            return True
        first = self._doubted.setdefault(key, now)
        took_others = self._evidence.since(self._endpoint, now - self._absent_for)
        if (took_others and now - first < self._absent_for) or not self._listed_since(first):
            error.retry_after = None if took_others else self._ask_again
            return False
        del self._doubted[key]
        if not took_others and self._dropped not in (None, key):
            log.info("the proxy has no such call: what it is for is not told", endpoint=self._endpoint)
            self._absent_since = now
        self._dropped = None if took_others else key
        return True

    def took(self, key: Hashable) -> None:
        """The proxy has taken it."""
        self._doubted.pop(key, None)

    def _listed_since(self, moment: float) -> bool:
        return self._evidence.since(QUEUE, moment) or self._evidence.listed_since(moment)
