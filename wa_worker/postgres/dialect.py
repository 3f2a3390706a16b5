"""Translates the journal's SQL, which is SQLite's, into PostgreSQL's: once for each statement.

Most of it is the same text for both. What cannot be is written so that SQLite does not see it:

    ? and :name                    become the driver's placeholders
    INDEXED BY x                   goes: that is advice for SQLite
    /* postgres: words */          becomes the words
    /* owned: column */            becomes a condition: the column names an instance of this worker. A tool has none
    /* owned chat: column */       the same of a column that names a chat
    /* owned message: column */    the same of a column that names a received message

`json_each`, `json_insert` and the `max` of two values are functions in the schema, with SQLite's names
(migrations/0002_journal.sql). Nothing here connects.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from uuid import UUID

_OWNER = (
    "CASE WHEN i.wanted OR EXISTS (SELECT FROM wa.workers AS o WHERE o.id = i.owner) THEN i.owner ELSE"
    " (SELECT w.id FROM wa.workers AS w WHERE w.expires_at > clock_timestamp() ORDER BY w.started_at, w.id LIMIT 1) END"
)
"""Whose an instance is. What nobody wants and nobody has is the eldest worker's: it runs nowhere, but what it has
received and sent is yet to be told."""

_OWNED = {
    "owned": "({} IN (SELECT i.id FROM wa.instances AS i WHERE {owner} = '{worker}')) IS TRUE",
    "owned chats": "({} IN (SELECT c.id FROM wa.chats AS c JOIN wa.instances AS i ON i.id = c.instance"
    " WHERE {owner} = '{worker}')) IS TRUE",
    "owned chat": "(SELECT {owner} FROM wa.chats AS c JOIN wa.instances AS i ON i.id = c.instance"
    " WHERE c.id = {}) = '{worker}'",
    "owned message": "(SELECT {owner} FROM wa.inbox AS m JOIN wa.chats AS c ON c.id = m.chat"
    " JOIN wa.instances AS i ON i.id = c.instance WHERE m.seq = {}) = '{worker}'",
}
"""What the markers become. The planner makes no join of what is IS TRUE, nor of a comparison with a value: the first
two are a hash, made once for each query, at its first row; the others cost three probes of indexes for each row."""

_TOKEN = re.compile(
    r"""
    (?P<literal> '(?:[^']|'')*' )
    | /\*\ (?P<marker> [a-z ]+ ):\ (?P<text> .*? )\ \*/
    | (?P<comment> /\*.*?\*/ )
    | (?P<cast> :: )
    | :(?P<name> [a-z_]+ )
    | (?P<value> \? )
    | (?P<hint> \s+INDEXED\s+BY\s+[a-z_]+ )
    | (?P<percent> % )
    """,
    re.VERBOSE | re.DOTALL,
)


def translator(worker: UUID | None) -> Callable[[str], str]:
    """Returns a function that translates a statement for a worker, and remembers what it has translated."""
    known: dict[str, str] = {}

    def translated(query: str) -> str:
        found = known.get(query)
        if found is None:
            found = known[query] = translate(query, worker)
        return found

    return translated


def translate(query: str, worker: UUID | None) -> str:
    """Translates a statement. worker: whose rows the markers leave; None: all."""

    def replaced(match: re.Match[str]) -> str:
        match match.lastgroup:
            case "name":
                return f"%({match['name']})s"
            case "value":
                return "%s"
            case "hint" | "comment":
                return ""
            case "text":
                return _marker(match["marker"], match["text"], worker)
        return match[0].replace("%", "%%")

    return _TOKEN.sub(replaced, query)


def _marker(marker: str, text: str, worker: UUID | None) -> str:
    if marker == "postgres":
        return text
    if marker not in _OWNED:
        raise ValueError(f"no such marker: {marker}")
    return "" if worker is None else f"AND {_OWNED[marker].format(text, worker=worker, owner=_OWNER)}"
