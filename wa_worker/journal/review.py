"""Shows the journal to a person, and carries out what they decide about it.

Owns the reading and the transactions; what a decision does to a row is in decisions.py.

It is for `wa-worker journal`, a process of its own beside the worker: it does not take the volume's lock, makes and
upgrades no journal, and commits in small pieces, so that the worker's own commits never wait long. The worker does not
notice this process: it finds what was decided when it next looks (keyed_queue.RESCAN).

Everything here raises JournalError when the file is not there, is no journal or of another format, or stays locked.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from wa_worker.errors import JournalError
from wa_worker.journal.connection import connect, connect_read_only, errors, snapshot, transaction, wal_of
from wa_worker.journal.content import message_of
from wa_worker.journal.database import Sql
from wa_worker.journal.decisions import DISCARD, RETRY, Decision, carry_out
from wa_worker.journal.items import OVER, InboundItem, Item, ItemId, OutboundItem, Outcome, Stats
from wa_worker.journal.migrations import FORMAT, format_of, refuse_newer
from wa_worker.journal.states import (
    ATTENTION,
    DEAD,
    PENDING,
    STATES,
    UNREPORTED,
    InboxState,
    SendState,
    State,
    state_of,
)

CHUNK = 1000
"""How many decisions are one transaction."""

GAP = 0.02
"""Seconds between two transactions: SQLite does not queue writers, so the worker needs a gap to begin its own."""


ALL = 2**62
"""As a limit: all rows."""


class Beside(Protocol):
    """Reads and writes the journal beside the worker, on connections of its own. Raises JournalError."""

    def reading(self) -> AbstractContextManager[Sql]: ...

    def snapshot(self) -> AbstractContextManager[Sql]: ...

    def transaction(self) -> AbstractContextManager[Sql]: ...

    def size(self) -> int:
        """Returns the bytes that it takes."""


class Review:
    """Reads and changes the journal for one thread. `open_review()` makes one."""

    def __init__(self, journal: Beside) -> None:
        self._journal = journal

    def items(self, states: Collection[State], instance: str | None, limit: int) -> list[Item]:
        """Returns the oldest `limit` messages in these states (of LISTED), in the order of STATES, then by age."""
        found: list[Item] = []
        with self._journal.snapshot() as sql:
            for state in STATES:
                if state in states and len(found) < limit:
                    values = {"instance": instance, "limit": limit - len(found)}
                    found += _select(sql, state.box, f"IN ({_seqs(state)})", values)
        return found

    def item(self, id: ItemId) -> Item | None:  # noqa: A002
        """Finds a message by its id, in whatever state."""
        with self._journal.reading() as sql:
            found = _select(sql, id.box, "= :seq", {"seq": id.seq})
        return found[0] if found else None

    def ids(self, states: Collection[State], instance: str | None) -> dict[ItemId, State]:
        """Returns all messages in these states, all of LISTED, for a decision about them."""
        with self._journal.reading() as sql:
            return {
                ItemId(state.box, seq): state
                for state in STATES
                if state in states
                for (seq,) in sql.execute(_seqs(state), {"instance": instance, "limit": ALL})
            }

    def stats(self) -> Stats:
        """Counts all messages, by instance and state.

        What is over is counted by subtraction, from indexes alone: with a week of history that is ten times faster.
        """
        with self._journal.snapshot() as sql:
            return self._stats(sql)

    def retry(self, ids: Sequence[ItemId]) -> Iterator[Outcome]:
        """Makes dead ones pending, and failed and uncertain ones waiting: they are sent when the proxy lists them.

        What is yielded is committed, a chunk at a time.
        """
        return self._decide(RETRY, ids)

    def discard(self, ids: Sequence[ItemId]) -> Iterator[Outcome]:
        """Takes the content from received ones, and settles uncertain ones as failed, which is reported to the proxy.

        What is yielded is committed, a chunk at a time.
        """
        return self._decide(DISCARD, ids)

    def _stats(self, sql: Sql) -> Stats:
        counts: dict[str, Counter[State]] = {}
        for over in OVER:
            for instance, count in sql.execute(_TOTALS[over.box]):
                counts.setdefault(instance, Counter())[over] = count
            for instance, state, count in sql.execute(_COUNTS[over.box]):
                counts[instance][state_of(state)] = count
                counts[instance][over] -= count
        (oldest_pending,) = sql.execute(_OLDEST_PENDING).fetchone()
        (oldest_unreported,) = sql.execute(_OLDEST_UNREPORTED).fetchone()
        return Stats(counts, oldest_pending, oldest_unreported, self._journal.size())

    def _decide(self, decision: Decision, ids: Sequence[ItemId]) -> Iterator[Outcome]:
        for start in range(0, len(ids), CHUNK):
            if start:
                time.sleep(GAP)
            with self._journal.transaction() as sql:
                outcomes = [carry_out(decision, id, sql) for id in ids[start : start + CHUNK]]  # noqa: A001
            yield from outcomes


@contextmanager
def open_review(path: Path, *, write: bool = False) -> Iterator[Review]:
    """Opens the journal in a file, read-only unless `write`."""
    if not path.is_file():
        raise JournalError(
            f"there is no journal at {path}: no worker has run with this AUTH_DIR (or it is on another volume)"
        )
    _check_format(path)
    with errors(path):
        connection = connect(path, "mode=rw") if write else connect_read_only(path)
    with closing(connection):
        with errors(path):
            connection.execute("PRAGMA synchronous=FULL")
        yield Review(_File(path, connection))


class _File:
    """Is a journal in a file, on a connection of its own."""

    def __init__(self, path: Path, sql: sqlite3.Connection) -> None:
        self._path = path
        self._sql = sql

    @contextmanager
    def reading(self) -> Iterator[Sql]:
        with errors(self._path):
            yield self._sql

    @contextmanager
    def snapshot(self) -> Iterator[Sql]:
        with errors(self._path), snapshot(self._sql):
            yield self._sql

    @contextmanager
    def transaction(self) -> Iterator[Sql]:
        with errors(self._path), transaction(self._sql):
            yield self._sql

    def size(self) -> int:
        return sum(file.stat().st_size for file in (self._path, wal_of(self._path)) if file.exists())


def _check_format(path: Path) -> None:
    found = format_of(path)
    refuse_newer(path, found)
    if found == 0:
        raise JournalError(f"{path} has no tables (format 0): start the worker once, it makes them")
    if found < FORMAT:
        raise JournalError(
            f"{path} was written by an older wa-worker (format {found}, this one works with {FORMAT}): start the "
            "worker once, it upgrades the file"
        )


def _select(sql: Sql, box: str, seqs: str, values: Mapping[str, object]) -> list[Item]:
    query = f"{_INBOUND if box == 'in' else _OUTBOUND} {seqs} ORDER BY seq"
    make: Callable[..., Item] = _inbound if box == "in" else _outbound
    return [make(*row) for row in sql.execute(query, values)]


def _inbound(seq: int, state: str, instance: str, chat: str, wa_id: str, message: str | None, *rest: Any) -> Item:
    content = None
    with suppress(Exception):  # a spoiled row, set aside by the worker: what is left of it is shown
        content = None if message is None else message_of(message)
    return InboundItem(ItemId("in", seq), state_of(state), instance, chat, wa_id, content, *rest)


def _outbound(seq: int, state: str, key: str, *rest: Any) -> Item:
    return OutboundItem(ItemId("out", seq), state_of(state), json.loads(key), *rest)


def _seqs(state: State) -> str:
    return _SEQS[state] + _OLDEST_OF[state.box]


_INBOUND = """
SELECT seq, state, instance, jid, wa_id, message, rejections, error, received_at, settled_at
FROM inbox JOIN chats ON chats.id = inbox.chat WHERE seq"""

_OUTBOUND = """
SELECT seq, state, message_id, instance, chat, wa_id, attempts, doubts, not_before, error, reported,
created_at, changed_at FROM ledger WHERE seq"""

_SEQS = {
    InboxState.DEAD: f"SELECT seq FROM inbox INDEXED BY inbox_dead WHERE {DEAD}",
    InboxState.PENDING: f"SELECT seq FROM inbox INDEXED BY inbox_pending WHERE {PENDING}",
    SendState.SENT: "SELECT seq FROM ledger INDEXED BY ledger_unreported"
    f" WHERE {UNREPORTED} AND state = '{SendState.SENT}'",
} | {
    state: f"SELECT seq FROM ledger INDEXED BY ledger_attention WHERE {ATTENTION} AND state = '{state}'"
    for state in (SendState.UNCERTAIN, SendState.FAILED, SendState.WAITING, SendState.INTENT)
}

_OLDEST_OF = {
    "in": " AND (CAST(:instance AS TEXT) IS NULL OR chat IN (SELECT id FROM chats WHERE instance = :instance))"
    " ORDER BY seq LIMIT :limit",
    "out": " AND (CAST(:instance AS TEXT) IS NULL OR instance = :instance) ORDER BY seq LIMIT :limit",
}

_TOTALS = {
    "in": "SELECT instance, CAST(sum(n) AS INTEGER) FROM ("
    "SELECT chat, count(*) AS n FROM inbox GROUP BY chat) AS counted JOIN chats ON chats.id = chat GROUP BY instance",
    "out": "SELECT instance, count(*) FROM ledger GROUP BY instance",
}

_COUNTS = {
    "in": "SELECT instance, state, CAST(sum(n) AS INTEGER) FROM ("
    f" SELECT chat, '{InboxState.PENDING}' AS state, count(*) AS n FROM inbox INDEXED BY inbox_pending"
    f" WHERE {PENDING} GROUP BY chat"
    " UNION ALL"
    f" SELECT chat, '{InboxState.DEAD}', count(*) FROM inbox INDEXED BY inbox_dead WHERE {DEAD} GROUP BY chat"
    ") AS counted JOIN chats ON chats.id = chat GROUP BY instance, state",
    "out": "SELECT instance, state, count(*) FROM ledger INDEXED BY ledger_attention"
    f" WHERE {ATTENTION} GROUP BY instance, state"
    f" UNION ALL SELECT instance, '{SendState.SENT}', count(*) FROM ledger INDEXED BY ledger_unreported"
    f" WHERE {UNREPORTED} AND state = '{SendState.SENT}' GROUP BY instance",
}

_OLDEST_PENDING = f"""
SELECT (SELECT received_at FROM inbox WHERE seq = (
  SELECT min(seq) FROM inbox INDEXED BY inbox_pending WHERE {PENDING}))"""

_OLDEST_UNREPORTED = f"""
SELECT min(changed_at) FROM ledger INDEXED BY ledger_unreported WHERE {UNREPORTED}"""
