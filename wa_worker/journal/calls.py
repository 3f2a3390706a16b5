"""Keeps calls that ring, until it is known what became of them. Then each is one row of the inbox.

It rings for a minute at the most, and its end may never be heard of. So it is on disk from the first ring on, and
after PATIENCE it becomes a row all the same.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable

import attrs
import cattrs

from wa_worker.journal.database import Database
from wa_worker.messages import InboundMessage
from wa_worker.models import InstanceId

PATIENCE = 120.0
"""Seconds from the first ring until a call is told of without its outcome: phones ring for 45 to 60 s."""

_models = cattrs.Converter(prefer_attrib_converters=True)

Add = Callable[[sqlite3.Connection, InstanceId, InboundMessage], bool]
"""Adds a row to the inbox within a transaction; False if it is known."""


class RingingCalls:
    """The table of calls. Any thread may call; every method raises JournalError."""

    def __init__(self, database: Database, add: Add) -> None:
        self._database = database
        self._add = add

    def ring(self, instance: InstanceId, message: InboundMessage) -> None:
        """Commits that a call rings. Heard of twice, the first one counts, but for what it did not say."""
        row = (instance, _id(message), json.dumps(_models.unstructure(message)), time.time())
        with self._database.transaction() as sql:
            sql.execute(_RING, row)

    def end(self, instance: InstanceId, message: InboundMessage) -> bool:
        """Commits what became of a call: `message` says it, and what was heard when it rang says the rest. False if
        that is known already."""
        with self._database.transaction() as sql:
            row = sql.execute(_TAKE, (instance, _id(message))).fetchone()
            return self._add(sql, instance, message if row is None else _merged(row[0], message))

    def next_due(self) -> float | None:
        """Returns when (unix seconds) the next call is to be told of without its outcome; None if none rings."""
        with self._database.reading() as sql:
            (oldest,) = sql.execute("SELECT min(rang_at) FROM calls").fetchone()
        return None if oldest is None else float(oldest) + PATIENCE

    def give_up(self) -> int:
        """Makes rows of the inbox of the calls that have rung for too long, or in the future: the clock was set back.
        Returns how many."""
        now = time.time()
        with self._database.transaction() as sql:
            rows = sql.execute(_GIVE_UP, (now - PATIENCE, now)).fetchall()
            for instance, message in rows:
                self._add(sql, InstanceId(instance), _message(message))
        return len(rows)


def _id(message: InboundMessage) -> str:
    if message.call is None:
        raise ValueError("no call")
    return message.call.id


def _message(text: str) -> InboundMessage:
    return _models.structure(json.loads(text), InboundMessage)


def _merged(text: str, end: InboundMessage) -> InboundMessage:
    rang = _message(text)
    if rang.call is None or end.call is None:
        raise ValueError("no call")
    return attrs.evolve(rang, call=attrs.evolve(rang.call, outcome=end.call.outcome))


_RING = "INSERT OR IGNORE INTO calls (instance, call_id, message, rang_at) VALUES (?, ?, ?, ?)"

_TAKE = "DELETE FROM calls WHERE instance = ? AND call_id = ? RETURNING message"

_GIVE_UP = "DELETE FROM calls WHERE rang_at <= ? OR rang_at > ? RETURNING instance, message"
