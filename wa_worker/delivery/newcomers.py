"""Keys of a queue that come during an outage of the proxy."""

from __future__ import annotations

import attrs

from wa_worker.backoff import PROXY_OUTAGE


@attrs.define
class Newcomers:
    """Keys that have not failed yet, during an outage: one at a time may try, less often with each that fails."""

    until: float = 0.0
    _failures: int = 0

    def waits(self, now: float) -> bool:
        """Says whether none may try now."""
        return now < self.until

    def failed(self, now: float) -> None:
        """One of them failed."""
        self._failures += 1
        self.until = now + min(PROXY_OUTAGE.shortest * 2 ** min(self._failures, 6), PROXY_OUTAGE.longest)

    def reset(self) -> None:
        """Something succeeded."""
        self.until, self._failures = 0.0, 0
