"""Writes rows of SQLite as PostgreSQL's columns want them, and back. Blocking."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql as composed

from wa_worker.errors import TransferError

Types = Mapping[str, str]
"""The columns of a table in their order, and the type of each as PostgreSQL names it."""

_NUMBERS = {"integer": int, "bigint": int, "double precision": float}


def types_of(sql: psycopg.Connection, schema: str) -> dict[str, dict[str, str]]:
    """Returns the columns of each table of a schema. Raises psycopg.Error."""
    found: dict[str, dict[str, str]] = {}
    for table, column, kind in sql.execute(_COLUMNS, (schema,)):
        found.setdefault(table, {})[column] = kind
    return found


def columns_in_file(sql: sqlite3.Connection) -> dict[str, list[str]]:
    """Returns the columns of each table of a file. Raises sqlite3.Error."""
    tables = [str(name, "utf-8") if isinstance(name, bytes) else name for (name,) in sql.execute(_TABLES).fetchall()]
    return {
        table: [str(row[1], "utf-8") if isinstance(row[1], bytes) else row[1] for row in _info(sql, table)]
        for table in tables
    }


def _info(sql: sqlite3.Connection, table: str) -> list[Any]:
    return sql.execute(f"PRAGMA table_info({quoted(table)})").fetchall()


def quoted(name: str) -> str:
    """Quotes a name of a table or a column, for both: `groups` and `by` are words of theirs."""
    return '"' + name.replace('"', '""') + '"'


def raw_texts(sql: sqlite3.Connection) -> None:
    """Has texts read as bytes: one that is no UTF-8 would end the reading."""
    sql.text_factory = bytes


def to_postgres(value: Any, kind: str) -> Any:
    """Returns a value of SQLite for a column of that type. Texts come as bytes or str.

    SQLite has neither booleans nor text without U+0000, which PostgreSQL's texts cannot hold: it becomes U+FFFD.
    """
    if value is None:
        return None
    if kind in _NUMBERS:
        return _NUMBERS[kind](value)
    match kind:
        case "boolean":
            return bool(int(value))
        case "bytea":
            return value if isinstance(value, bytes) else str(value).encode()
        case "text" | "uuid":
            text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
            return text.replace("\0", "\N{REPLACEMENT CHARACTER}")
    raise TransferError(f"a column has the type {kind}, which this version does not know")


def to_sqlite(value: Any) -> Any:
    """Returns a value of PostgreSQL for a column of SQLite, as the library and the journal write it there."""
    match value:
        case bool():
            return int(value)
        case UUID():
            return str(value)
        case memoryview():
            return bytes(value)
    return value


def copy_in(sql: psycopg.Connection, schema: str, table: str, types: Types, rows: Iterable[Sequence[Any]]) -> int:
    """Writes rows into a table, in the caller's transaction, and returns how many. Raises psycopg.Error."""
    statement = composed.SQL("COPY {} ({}) FROM STDIN").format(
        composed.Identifier(schema, table), composed.SQL(", ").join(map(composed.Identifier, types))
    )
    count = 0
    with sql.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row([to_postgres(value, kind) for value, kind in zip(row, types.values(), strict=True)])
            count += 1
    return count


def copy_out(
    sql: psycopg.Connection, query: composed.Composed, values: Sequence[object], into: sqlite3.Connection, table: str
) -> int:
    """Writes the rows of a query into a table of a file with the same columns, and returns how many. Raises
    psycopg.Error and sqlite3.Error."""
    with sql.cursor() as cursor:
        cursor.execute(query, values)
        names = [column.name for column in cursor.description or ()]
        columns, marks = ", ".join(map(quoted, names)), ", ".join("?" * len(names))
        insert = f"INSERT INTO {quoted(table)} ({columns}) VALUES ({marks})"  # noqa: S608 - names of tables of ours
        rows: Iterator[Any] = (tuple(map(to_sqlite, row)) for row in cursor)
        return into.executemany(insert, rows).rowcount if cursor.rowcount else 0


_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name"

# information_schema says the same, but looks at all of a thousand schemas for it
_COLUMNS = """
SELECT c.relname, a.attname, format_type(a.atttypid, NULL) FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relnamespace = %s::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY c.relname, a.attnum"""
