"""Housekeeping of the journal: what is only there to recognise a repeat is forgotten after a week, and what waits for a
person loses its content after a month.

By the clock, whose word is checked: what goes cannot be had back.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

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

FILES_WANTED = 6 * 86_400.0
"""Seconds after which a file that could not be passed on is given up: before its message is forgotten."""

POLLS_KEPT = 90 * 86_400.0
"""Seconds for which votes in a poll are understood: people vote for as long as they see it, few after a week."""

CHUNK = 5000
"""Rows a transaction, so that a callback's commit never waits long."""


JUMP = 600.0
"""Seconds by which the wall clock may run ahead of the steady one in a round; adjusting it takes far fewer."""


async def _nothing() -> None:
    pass


async def run_retention(
    journal: Journal,
    dead_kept: float,
    tidy_files: Callable[[], Awaitable[None]] = _nothing,
    learn: Callable[[], None] = lambda: None,
) -> None:
    """Runs until cancelled. `dead_kept`: seconds for which a person can retry what the proxy refuses. `tidy_files`:
    deletes the files of what was given up. `learn`: takes over what is to be known for longer, before it is forgotten;
    blocking."""
    while True:
        wall, steady = time.time(), trio.current_time()
        # not at once: after a long standstill the proxy may first list what it never heard the outcome of
        await trio.sleep(INTERVAL)
        ahead = (time.time() - wall) - (trio.current_time() - steady)
        if ahead > JUMP:  # until the next round somebody may set it right
            log.warning("the clock was set ahead: nothing is forgotten this time", seconds=round(ahead))
            continue
        try:
            await trio.to_thread.run_sync(learn)
            await _tidy(journal, dead_kept)
            await tidy_files()
        except JournalError as error:
            log.error("the journal cannot be tidied", reason=str(error))


async def _tidy(journal: Journal, dead_kept: float) -> None:
    if given_up := await _all_of(journal.media.give_up, FILES_WANTED):
        log.warning("received files are given up", files=given_up, days=round(FILES_WANTED / 86_400))
    if discarded := await _all_of(journal.inbox.discard_dead, dead_kept):
        log.warning(
            "messages that the proxy refuses are discarded: nobody decided in time",
            messages=discarded,
            days=round(dead_kept / 86_400),
        )
    dated = (
        *(journal.inbox, journal.ledger, journal.holds, journal.inbox.timers),
        *(journal.accounts, journal.receipts, journal.contacts, journal.changes),
    )
    for table in dated:
        await _all_of(table.purge, REMEMBERED)
    await _all_of(journal.inbox.polls.purge, POLLS_KEPT)
    last: int | None = 0
    while last is not None:
        last = await trio.to_thread.run_sync(journal.inbox.purge_chats, last, CHUNK)


async def _all_of(purge: Callable[[float, int], int], older_than: float) -> int:
    """Purges in chunks until nothing is left to purge; returns how many rows that were."""
    rows = 0
    while found := await trio.to_thread.run_sync(purge, older_than, CHUNK):
        rows += found
    return rows
