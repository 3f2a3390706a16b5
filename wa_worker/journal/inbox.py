"""Keeps what WhatsApp delivered until `/inbound` accepts it, in order within a chat (P3).

States: pending -> posted (a 2xx, or 409: it was there), or pending -> dead (refused for good). A posted row loses
its content and stays for a week, to recognise a second copy; its chat stays for as long as it has a row. A dead row
waits for a person, but not for ever (retention.py).
"""

from __future__ import annotations

import enum
import json
import sqlite3
import time
from collections.abc import Iterable
from typing import Any

import attrs
import cattrs
import structlog

from wa_worker.journal.calls import RingingCalls
from wa_worker.journal.database import Database
from wa_worker.journal.states import DECIDED, PENDING, InboxState, SendState
from wa_worker.journal.timers import TimerNote, Timers
from wa_worker.journal.timers import write as write_timer
from wa_worker.messages import ChatType, InboundMessage
from wa_worker.models import InstanceId, Jid

log = structlog.get_logger(__name__)

_models = cattrs.Converter(prefer_attrib_converters=True)


class EventKind(enum.Enum):
    """Names the kinds of rows. Ids are told apart within a kind: of what can be seen once on the phone a note may come,
    and the picture itself under the same id."""

    MESSAGE = "message"
    REACTION = "reaction"
    EDIT = "edit"
    REVOKE = "revoke"
    VIEW_ONCE = "view_once"
    CALL = "call"
    RECEIPT = "receipt"


_KINDS = {kind.value: kind for kind in EventKind}


@attrs.frozen
class SentByAccount:
    """Says of a message that the account itself sent what tells whether a worker sent it, and the LID of the person in
    its chat. `secret`: the one that the message carries (b'' for none)."""

    secret: bytes = attrs.field(repr=False)
    chat_lid: Jid | None = attrs.field(repr=False)


@attrs.frozen
class PendingInbound:
    """A message that waits for `/inbound`. `chat` is its key: messages of one key are posted in the order of `seq`."""

    seq: int
    chat: int
    instance: InstanceId
    message: InboundMessage
    rejections: int


@attrs.frozen
class InboxResult:
    """Describes the result of a post. `error` None: it was accepted. Else it was refused, finally if `dead`."""

    seq: int
    error: str | None = None
    dead: bool = False


