"""Runs the journal's statements on a connection to PostgreSQL, and writes Python's values as its tables have them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import psycopg
from psycopg.types.numeric import IntDumper
from psycopg.types.string import StrDumperUnknown

from wa_worker.journal.database import Rows, Values


class PostgresSql:
    """Runs the journal's statements on a connection, translated."""

    def __init__(self, connection: psycopg.Connection, translated: Callable[[str], str]) -> None:
        self._connection = connection
        self._translated = translated

    def execute(self, query: str, values: Values = (), /) -> Rows:
        return self._connection.execute(self._translated(query).encode(), values)

    def executemany(self, query: str, rows: Iterable[Values], /) -> Rows:
        """Runs a statement for each row, without waiting for the answer to one before the next."""
        cursor = self._connection.cursor()
        cursor.executemany(self._translated(query).encode(), list(rows))
        return cursor


class _BoolDumper(IntDumper):
    """Writes flags as the numbers that the tables have."""

    def dump(self, obj: bool) -> bytes:
        return b"1" if obj else b"0"


class _TextDumper(StrDumperUnknown):
    """Writes texts. U+0000, which PostgreSQL's texts cannot have, becomes U+FFFD: names of groups come from outside."""

    def dump(self, obj: str) -> bytes | bytearray | memoryview | None:
        return super().dump(obj.replace("\0", "\ufffd") if "\0" in obj else obj)


def prepared(connection: psycopg.Connection) -> psycopg.Connection:
    """Has a connection write values so, and returns it."""
    connection.adapters.register_dumper(bool, _BoolDumper)
    connection.adapters.register_dumper(str, _TextDumper)
    return connection
