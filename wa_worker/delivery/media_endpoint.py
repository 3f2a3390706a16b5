"""Whether the proxy takes files: it says so itself, and that counts once it has listed instances well since.

It is asked before the first file is downloaded: messages to a proxy that takes none do not wait for the media host. Its
word counts for the instance that it was asked for: it may say the same of an instance that it does not know any more.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable

import attrs
import structlog
import trio

from wa_worker.delivery.waiting_keys import NotBefore
from wa_worker.edge import media_upload
from wa_worker.edge.evidence import Evidence
from wa_worker.errors import EdgeError, NoUploads
from wa_worker.models import InstanceId

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


@attrs.define
class _Word:
    """What it said of an instance. `doubted`: since when it says that it takes no files, while that is not believed;
    `absent_until`: until when it counts, once it is."""

    doubted: float | None = None
    absent_until: float = -math.inf


class UploadEndpoint:
    """One per process. Trio thread only."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._words: dict[InstanceId, _Word] = {}
        """Of instances for which it said last that it takes no files."""
        self._silent_until = -math.inf
        self._asking = trio.Lock()

    def is_absent(self, instance: InstanceId) -> bool:
        """Says whether it takes no files."""
        word = self._words.get(instance)
        return word is not None and trio.current_time() < word.absent_until

    def is_there(self, instance: InstanceId) -> None:
        """It takes files."""
        self._words.pop(instance, None)

    async def ask(self, instance: InstanceId, call: Callable[[], Awaitable[object]]) -> None:
        """Asks with a call whether it takes files, unless that is known or it gives no answer; one call at a time.

        Raises NotBefore while an answer is not believed.
        """
        async with self._asking:
            if not self._is_open(instance):
                return
            word = self._words.get(instance)
            doubted = None if word is None else word.doubted
            if doubted is not None and not self._evidence.listed_since(doubted):
                raise NotBefore(trio.current_time() + DOUBT)
            try:
                await call()
            except NoUploads:
                if not self.believes(instance):
                    raise NotBefore(trio.current_time() + DOUBT) from None
            except EdgeError:
                self._silent_until = trio.current_time() + NO_WORD
            else:
                self.is_there(instance)

    def _is_open(self, instance: InstanceId) -> bool:
        if trio.current_time() < self._silent_until or self.is_absent(instance):
            return False
        word = self._words.get(instance)
        return self._never_took_any() or (word is not None and word.absent_until > -math.inf)

    def _never_took_any(self) -> bool:
        return self._evidence.latest(media_upload.ENDPOINT) is None

    def believes(self, instance: InstanceId) -> bool:
        """Says whether it counts that the proxy has just said that it takes no files."""
        now = trio.current_time()
        word = self._words.setdefault(instance, _Word())
        said_before = word.absent_until > -math.inf
        said_of_others = self._never_took_any() and any(map(self.is_absent, self._words))
        if not said_before and not said_of_others:
            first = word.doubted = now if word.doubted is None else word.doubted
            known = not self._never_took_any()
            if (known and now - first < SURELY_GONE) or not self._evidence.listed_since(first):
                return False
        log.info("the proxy takes no files: messages go without them", instance=instance, again_seconds=ASK_AGAIN)
        word.doubted, word.absent_until = None, now + ASK_AGAIN
        return True