class Inbox:
    """Keeps the received messages. Any thread may call; every method raises JournalError."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.timers = Timers(database)
        """What received messages told of their chats' timers."""
        self.calls = RingingCalls(database, _add)
        """Calls that ring."""

    def record(
        self,
        instance: InstanceId,
        message: InboundMessage,
        *,
        kind: EventKind | None = None,
        note: TimerNote | None = None,
        own: SentByAccount | None = None,
    ) -> bool:
        """Commits a message, and what it says of its chat's timer. `kind` None: its type says it.

        False if it is already known in its kind, for WhatsApp redelivers what it is not sure of; or if the account sent
        it, and the ledger shows that a worker did.
        """
        with self._database.transaction() as sql:
            if note is not None:
                write_timer(sql, instance, note)
            if own is not None and _is_of_a_worker(sql, message, own):
                return False
            return _add(sql, instance, message, kind, own)

    def keys(self, after: int, limit: int) -> list[int]:
        """Returns chats that have pending messages, with ids above `after`, ascending. One index probe for each."""
        with self._database.reading() as sql:
            return [row[0] for row in sql.execute(_FIND_KEYS, (after, limit))]

    def pending(self, chat: int, limit: int) -> list[PendingInbound]:
        """Returns the oldest pending messages of a key, in order.

        A row that cannot be read is set aside as dead, with its reason: another try would not change it.
        """
        with self._database.reading() as sql:
            rows = sql.execute(_FIND_PENDING, (chat, limit)).fetchall()
        messages: list[PendingInbound] = []
        spoiled: list[InboxResult] = []
        for seq, instance, content, rejections in rows:
            try:
                messages.append(PendingInbound(seq, chat, instance, message_of(content), rejections))
            except Exception as error:  # noqa: BLE001 - of json or cattrs, which raises groups
                spoiled.append(InboxResult(seq, f"it cannot be read ({type(error).__name__})", dead=True))
                log.error("a message is set aside: the journal's row is spoiled", instance=instance, row=seq)
        if spoiled:
            self.settle(spoiled)
        return messages

    def next_seq(self) -> int:
        """The number that the next row will have, or a lower one that none has."""
        with self._database.reading() as sql:
            return int(sql.execute("SELECT coalesce(max(seq), 0) + 1 FROM inbox").fetchone()[0])

    def settle(self, results: Iterable[InboxResult]) -> None:
        """Records results, all in one commit. What a person has discarded meanwhile stays discarded."""
        now = time.time()
        with self._database.transaction() as sql:
            for result in results:
                if result.error is None:
                    sql.execute(_ACCEPTED, (now, result.seq))
                else:
                    sql.execute(_REFUSED, (result.error, result.dead, result.dead, now, result.seq))

    def take_back(self, rows: Iterable[PendingInbound]) -> None:
        """Makes messages pending again that were recorded as posted, all in one commit."""
        with self._database.transaction() as sql:
            sql.executemany(_TAKE_BACK, [(_content(row.message), row.seq) for row in rows])

    def purge(self, older_than: float, limit: int = 5000) -> int:
        """Forgets up to `limit` rows that were posted more than `older_than` seconds ago. Returns how many."""
        with self._database.transaction() as sql:
            return sql.execute(_PURGE, (time.time() - older_than, limit)).rowcount

    def discard_dead(self, older_than: float, limit: int = 5000) -> int:
        """Discards up to `limit` messages that have been dead for `older_than` seconds, as a person would: the content
        goes, the row stays for as long as a posted one. Returns how many."""
        now = time.time()
        error = f"discarded: nobody decided within {older_than / 86_400:.0f} days"
        with self._database.transaction() as sql:
            return sql.execute(_DISCARD_DEAD, (error, now, now - older_than, limit)).rowcount

    def purge_chats(self, after: int, limit: int = 5000) -> int | None:
        """Forgets those of the next `limit` chats, with ids above `after`, of which no message is left.

        Returns the last id that was looked at, None if there was none.
        """
        with self._database.transaction() as sql:
            (last,) = sql.execute(_LAST_CHAT, (after, limit)).fetchone()
            if last is not None:
                sql.execute(_PURGE_CHATS, (after, last))
        return int(last) if last is not None else None


def _add(
    sql: sqlite3.Connection,
    instance: InstanceId,
    message: InboundMessage,
    kind: EventKind | None = None,
    own: SentByAccount | None = None,
) -> bool:
    """Adds a row within the caller's transaction. False if it is known."""
    kind = kind or _KINDS.get(message.message_type, EventKind.MESSAGE)
    key: Jid | None = message.chat
    lid = message.sender_lid if own is None else own.chat_lid
    if message.chat_type is ChatType.DIRECT and lid not in (None, message.chat):
        known, waiting = _by_lid(sql, instance, message, lid, kind)
        if known:
            return False
        if waiting:  # this one stays behind what came before the number was known
            key = lid
    sql.execute("INSERT OR IGNORE INTO chats (instance, jid) VALUES (?, ?)", (instance, key))
    row = (kind.value, message.wa_id, _content(message), time.time(), instance, key)
    return sql.execute(_ADD, row).rowcount > 0


def _is_of_a_worker(sql: sqlite3.Connection, message: InboundMessage, own: SentByAccount) -> bool:
    """Says whether a send of any instance has this id, may have it, or is under way with this secret: two instances may
    be devices of one account."""
    ids = (message.wa_id, message.wa_id, own.secret)
    return bool(sql.execute(_IS_OF_A_WORKER, ids).fetchone()[0])


