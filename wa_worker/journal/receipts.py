"""Keeps how far messages of ours have come, until the proxy has heard of it: what their receivers' phones have said.

A receipt counts only for a message of the ledger. One may come before the outcome of the send is committed: while a
send is under way, or is uncertain, a receipt that names no known message is kept, and is of no consequence if it turns
out to be of another. The proxy hears of none before it knows the message (`due`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable

import attrs

from wa_worker.journal.database import Database
from wa_worker.journal.states import ATTENTION, SKIP_LOCKED, SendState
from wa_worker.messages.receipts import MessageStatus, Progress, Receipt
from wa_worker.models import InstanceId


@attrs.frozen
class DueStatus:
    """A status that the proxy has yet to hear of. `seq`: its row."""

    seq: int
    status: MessageStatus


class Receipts:
    """The table of receipts. Any thread may call; every method raises JournalError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, receipts: Iterable[tuple[InstanceId, Receipt]]) -> bool:
        """Commits what receipts say, all in one transaction, by the furthest that each receiver has said. Says whether
        the proxy is to hear of it.

        A commit that a kill -9 does not undo, and the loss of the machine's power may: nothing waits for the disk.
        """
        now, due = time.time(), False
        with self._database.transaction(durable=False) as sql:
            for instance, receipt in receipts:
                for wa_id in receipt.wa_ids:
                    values = {
                        "instance": instance,
                        "wa_id": wa_id,
                        "recipient": receipt.recipient or "",
                        "rank": receipt.progress.value,
                        "timestamp": receipt.timestamp,
                        "now": now,
                    }
                    due |= any(row[0] for row in sql.execute(_RECORD, values).fetchall())
        return due

    def due(self, after: int, limit: int) -> list[DueStatus]:
        """Returns what the proxy has yet to hear of, with `seq` above `after`, ascending."""
        with self._database.reading() as sql:
            rows = sql.execute(_FIND_DUE, (after, limit)).fetchall()
        return [
            DueStatus(
                seq,
                MessageStatus(instance, json.loads(key), wa_id, chat, recipient or chat, Progress(rank), timestamp),
            )
            for seq, instance, key, wa_id, chat, recipient, rank, timestamp in rows
        ]

    def told(self, statuses: Iterable[DueStatus]) -> None:
        """Records that the proxy knows these. What has come meanwhile is still due."""
        with self._database.transaction() as sql:
            sql.executemany(_TOLD, [(one.status.progress.value, one.seq) for one in statuses])

    def purge(self, older_than: float, limit: int = 5000) -> int:
        """Forgets up to `limit` rows that have not changed for `older_than` seconds. Returns how many."""
        with self._database.transaction() as sql:
            return sql.execute(_PURGE, (time.time() - older_than, limit)).rowcount


_RECORD = f"""
INSERT INTO receipts (instance, wa_id, recipient, rank, due, timestamp, changed_at)
SELECT :instance, :wa_id, :recipient, :rank,
  coalesce((SELECT max(CASE WHEN state = '{SendState.MARKED}' THEN 1 ELSE 0 END)
    FROM ledger WHERE instance = :instance AND wa_id = :wa_id), 0),
  :timestamp, :now
WHERE EXISTS (SELECT 1 FROM ledger WHERE instance = :instance AND wa_id = :wa_id)
  OR EXISTS (SELECT 1 FROM ledger INDEXED BY ledger_attention
    WHERE {ATTENTION} AND state = '{SendState.INTENT}' AND instance = :instance)
  OR EXISTS (SELECT 1 FROM ledger INDEXED BY ledger_maybe_sent, json_each(maybe_ids)
    WHERE instance = :instance AND maybe_ids IS NOT NULL AND value = :wa_id)
ON CONFLICT (instance, wa_id, recipient) DO UPDATE SET
  rank = excluded.rank, timestamp = excluded.timestamp, changed_at = excluded.changed_at,
  due = max(receipts.due, excluded.due)
WHERE excluded.rank > receipts.rank
RETURNING receipts.due"""

_FIND_DUE = """
SELECT receipts.seq, instance, message_id, wa_id, coalesce(sent_to, chat), recipient, rank, timestamp
FROM receipts INDEXED BY receipts_due JOIN ledger USING (instance, wa_id)
WHERE due /* postgres: = 1 */ AND told < rank AND receipts.seq > ? AND coalesce(sent_to, chat) IS NOT NULL
/* owned: instance */
ORDER BY receipts.seq LIMIT ?"""

_TOLD = "UPDATE receipts SET told = max(told, ?) WHERE seq = ?"

_PURGE = f"DELETE FROM receipts WHERE seq IN (SELECT seq FROM receipts WHERE changed_at < ? LIMIT ? {SKIP_LOCKED})"

DUE_NOW = f"""
UPDATE receipts SET due = 1 WHERE due = 0 AND (instance, wa_id) = (
  SELECT instance, wa_id FROM ledger WHERE seq = ? AND state = '{SendState.MARKED}')"""
"""For the ledger: the proxy has heard of the message in this row of it."""
