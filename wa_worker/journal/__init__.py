"""The durable half of the worker: inbox, outbox ledger and holds in one SQLite file.

Owns what must survive a crash, and nothing else: no network, no trio, no neonize. Every method is synchronous,
thread-safe and one transaction, so a caller makes one thread hop per transaction and a cancel can never leave one
open. Commits are durable (`synchronous=FULL`): WhatsApp believes that we have what is in here.

Every method raises JournalError when the disk does not let it commit; then nothing of it has happened.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

from wa_worker.journal.backlog import Backlog, read_backlog
from wa_worker.journal.database import Database
from wa_worker.journal.holds import Hold, Holds
from wa_worker.journal.inbox import EventKind, Inbox, InboxResult, PendingInbound
from wa_worker.journal.ledger import Admission, Mark, SendLedger, Settled
from wa_worker.journal.states import InboxState, SendState

__all__ = [
    "Admission",
    "Backlog",
    "EventKind",
    "Hold",
    "Inbox",
    "InboxResult",
    "InboxState",
    "Journal",
    "Mark",
    "PendingInbound",
    "SendLedger",
    "SendState",
    "Settled",
    "open_journal",
]


@attrs.frozen
class Journal:
    """The open journal. One per process and volume."""

    inbox: Inbox
    ledger: SendLedger
    holds: Holds
    database: Database

    def backlog(self) -> Backlog:
        """Counts what waits, on a connection of its own. Blocking. Raises JournalError."""
        return read_backlog(self.database.path)

    def trouble(self) -> str | None:
        """Says why the journal cannot commit, None if it can. Blocking."""
        return self.database.trouble()


@contextmanager
def open_journal(path: Path) -> Iterator[Journal]:
    """Opens (and makes, private to this user) the journal at `path`; closes it at the end.

    Raises JournalError when the file cannot be opened or is no journal.
    """
    database = Database(path)
    try:
        yield Journal(Inbox(database), SendLedger(database), Holds(database), database)
    finally:
        database.close()
