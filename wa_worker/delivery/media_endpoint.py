"""Whether the proxy takes files: it says so itself, and that counts once it has listed instances well since.

It is asked before the first file is downloaded: messages to a proxy that takes none do not wait for the media host.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable

import structlog
import trio

from wa_worker.delivery.waiting_keys import NotBefore
from wa_worker.edge import media_upload
from wa_worker.edge.evidence import Evidence
from wa_worker.errors import EdgeError, NoUploads

log = structlog.get_logger(__name__)

ASK_AGAIN = 600.0
"""Seconds after which a proxy that takes no files is asked again."""

SURELY_GONE = 30.0
"""Seconds for which a proxy that took files before must say that it takes none: a function that is being replaced says
so for a moment."""

DOUBT = 2.0
"""Seconds before it is asked once more, to make sure."""

NO_WORD = 30.0
"""Seconds for which a proxy is not asked in advance that gave no answer to it: files are downloaded meanwhile."""


class UploadEndpoint:
    """One per process. Trio thread only."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._doubted: float | None = None
        self._absent_until = -math.inf
        self._silent_until = -math.inf
        self._was_absent = False
        """That it takes no files was the last that is known of it."""
        self._asking = trio.Lock()

    @property
    def absent(self) -> bool:
        """Says whether it takes no files."""
        return trio.current_time() < self._absent_until

    def is_there(self) -> None:
        """It takes files."""
        self._doubted, self._was_absent = None, False

    async def ask(self, call: Callable[[], Awaitable[object]]) -> None:
        """Asks with a call whether it takes files, unless that is known or it gives no answer; one call at a time.

        Raises NotBefore while an answer is not believed.
        """
        async with self._asking:
            if not self._is_open():
                return
            if self._doubted is not None and not self._evidence.listed_since(self._doubted):
                raise NotBefore(trio.current_time() + DOUBT)
            try:
                await call()
            except NoUploads:
                if not self.believes():
                    raise NotBefore(trio.current_time() + DOUBT) from None
            except EdgeError:
                self._silent_until = trio.current_time() + NO_WORD
            else:
                self.is_there()

    def _is_open(self) -> bool:
        now = trio.current_time()
        if now < max(self._absent_until, self._silent_until):
            return False
        return self._was_absent or self._evidence.latest(media_upload.ENDPOINT) is None

    def believes(self) -> bool:
        """Says whether it counts that the proxy has just said that it takes no files."""
        now = trio.current_time()
        first = self._doubted = now if self._doubted is None else self._doubted
        if not self._was_absent:
            known = self._evidence.latest(media_upload.ENDPOINT) is not None
            if (known and now - first < SURELY_GONE) or not self._evidence.listed_since(first):
                return False
        log.info("the proxy takes no files: messages go without them", again_seconds=round(ASK_AGAIN))
        self._doubted, self._absent_until, self._was_absent = None, now + ASK_AGAIN, True
        return True
