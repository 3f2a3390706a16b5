"""Keeps the ledger of sends (P1, P2): what the proxy asked for, what WhatsApp accepted, what the proxy knows of it.

    waiting -> intent -> sent -> marked
                 |-> waiting (it certainly did not leave: again, later)
                 |-> failed (it never will), which is reported to the proxy
                 '-> uncertain (it may have left): held, or waiting again if the policy is to resend

An intent is committed before the native send, its outcome after it, in the commit that also holds the next intent:
one fsync a message. A row that is still an intent when the process starts is uncertain, unless the session store knows
better. A receipt proves that an uncertain one was sent; one that is to be sent again waits for that first (`unproven`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping

import attrs

from wa_worker.journal import polls
from wa_worker.journal.database import Database, Sql
from wa_worker.journal.receipts import DUE_NOW
from wa_worker.journal.states import ADDED, FORGETTABLE, SKIP_LOCKED, UNREPORTED, SendState
from wa_worker.models import InstanceId, Jid, MessageId, WaMessageId

REPORT_AGAIN = 60.0
"""Seconds before a failure that the proxy goes on listing is reported once more. It may have no /mark-failed."""


@attrs.frozen
class Admission:
    """Describes the ledger's answer to a batch that the proxy listed."""

    due: tuple[MessageId, ...]
    """Ids to send now, in the order of the batch. All others are taken care of."""
    attempts: Mapping[MessageId, int]
    """Sends already begun, by id, for those due."""
    relisted: int
    """Messages that the proxy listed though it knew what became of them: that is reported again, nothing is sent."""
    held: int
    """Uncertain ones that wait for a person."""


@attrs.frozen
class Settled:
    """Describes the outcome of a send: its `state`, and what belongs to that."""

    message_id: MessageId
    state: SendState
    wa_id: WaMessageId | None = None
    error: str | None = None
    pause: float = 0.0
    """Seconds before the next try, when WAITING."""
    doubt: bool = False
    """It may have left, though another try follows (P2)."""
    maybe_id: WaMessageId | None = None
    """The id under which it has left if it has: a receipt for it is the proof."""
    to: Jid | None = None
    """The JID that it went to, when SENT."""
    timestamp: int | None = None
    """When WhatsApp accepted it, in unix seconds, when SENT."""
    counted: bool = False
    """It is a try that failed before its intent, which would have counted it."""

    @property
    def waits_for_receipt(self) -> bool:
        """Says whether the next try waits for that proof first."""
        return self.state is SendState.WAITING and self.maybe_id is not None


@attrs.frozen
class Trace:
    """Says by what a send can be found again: the `secret` that its message carries, and the mark of the session
    `store` that it goes through. Without a mark, that the store does not know it proves nothing."""

    secret: bytes = attrs.field(repr=False)
    store: str | None
    options: tuple[str, ...] | None = attrs.field(default=None, repr=False)
    """Those of the poll that is sent, by which votes in it are understood."""


@attrs.frozen
class Mark:
    """Describes an outcome to report to the proxy: `wa_id` for /mark-sent, or `error` for /mark-failed."""

    seq: int
    instance: InstanceId
    message_id: MessageId
    wa_id: WaMessageId | None
    error: str | None
    to: Jid | None = None
    """The JID that it went to. None: an older version did not write it down."""
    timestamp: int | None = attrs.field(default=None, converter=attrs.converters.optional(int))
    """When WhatsApp accepted it, in unix seconds."""


