"""Which version of the contract the proxy speaks, as far as its answers have shown (docs/contract.md).

Version 1 until `/poll` is answered as version 2 says. A proxy may go back at any time: the answer to the next call
tells. Trio thread only.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import structlog
import trio

from wa_worker.backoff import Backoff, jittered

log = structlog.get_logger(__name__)

ASK_AGAIN = 600.0
"""Seconds after which a proxy that has no `/poll` is asked again."""

SECOND_LOOK = 30.0
"""Seconds after which one is asked again that spoke version 2 a moment ago: it may have been one odd answer."""

NO_WORD = Backoff(first=2.0, ceiling=ASK_AGAIN)
"""Between tries while `/poll` gets answers that say nothing of the version, and lists of version 1 are answered."""

NO_EVENTS = Backoff(first=30.0, ceiling=ASK_AGAIN)
"""Until `/events` is tried again at a proxy that answers `/poll` and had no `/events`."""

MALFORMED = 3
"""Answers to `/events` in a row that are no results before the version 1 calls are used instead."""


class ContractVersion:
    """One per process. ask_again: seconds, see ASK_AGAIN."""

    def __init__(self, ask_again: float = ASK_AGAIN) -> None:
        self._ask_again = ask_again
        self._two = False
        self._try_at = -math.inf
        self._no_word = NO_WORD.delays()
        self._no_events_until = -math.inf
        self._no_events = NO_EVENTS.delays()
        self._malformed = 0
        self.known = False
        """Whether any answer has shown a version yet."""
        self._doubted_until = -math.inf
        self.on_change: list[Callable[[], None]] = []
        """Called when what `two` says has changed."""

    @property
    def two(self) -> bool:
        """Says whether the proxy has answered `/poll`, and has not gone back since."""
        return self._two

    @property
    def sure(self) -> bool:
        """Says whether what is shown may be acted on for good. It is not for a while after an answer, or none, that
        leaves version 2: the next look tells."""
        return self.known and trio.current_time() >= self._doubted_until

    @property
    def events(self) -> bool:
        """Says whether events go to `/events`."""
        return self._two and trio.current_time() >= self._no_events_until

    @property
    def try_two(self) -> bool:
        """Says whether the next poll is to be `/poll`."""
        return self._two or trio.current_time() >= self._try_at

    def is_two(self) -> None:
        """`/poll` was answered as version 2 says."""
        self._no_word = NO_WORD.delays()
        self.known = True
        self._doubted_until = -math.inf
        if not self._two:
            log.info("the proxy speaks version 2 of the contract")
            self._no_events_until = -math.inf
            self._set(two=True)

    def is_one(self) -> None:
        """`/poll` was answered as by a proxy that has none."""
        self.known = True
        pause = min(SECOND_LOOK, self._ask_again) if self._two else self._ask_again
        self._doubted_until = trio.current_time() + 2 * pause if self._two else -math.inf
        self._try_at = trio.current_time() + jittered(pause, 0.1)
        if self._two:
            log.warning("the proxy has gone back to version 1 of the contract")
            self._set(two=False)

    def says_nothing(self) -> None:
        """`/poll` failed, while lists of version 1 are answered well: those are used, and `/poll` is tried later."""
        if self._two or not self.known:
            self._doubted_until = trio.current_time() + min(SECOND_LOOK, self._ask_again)
        self.known = True
        self._try_at = trio.current_time() + next(self._no_word)
        if self._two:
            log.warning("the proxy answers calls of version 1 only: they are used meanwhile")
            self._set(two=False)

    def proxy_is_back(self) -> None:
        """The proxy answers after an outage: what the outage said of the version does not count."""
        self._try_at = -math.inf
        self._no_events_until = -math.inf
        self._no_word = NO_WORD.delays()

    def no_events(self) -> None:
        """`/events` was answered as by a proxy that has none. Several calls are under way: the first answer counts."""
        if trio.current_time() < self._no_events_until:
            return
        self._malformed = 0
        pause = next(self._no_events)
        self._no_events_until = trio.current_time() + pause
        log.warning("the proxy has no /events: the calls of version 1 are used", again_seconds=round(pause))

    def events_answered(self, *, well_formed: bool) -> None:
        """`/events` was answered with success. `well_formed`: with a result for each event."""
        if well_formed:
            self._malformed, self._no_events = 0, NO_EVENTS.delays()
            return
        self._malformed += 1
        if self._malformed >= MALFORMED:
            self.no_events()

    def _set(self, *, two: bool) -> None:
        self._two = two
        for changed in self.on_change:
            changed()
