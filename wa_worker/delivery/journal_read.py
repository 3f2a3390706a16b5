"""Reads from the journal what nothing can go on without: again and again while it cannot be read."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import structlog
import trio

from wa_worker.errors import JournalError, LeaseLost
from wa_worker.journal import JOURNAL_RETRY

log = structlog.get_logger(__name__)

T = TypeVar("T")


async def when_it_can_be_read(read: Callable[[], T], **said: str) -> T:
    """Returns what `read`, which blocks, reads, however often it takes. said: what the log says besides. Raises
    LeaseLost."""
    while True:
        try:
            return await trio.to_thread.run_sync(read)
        except LeaseLost:
            raise
        except JournalError as error:
            log.error("the journal cannot be read", reason=str(error), **said)
            await trio.sleep(JOURNAL_RETRY)