class SendLedger:
    """Keeps the sends. Any thread may call; every method raises JournalError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def recover(self, *, resend: bool, tries: int, instance: InstanceId | None = None) -> int:
        """Makes the intents of a process that died uncertain, after Doubts.found(). To be called at the start, and
        for an `instance` that was another worker's. Returns how many there were.

        With `resend` they wait to be sent again, unless they were begun `tries` times: one may kill the process.
        """
        values = {"resend": resend, "tries": tries, "now": time.time(), "instance": instance}
        with self._database.transaction() as sql:
            return sql.execute(_RECOVER, values).rowcount

    def admit(self, instance: InstanceId, batch: Mapping[MessageId, Jid | None], *, listed_at: float) -> Admission:
        """Writes new messages of a listed batch as waiting, and says which to send now. Known ones keep their state.

        `listed_at` (unix seconds) is when the poll began: a row marked before that and listed all the same means
        that the proxy lost the mark, so it is marked again. Order within a chat is kept: behind a message that
        waits for its pause or for a receipt, or that an earlier session is still sending, the others of its chat wait.

        A row from the future was written before the clock was set back: its pause counts as over, its mark as old.
        """
        keys = {key_of(message_id): message_id for message_id in batch}
        with self._database.transaction() as sql:
            now = time.time()
            known = {row[0]: row[1:] for row in _select(sql, instance, keys)}
            fresh = [
                (instance, key, batch[message_id], now, now) for key, message_id in keys.items() if key not in known
            ]
            sql.executemany(_ADD, fresh)
            due: list[MessageId] = []
            attempts: dict[MessageId, int] = {}
            blocked: set[Jid] = set()
            again: list[str] = []
            held = 0
            for key, message_id in keys.items():
                state, tries, not_before, changed_at, unproven = known.get(key, (SendState.WAITING, 0, 0.0, now, 0))
                chat = batch[message_id]
                future = changed_at > now
                due_now = (not_before <= now or future) and not unproven
                if state == SendState.WAITING and due_now and chat not in blocked:
                    due.append(message_id)
                    attempts[message_id] = tries
                elif state in (SendState.WAITING, SendState.INTENT) and chat is not None:
                    blocked.add(chat)
                elif state == SendState.UNCERTAIN:
                    held += 1
                elif (state == SendState.MARKED and (changed_at < listed_at or future)) or (
                    state == SendState.FAILED and (changed_at < listed_at - REPORT_AGAIN or future)
                ):
                    again.append(key)
            sql.executemany(_REPORT_AGAIN, [(now, instance, key) for key in again])
        return Admission(tuple(due), attempts, len(again), held)

    def step(
        self,
        instance: InstanceId,
        done: Iterable[Settled],
        intent: MessageId | None,
        *,
        trace: Trace | None = None,
        undo: bool = False,
    ) -> None:
        """Commits outcomes and the intent of the next send, with its trace, in one transaction.

        `undo` takes an intent back that was never handed to the library.
        """
        now = time.time()
        secret, store = (None, None) if trace is None else (trace.secret, trace.store)
        with self._database.transaction() as sql:
            if trace is not None and trace.options is not None:
                polls.write(sql, instance, polls.PollNote(trace.secret, trace.options))
            for one in done:
                sql.execute(
                    _SETTLE,
                    {
                        "state": one.state.value,
                        "wa_id": one.wa_id,
                        "error": one.error,
                        "not_before": now + one.pause,
                        "doubt": int(one.doubt),
                        "maybe_id": one.maybe_id,
                        "unproven": one.waits_for_receipt,
                        "sent_to": one.to,
                        "sent_at": one.timestamp,
                        "counted": int(one.counted),
                        "now": now,
                        "instance": instance,
                        "message_id": key_of(one.message_id),
                    },
                )
            if intent is not None:
                key = key_of(intent)
                state, tries = (SendState.WAITING, -1) if undo else (SendState.INTENT, 1)
                found = sql.execute(_BEGIN, (state.value, tries, secret, store, now, instance, key)).rowcount
                if not found and not undo:  # it had waited for so long that it was purged since it was admitted
                    sql.execute(_ADD_BEGUN, (instance, key, secret, store, now, now))

    def unreported(self, after: int, limit: int) -> list[Mark]:
        """Returns outcomes that the proxy does not know yet, with `seq` above `after`, ascending."""
        with self._database.reading() as sql:
            rows = sql.execute(_FIND_UNREPORTED, (after, limit)).fetchall()
        return [Mark(seq, instance, json.loads(key), *rest) for seq, instance, key, *rest in rows]

    def reported(self, marks: Iterable[Mark]) -> bool:
        """Records that the proxy knows these. A row that has changed since the mark was made stays unreported.

        Says whether the proxy can now hear what receipts have said of them.
        """
        now, marks = time.time(), list(marks)
        with self._database.transaction() as sql:
            sql.executemany(
                _REPORTED,
                [(now, one.seq, (SendState.FAILED if one.wa_id is None else SendState.SENT).value) for one in marks],
            )
            return sql.executemany(DUE_NOW, [(one.seq,) for one in marks if one.wa_id is not None]).rowcount > 0

    def has_unreported(self, instance: InstanceId, since: float = 0.0) -> bool:
        """Says whether outcomes of this instance, recorded after `since` (unix seconds), are not reported yet."""
        with self._database.reading() as sql:
            return bool(sql.execute(_HAS_UNREPORTED, (instance, since)).fetchone()[0])

    def wrote(self, instance: InstanceId, wa_id: str) -> bool:
        """Says whether the message with this id is one that was sent here, as far as the ledger goes back."""
        with self._database.reading() as sql:
            return bool(sql.execute(_WROTE, (instance, wa_id)).fetchone()[0])

    def purge(self, older_than: float, limit: int = 5000) -> int:
        """Forgets up to `limit` rows that have not changed for `older_than` seconds. Returns how many.

        Only those that are settled and reported, or that wait for a proxy that does not list them any more.
        """
        with self._database.transaction() as sql:
            return sql.execute(_PURGE, (time.time() - older_than, limit)).rowcount


def key_of(message_id: MessageId) -> str:
    """Writes the id as it stands in the ledger: as JSON, so that 7 and "7" are two messages."""
    return json.dumps(message_id, ensure_ascii=False)


def _select(sql: Sql, instance: InstanceId, keys: Iterable[str]) -> list[tuple[str, str, int, float, float, int]]:
    return sql.execute(_FIND, (instance, json.dumps(list(keys)))).fetchall()


_FIND = """
SELECT message_id, state, attempts, not_before, changed_at, unproven FROM ledger
WHERE instance = ? AND message_id IN (SELECT value FROM json_each(?))"""

_ADD = f"""
INSERT INTO ledger (instance, message_id, chat, state, created_at, changed_at)
VALUES (?, ?, ?, '{SendState.WAITING}', ?, ?)"""

_ADD_BEGUN = f"""
INSERT INTO ledger (instance, message_id, state, attempts, secret, store, created_at, changed_at)
VALUES (?, ?, '{SendState.INTENT}', 1, ?, ?, ?, ?)"""

_BEGIN = """
UPDATE ledger SET state = ?, attempts = attempts + ?, secret = ?, store = ?, changed_at = ?
WHERE instance = ? AND message_id = ? /* owned: instance */"""

_SETTLE = f"""
UPDATE ledger SET state = :state, wa_id = coalesce(:wa_id, wa_id), error = :error, not_before = :not_before,
  reported = 0, doubts = doubts + :doubt, unproven = :unproven, sent_to = :sent_to, sent_at = :sent_at, secret = NULL,
  store = NULL, changed_at = :now, attempts = attempts + :counted,
  maybe_ids = CASE WHEN CAST(:maybe_id AS TEXT) IS NULL THEN maybe_ids ELSE {ADDED} END
