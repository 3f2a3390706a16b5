"""Counts what waits in the journal, and says since when: for monitoring.

It reads on a connection of its own, which is open only while it reads: a writer never waits for it. Indexes answer, so
a week of settled rows costs nothing.
"""

from __future__ import annotations

import time

import attrs

from wa_worker.journal.database import Database, Sql
from wa_worker.journal.states import ATTENTION, DEAD, PENDING, UNREPORTED, SendState


@attrs.frozen
class Queue:
    """Says how many rows wait for the same thing. `age`: seconds since the oldest of them came, 0 if there is none."""

    size: int
    age: float


@attrs.frozen
class Backlog:
    """Says what waits at one moment. The names of the queues are those of the metrics."""

    to_deliver: Queue
    """Received messages that `/inbound` has not accepted yet."""
    to_send: Queue
    """Messages that the ledger knows and that are not sent yet. The proxy may list some of them no more."""
    to_tell: Queue
    """Messages that are sent or failed, which the proxy does not know yet."""
    dead: int
    """Received messages that the proxy refuses. A person decides."""
    uncertain: int
    """Sends that may have left, and are held. A person decides."""


QUERIES = {
    "to_deliver": "SELECT count(*), min(seq) FROM inbox INDEXED BY inbox_pending"
    f" WHERE {PENDING} /* owned chats: chat */",
    "dead": f"SELECT count(*) FROM inbox INDEXED BY inbox_dead WHERE {DEAD} /* owned chats: chat */",
    "ledger": "SELECT state, count(*), min(seq) FROM ledger INDEXED BY ledger_attention"
    f" WHERE {ATTENTION} /* owned: instance */ GROUP BY state",
    "to_tell": "SELECT count(*), min(seq) FROM ledger INDEXED BY ledger_unreported"
    f" WHERE {UNREPORTED} /* owned: instance */",
}


def read_backlog(database: Database) -> Backlog:
    """Counts what waits in the journal. Blocking. Raises JournalError."""
    with database.snapshot() as sql:
        ledger = {state: (size, seq) for state, size, seq in sql.execute(QUERIES["ledger"])}
        sending = [ledger[state] for state in (SendState.WAITING, SendState.INTENT) if state in ledger]
        return Backlog(
            to_deliver=_inbox(sql, *sql.execute(QUERIES["to_deliver"]).fetchone()),
            to_send=_ledger(sql, sum(size for size, _ in sending), min((seq for _, seq in sending), default=None)),
            to_tell=_ledger(sql, *sql.execute(QUERIES["to_tell"]).fetchone()),
            dead=sql.execute(QUERIES["dead"]).fetchone()[0],
            uncertain=ledger.get(SendState.UNCERTAIN, (0, None))[0],
        )


def _inbox(sql: Sql, size: int, seq: int | None) -> Queue:
    return Queue(size, _age(sql, "SELECT received_at FROM inbox WHERE seq = ?", seq))


def _ledger(sql: Sql, size: int, seq: int | None) -> Queue:
    return Queue(size, _age(sql, "SELECT created_at FROM ledger WHERE seq = ?", seq))


def _age(sql: Sql, query: str, seq: int | None) -> float:
    return 0.0 if seq is None else max(time.time() - sql.execute(query, (seq,)).fetchone()[0], 0.0)
