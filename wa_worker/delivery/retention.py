"""Housekeeping of the journal: rows that only serve to recognise a repeat are forgotten after a week."""

from __future__ import annotations

import structlog
import trio

from wa_worker.errors import JournalError
from wa_worker.journal import Journal

log = structlog.get_logger(__name__)

INTERVAL = 3600.0
"""Seconds between rounds."""

REMEMBERED = 7 * 86_400.0
"""Seconds for which a settled row is kept: longer than any proxy lists a message it was told of, or WhatsApp
redelivers one (whatsmeow's own retry memory is shorter)."""

CHUNK = 5000
"""Rows a transaction, so that a callback's commit never waits long."""


async def run_retention(journal: Journal) -> None:
    """Runs until cancelled."""
    while True:
        # not at once: after a long standstill the proxy may first list what it never heard the outcome of
        await trio.sleep(INTERVAL)
        try:
            for purge in (journal.inbox.purge, journal.ledger.purge, journal.accounts.purge):
                while await trio.to_thread.run_sync(purge, REMEMBERED, CHUNK) == CHUNK:
                    await trio.lowlevel.checkpoint()
        except JournalError as error:
            log.error("the journal cannot be tidied", reason=str(error))
