"""Keeps the timers of chats with disappearing messages: what is sent to a chat carries its timer, over restarts too."""

from __future__ import annotations

import time

import attrs

from wa_worker.journal.database import Database, Sql
from wa_worker.journal.states import SKIP_LOCKED
from wa_worker.messages import ChatTimer
from wa_worker.models import InstanceId, Jid


@attrs.frozen
class TimerNote:
    """Says that a chat of `account` has this timer. `chats`: its addresses, two for a person whose LID is known."""

    account: Jid = attrs.field(repr=False)
    chats: frozenset[Jid] = attrs.field(repr=False)
    timer: ChatTimer


class Timers:
    """The table of timers. Any thread may call; every method raises JournalError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, instance: InstanceId, account: Jid, chat: Jid) -> ChatTimer | None:
        """Returns the timer of a chat; None if nothing is known of one. One that is off has an `expiration` of 0."""
        with self._database.reading() as sql:
            row = sql.execute(_FIND, (instance, account, chat)).fetchone()
        if row is None:
            return None
        expiration, set_at, changed, initiator, trigger = row
        return ChatTimer(expiration, set_at, bool(changed), initiator, trigger)

    def note(self, instance: InstanceId, note: TimerNote) -> None:
        """Commits what a message says of a timer, unless something newer is known."""
        with self._database.transaction() as sql:
            write(sql, instance, note)

    def purge(self, older_than: float, limit: int = 5000) -> int:
        """Forgets up to `limit` timers that were switched off more than `older_than` seconds ago. Returns how many.

        They only serve to recognise an older message that comes late.
        """
        with self._database.transaction() as sql:
            return sql.execute(_PURGE, (time.time() - older_than, limit)).rowcount


def write(sql: Sql, instance: InstanceId, note: TimerNote) -> None:
    """Writes a note within the caller's transaction. What is older than what is known changes nothing; of the same
    second, a change of the setting counts more than a message that only tells of it."""
    timer = note.timer
    told = (timer.expiration, timer.set_at, int(timer.changed), timer.initiator, timer.trigger)
    sql.executemany(_NOTE, [(instance, note.account, chat, *told) for chat in sorted(note.chats)])


_FIND = """
SELECT expiration, set_at, changed, initiator, trigger FROM chat_timers
WHERE instance = ? AND account = ? AND chat = ?"""

_NOTE = """
INSERT INTO chat_timers (instance, account, chat, expiration, set_at, changed, initiator, trigger)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (instance, account, chat) DO UPDATE SET
  expiration = excluded.expiration, set_at = excluded.set_at, changed = excluded.changed,
  initiator = excluded.initiator, trigger = excluded.trigger
WHERE (excluded.set_at, excluded.changed) >= (chat_timers.set_at, chat_timers.changed)"""

_PURGE = f"""
DELETE FROM chat_timers WHERE (instance, account, chat) IN (
  SELECT instance, account, chat FROM chat_timers WHERE expiration = 0 AND set_at < ? LIMIT ? {SKIP_LOCKED})"""
