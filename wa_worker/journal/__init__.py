"""Keeps what must survive a crash, in one SQLite file, or in PostgreSQL: received messages, the ledger of sends, holds.

states.py        the states of the rows, and the conditions that have an index
connection.py    transactions, read-only connections and errors, for every connection to the file
backup.py        the copy that is made before an upgrade
migrations/      the numbered SQL steps that make and upgrade the tables
database.py      what the journal wants of a database
sqlite_database.py a file on the volume
postgres_database.py or PostgreSQL, for several workers
postgres_sql.py  how its statements run there
content.py       a received message as the text of a row
media.py         the files of received messages on their way to the proxy
adding.py        adds received messages to the inbox, each once
inbox.py         received messages that `/inbound` has yet to accept (P3)
ledger.py        what was to be sent, and what became of it (P1, P2)
doubts.py        ids of sends that may or may not have left, until a receipt proves that they did (P2)
calls.py         calls that ring
restored.py      what a ledger that came from a backup does not know
receipts.py      how far messages of ours have come, as their receivers' phones say
timers.py        the timers of chats with disappearing messages
groups.py        what groups are called
changes.py       the last changes of each instance, and which of them a person has let go of
polls.py         the options of polls, for the votes in them
accounts.py      under which JID WhatsApp knows a number that was written otherwise
contacts.py      whom an account knows, and since when it is linked, for PACE
holds.py         until when an instance keeps away from WhatsApp
backlog.py       counts of what waits, for monitoring
per_instance.py  the same for each instance
elsewhere.py     what other workers run, for people and tools
items.py         what `wa-worker journal` shows and decides: values
decisions.py     what a person's decision does to a row
review.py        the journal for `wa-worker journal`, a process beside the worker

No network, no trio, no neonize. Every method of the journal is synchronous, thread-safe and one transaction: a caller
makes one thread hop for each, and a cancel never leaves one open. Commits are durable (`synchronous=FULL`), because
WhatsApp believes that we have what is in here. Every method raises JournalError when the disk does not let it commit;
then nothing of it has happened.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from uuid import UUID

import attrs

from wa_worker.journal.accounts import Accounts
from wa_worker.journal.adding import EventKind, SentByAccount
from wa_worker.journal.backlog import Backlog, read_backlog
from wa_worker.journal.calls import RingingCalls
from wa_worker.journal.changes import Change, Changes, LetGo
from wa_worker.journal.contacts import Contact, Contacts
from wa_worker.journal.database import Database
from wa_worker.journal.doubts import CutOff, Doubts, MaybeSent
from wa_worker.journal.elsewhere import Elsewhere, Together, read_together, tell_owners
from wa_worker.journal.groups import Groups
from wa_worker.journal.holds import Hold, Holds
from wa_worker.journal.inbox import FileState, Inbox, InboxResult, PendingInbound
from wa_worker.journal.ledger import Admission, Mark, SendLedger, Settled, Trace
from wa_worker.journal.media import FileStep, ReceivedFile, ReceivedMedia
from wa_worker.journal.per_instance import InstanceBacklog, read_instance_backlogs
from wa_worker.journal.polls import PollNote, Polls
from wa_worker.journal.receipts import DueStatus, Receipts
from wa_worker.journal.restored import FILE as RESTORED_FILE
from wa_worker.journal.restored import Restored
from wa_worker.journal.review import Review, open_review
from wa_worker.journal.sqlite_database import SqliteDatabase
from wa_worker.journal.states import InboxState, SendState
from wa_worker.journal.timers import TimerNote, Timers
from wa_worker.models import InstanceId
from wa_worker.postgres.url import StateUrl

__all__ = [
    "JOURNAL_RETRY",
    "Accounts",
    "Admission",
    "Backlog",
    "Change",
    "Changes",
    "Contact",
    "Contacts",
    "CutOff",
    "Doubts",
    "DueStatus",
    "Elsewhere",
    "EventKind",
    "FileState",
    "FileStep",
    "Groups",
    "Hold",
    "Holds",
    "Inbox",
    "InboxResult",
    "InboxState",
    "InstanceBacklog",
    "Journal",
    "LetGo",
    "Mark",
    "MaybeSent",
    "PendingInbound",
    "PollNote",
    "Polls",
    "Receipts",
    "ReceivedFile",
    "ReceivedMedia",
    "Restored",
    "RingingCalls",
    "SendLedger",
    "SendState",
    "SentByAccount",
    "Settled",
    "TimerNote",
    "Timers",
    "Together",
    "Trace",
    "open_journal",
    "open_state_journal",
]


JOURNAL_RETRY = 0.5
"""Seconds between tries to commit what would be lost else, while the journal cannot."""


@attrs.frozen
class Journal:
    """Holds the open journal. One per process and volume."""

    inbox: Inbox
    media: ReceivedMedia
    ledger: SendLedger
    doubts: Doubts
    holds: Holds
    accounts: Accounts
    receipts: Receipts
    contacts: Contacts
    restored: Restored
    changes: Changes
    let_go: LetGo
    database: Database
    review: Callable[..., AbstractContextManager[Review]]
    """Opens it for a person: review(write=True) to decide. On a connection of its own."""
    _together: Callable[[], Together] | None = None
    _tell_owners: Callable[[], None] | None = None

    def together(self) -> Together | None:
        """Reads what other workers have; None: there are none. Blocking. Raises JournalError."""
        return None if self._together is None else self._together()

    def tell_owners(self) -> None:
        """Has other workers look for rows of their instances that were written here. Blocking. Raises JournalError."""
        if self._tell_owners is not None:
            self._tell_owners()

    def backlog(self) -> Backlog:
        """Counts what waits, on a connection of its own. Blocking. Raises JournalError."""
        return read_backlog(self.database)

    def backlogs(self) -> Mapping[InstanceId, InstanceBacklog]:
        """Counts what waits for each instance for which something does. Blocking. Raises JournalError."""
        return read_instance_backlogs(self.database)

    def trouble(self) -> str | None:
        """Says why the journal cannot commit, None if it can. Blocking."""
        return self.database.trouble()


@contextmanager
def open_journal(path: Path) -> Iterator[Journal]:
    """Opens the journal at `path` and closes it at the end.

    Makes the file if there is none, readable by this user only, and upgrades an older one. Raises JournalError when it
    cannot be opened or upgraded, is no journal, or is newer.
    """
    database = SqliteDatabase(path)
    try:
        yield _journal(database, path.with_name(RESTORED_FILE), partial(open_review, path))
    finally:
        database.close()


@contextmanager
def open_state_journal(url: StateUrl, worker: UUID | None) -> Iterator[Journal]:
    """Opens the journal that several workers share, and closes it at the end.

    `worker`: whose transactions these are, and whose instances' rows are looked for; None: a tool's, that sees all.
    Makes the tables if there are none, and upgrades older ones. Raises JournalError when it cannot be opened, or is
    newer.
    """
    from wa_worker.journal.postgres_database import PostgresDatabase, open_state_review  # psycopg is an extra

    database = PostgresDatabase(url, worker)
    try:
        together = None if worker is None else partial(read_together, database, worker, socket.gethostname())
        tell = None if worker is None else partial(tell_owners, database)
        journal = _journal(database, None, partial(open_state_review, url))
        yield attrs.evolve(journal, together=together, tell_owners=tell)
    finally:
        database.close()


def _journal(
    database: Database, restored: Path | None, review: Callable[..., AbstractContextManager[Review]]
) -> Journal:
    return Journal(
        Inbox(database),
        ReceivedMedia(database),
        SendLedger(database),
        Doubts(database),
        Holds(database),
        Accounts(database),
        Receipts(database),
        Contacts(database),
        Restored(database, restored),
        Changes(database),
        LetGo(database),
        database,
        review,
    )