WHERE instance = :instance AND message_id = :message_id /* owned: instance */"""

_RECOVER = f"""
UPDATE ledger SET doubts = doubts + 1, secret = NULL, store = NULL, changed_at = :now,
  state = CASE WHEN :resend = 1 AND attempts < :tries THEN '{SendState.WAITING}' ELSE '{SendState.UNCERTAIN}' END,
  error = 'the worker stopped while it was being sent'
WHERE state = '{SendState.INTENT}'
  AND (CAST(:instance AS TEXT) IS NULL OR instance = :instance) /* owned: instance */"""

_REPORTED = f"""
UPDATE ledger SET state = CASE WHEN state = '{SendState.SENT}' THEN '{SendState.MARKED}' ELSE state END,
  reported = 1, changed_at = ?
WHERE seq = ? AND state = ?"""

_REPORT_AGAIN = f"""
UPDATE ledger SET state = CASE WHEN state = '{SendState.MARKED}' THEN '{SendState.SENT}' ELSE state END,
  reported = 0, changed_at = ?
WHERE instance = ? AND message_id = ?"""

# without the hint SQLite walks the primary key: 35 ms with half a million marked rows, not 0.3
_FIND_UNREPORTED = f"""
SELECT seq, instance, message_id, CASE WHEN state = '{SendState.SENT}' THEN wa_id END, error, coalesce(sent_to, chat),
  coalesce(sent_at, changed_at)
FROM ledger INDEXED BY ledger_unreported WHERE {UNREPORTED} AND seq > ? /* owned: instance */ ORDER BY seq LIMIT ?"""

_HAS_UNREPORTED = f"""
SELECT EXISTS (SELECT 1 FROM ledger WHERE instance = ? AND changed_at >= ? AND {UNREPORTED})"""

_WROTE = "SELECT EXISTS (SELECT 1 FROM ledger WHERE instance = ? AND wa_id = ?)"

_PURGE = f"""
DELETE FROM ledger WHERE seq IN (
  SELECT seq FROM ledger WHERE {FORGETTABLE} AND changed_at < ?
  AND (state IN ('{SendState.WAITING}', '{SendState.MARKED}') OR reported = 1) LIMIT ? {SKIP_LOCKED})"""
