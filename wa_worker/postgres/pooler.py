"""Finds out whether a pooler gives each transaction another connection, by two connections of our own."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import closing, suppress

import psycopg

from wa_worker.errors import StateError
from wa_worker.postgres.connecting import SCHEMA, connect, state_errors
from wa_worker.postgres.fitness import shares_connections
from wa_worker.postgres.url import StateUrl

PATIENCE = 3.0
"""Seconds for a transaction beside another one to begin. A pooler with one connection in all lets it wait."""


def refuse_pooler(url: StateUrl, sql: psycopg.Connection) -> None:
    """Raises UnfitState if transactions on `sql`, a connection by connect(), are not all on one connection of the
    server, or without its settings. Raises StateError. Blocking; opens another connection for a moment."""
    with state_errors(url):
        if (path := _setting(sql, "search_path")) != SCHEMA or _setting(sql, "lock_timeout") == "0":
            raise shares_connections(url.place, f"the settings of a connection are lost: search_path is {path!r}")
        if _pid(sql) != _pid_beside_another(url, sql):
            raise shares_connections(url.place, "two transactions of one connection were on two of the server's")


def is_behind_a_pooler(sql: psycopg.Connection) -> bool:
    """Says whether somebody else than PostgreSQL answered: the process it named at the start is another one."""
    return sql.info.backend_pid != _pid(sql)


def _pid_beside_another(url: StateUrl, sql: psycopg.Connection) -> int:
    """Returns the server's process for `sql` while another connection of ours is in a transaction: that may have taken
    the one it had before."""
    with closing(connect(url, "start")) as other:
        other.execute("BEGIN")
        _pid(other)
        late = threading.Timer(PATIENCE, _cut, (other,))
        late.daemon = True
        late.start()
        try:
            return _pid(sql)
        finally:
            late.cancel()


def _cut(sql: psycopg.Connection) -> None:
    with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(sql.fileno())) as connection:
        connection.shutdown(socket.SHUT_RDWR)


def _pid(sql: psycopg.Connection) -> int:
    return int(_one(sql, "SELECT pg_backend_pid()"))


def _setting(sql: psycopg.Connection, name: str) -> str:
    return str(_one(sql, "SELECT current_setting(%s)", name))


def _one(sql: psycopg.Connection, query: str, *values: str) -> str | int:
    row = sql.execute(query.encode(), values, prepare=False).fetchone()
    if row is None:
        raise StateError("no row")
    value: str | int = row[0]
    return value
