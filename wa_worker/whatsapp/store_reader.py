"""Reads the session stores in PostgreSQL, over one connection of the whole worker that is opened when it is needed.

Callbacks of neonize's library wait for what is read here, so each look has an end: the server ends a statement that
takes long, and this side gives a server up that says nothing.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import attrs
import psycopg

from wa_worker.errors import SessionError, StateError
from wa_worker.postgres.connecting import PatientConnection, connect, words_of
from wa_worker.postgres.patience import patient_for, seconds_left
from wa_worker.postgres.url import StateUrl
from wa_worker.whatsapp.store import Value

STATEMENT = 5.0
"""Seconds after which the server ends a statement, if this side has not given it up before."""

_TABLE = re.compile(r"\bwhatsmeow_[a-z_]+")


class NoSuchTable(SessionError):
    """A table, or the schema that it is looked for in, is not there."""


class StoreReader:
    """Reads from any schema. For all threads, one after another."""

    def __init__(self, url: StateUrl) -> None:
        self._url = url
        self._lock = threading.Lock()
        self._connection: PatientConnection | None = None

    @contextmanager
    def reading(self, schema: str, longest: float) -> Iterator[SchemaReader]:
        """Lends the connection, for `longest` seconds. The block ends with SessionError, NoSuchTable among them."""
        with patient_for(longest):
            yield from self._lent(schema)

    def _lent(self, schema: str) -> Iterator[SchemaReader]:
        if not self._lock.acquire(timeout=seconds_left() or 0.0):
            raise SessionError(f"session store {schema}: others wait for PostgreSQL {self._url.place}, too")
        try:
            yield SchemaReader(self, schema)
        except psycopg.errors.UndefinedTable as error:
            raise NoSuchTable(f"session store {schema}: {words_of(error)}") from error
        except psycopg.Error as error:
            self._drop()
            raise SessionError(f"session store {schema}: PostgreSQL {self._url.place}: {words_of(error)}") from error
        except StateError as error:
            raise SessionError(f"session store {schema}: {error}") from error
        finally:
            self._lock.release()

    def problem(self) -> str | None:
        """Says why PostgreSQL does not answer, None if it does."""
        try:
            with self.reading("wa", STATEMENT) as reader:
                reader.rows("SELECT 1")
        except SessionError as error:
            return str(error)
        return None

    def close(self) -> None:
        """Gives the connection up; the next look opens one."""
        with self._lock:
            self._drop()

    def run(self, query: str, parameters: tuple[str | bytes, ...]) -> list[tuple[Value, ...]]:
        """Runs a query; for who holds the lock. A connection that was torn while nobody used it is replaced once.

        Raises psycopg.Error or StateError."""
        kept = self._connection
        try:
            return self._once(query, parameters)
        except psycopg.OperationalError:
            if kept is None or not kept.broken or not seconds_left():
                raise
        self._drop()
        return self._once(query, parameters)

    def _once(self, query: str, parameters: tuple[str | bytes, ...]) -> list[tuple[Value, ...]]:
        connection = self._connection
        if connection is None:
            connection = connect(self._url, "stores", statement_timeout=STATEMENT)
            connection.prepare_threshold = None  # each schema has texts of its own
            self._connection = connection
        return connection.execute(query.encode(), parameters).fetchall()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


@attrs.frozen
class SchemaReader:
    """Reads from one schema."""

    _reader: StoreReader
    _schema: str

    def rows(self, query: str, *parameters: str | bytes) -> list[tuple[Value, ...]]:
        """Returns all rows of a query, in which whatsmeow's tables are named and `?` stands for a parameter. They are
        looked for in this schema and no other: who has an old token finds none."""
        return self._reader.run(_TABLE.sub(self._in_schema, query).replace("?", "%s"), parameters)

    def _in_schema(self, table: re.Match[str]) -> str:
        return f"{self._schema}.{table[0]}"
