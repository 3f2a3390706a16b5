"""Keeps calls that ring, until it is known what became of them. Then each is one row of the inbox.

It rings for a minute at the most, and its end may never be heard of. So it is on disk from the first ring on, and
after PATIENCE it becomes a row all the same.
"""

from __future__ import annotations

import time

import attrs
import structlog

from wa_worker.journal.adding import add
from wa_worker.journal.content import content_of, message_of
from wa_worker.journal.database import Database
from wa_worker.messages import InboundMessage
from wa_worker.models import InstanceId

log = structlog.get_logger(__name__)

PATIENCE = 120.0
"""Seconds from the first ring until a call is told of without its outcome: phones ring for 45 to 60 s."""


class RingingCalls:
    """The table of calls. Any thread may call; every method raises JournalError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def ring(self, instance: InstanceId, message: InboundMessage) -> None:
        """Commits that a call rings. Heard of twice, the first one counts, but for what it did not say."""
        row = (instance, _id(message), content_of(message), time.time())
        with self._database.transaction() as sql:
            sql.execute(_RING, row)

    def end(self, instance: InstanceId, message: InboundMessage) -> bool:
        """Commits what became of a call: `message` says it, and what was heard when it rang says the rest. False if
        that is known already."""
        with self._database.transaction() as sql:
            row = sql.execute(_TAKE, (instance, _id(message))).fetchone()
            rang = None if row is None else _read(instance, row[0])
            return add(sql, instance, message if rang is None else _merged(rang, message)) is not None

    def next_due(self) -> float | None:
        """Returns when (unix seconds) the next call is to be told of without its outcome; None if none rings."""
        with self._database.reading() as sql:
            (oldest,) = sql.execute("SELECT min(rang_at) FROM calls WHERE 1 = 1 /* owned: instance */").fetchone()
        return None if oldest is None else float(oldest) + PATIENCE

    def give_up(self) -> int:
        """Makes rows of the inbox of the calls that have rung for too long, or in the future: the clock was set back.
        Returns how many."""
        now = time.time()
        with self._database.transaction() as sql:
            rows = sql.execute(_GIVE_UP, (now - PATIENCE, now)).fetchall()
            for instance, text in rows:
                if (message := _read(instance, text)) is not None:
                    add(sql, InstanceId(instance), message)
        return len(rows)


def _id(message: InboundMessage) -> str:
    if message.call is None:
        raise ValueError("no call")
    return message.call.id


def _read(instance: str, text: str) -> InboundMessage | None:
    """Returns the message of a row, None if it cannot be read: it must not keep the others."""
    try:
        return message_of(text)
    except Exception as error:  # noqa: BLE001 - of json or cattrs, which raises groups
        log.error("a call is dropped: the journal's row is spoiled", instance=instance, reason=type(error).__name__)
        return None


def _merged(rang: InboundMessage, end: InboundMessage) -> InboundMessage:
    if rang.call is None or end.call is None:
        raise ValueError("no call")
    return attrs.evolve(rang, call=attrs.evolve(rang.call, outcome=end.call.outcome))


_RING = "INSERT INTO calls (instance, call_id, message, rang_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"

_TAKE = "DELETE FROM calls WHERE instance = ? AND call_id = ? RETURNING message"

_GIVE_UP = "DELETE FROM calls WHERE (rang_at <= ? OR rang_at > ?) /* owned: instance */ RETURNING instance, message"