def _by_lid(
    sql: sqlite3.Connection, instance: InstanceId, message: InboundMessage, lid: Jid | None, kind: EventKind
) -> tuple[bool, bool]:
    """Looks at both addresses of a person whose number is known.

    Returns whether the message is known under one of them, and whether others wait under their LID and none under
    their number.
    """
    known, waiting = False, set()
    both = (kind.value, message.wa_id, instance, message.chat, lid)
    for jid, has_it, has_pending in sql.execute(_LOOK_AT_BOTH, both):
        known |= bool(has_it)
        if has_pending:
            waiting.add(jid)
    return known, waiting == {lid}


def _content(message: InboundMessage) -> str:
    return _ENCODER.encode(_models.unstructure(message))


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def message_of(content: str) -> InboundMessage:
    """Reads the message of a row. Raises all sorts of errors for what is none."""
    fields: dict[str, Any] = json.loads(content)
    return _models.structure(fields, InboundMessage)


_ADD = """
INSERT OR IGNORE INTO inbox (chat, kind, wa_id, message, received_at)
SELECT id, ?, ?, ?, ? FROM chats WHERE instance = ? AND jid = ?"""

_LOOK_AT_BOTH = f"""
SELECT jid, EXISTS (SELECT 1 FROM inbox WHERE chat = chats.id AND kind = ? AND wa_id = ?),
  EXISTS (SELECT 1 FROM inbox WHERE chat = chats.id AND {PENDING})
FROM chats WHERE instance = ? AND jid IN (?, ?)"""

_IS_OF_A_WORKER = f"""
SELECT EXISTS (SELECT 1 FROM ledger WHERE wa_id = ?)
  OR EXISTS (
    SELECT 1 FROM ledger INDEXED BY ledger_maybe_sent, json_each(maybe_ids) WHERE maybe_ids IS NOT NULL AND value = ?)
  OR EXISTS (SELECT 1 FROM ledger WHERE state = '{SendState.INTENT}' AND secret = ?)"""

_FIND_KEYS = f"""
WITH RECURSIVE key (id) AS (
  SELECT min(chat) FROM inbox WHERE {PENDING} AND chat > ?
  UNION ALL
  SELECT (SELECT min(chat) FROM inbox WHERE {PENDING} AND chat > key.id) FROM key WHERE key.id IS NOT NULL)
SELECT id FROM key WHERE id IS NOT NULL LIMIT ?"""

_FIND_PENDING = f"""
SELECT seq, instance, message, rejections FROM inbox JOIN chats ON chats.id = chat
WHERE chat = ? AND {PENDING} ORDER BY seq LIMIT ?"""

_ACCEPTED = f"""
UPDATE inbox SET state = '{InboxState.POSTED}', message = NULL, settled_at = ? WHERE seq = ? AND {PENDING}"""

_REFUSED = f"""
UPDATE inbox SET rejections = rejections + 1, error = ?,
  state = iif(?, '{InboxState.DEAD}', state), settled_at = iif(?, ?, settled_at)
WHERE seq = ? AND {PENDING}"""

_TAKE_BACK = f"""
UPDATE inbox SET state = '{InboxState.PENDING}', message = ?, settled_at = NULL
WHERE seq = ? AND state = '{InboxState.POSTED}'"""

_PURGE = f"""
DELETE FROM inbox WHERE seq IN (
  SELECT seq FROM inbox WHERE {DECIDED} AND settled_at < ? AND state = '{InboxState.POSTED}' LIMIT ?)"""

_DISCARD_DEAD = f"""
UPDATE inbox SET state = '{InboxState.POSTED}', message = NULL, error = ?, settled_at = ? WHERE seq IN (
  SELECT seq FROM inbox WHERE {DECIDED} AND settled_at < ? AND state = '{InboxState.DEAD}' LIMIT ?)"""

_LAST_CHAT = "SELECT max(id) FROM (SELECT id FROM chats WHERE id > ? ORDER BY id LIMIT ?)"

_PURGE_CHATS = """
DELETE FROM chats WHERE id > ? AND id <= ? AND NOT EXISTS (SELECT 1 FROM inbox WHERE chat = chats.id)"""
