"""Reads what is to be known of the PostgreSQL database of `STATE_URL`. Judges nothing; blocking, for a thread."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from contextlib import closing
from typing import Any

import attrs
import psycopg

from wa_worker.postgres import migrations
from wa_worker.postgres.connecting import connect, state_errors
from wa_worker.postgres.pooler import is_behind_a_pooler, refuse_pooler
from wa_worker.postgres.url import StateUrl

TRIPS = 7
"""Trips to the server that are timed. The median counts: another program may have the processor for a moment."""


@attrs.frozen
class Connections:
    most: int
    """`max_connections`."""
    room: int
    """How many the workers of this database can have, all together: what is kept for superusers, and what others have
    open now, are not among them."""
    workers: int
    """Those whose lease has not run out."""
    instances: int
    """Those that are to be run, by anybody."""


@attrs.frozen
class Facts:
    version: int
    trip: float
    """Seconds to the server and back."""
    pooler: bool
    replica: bool
    tls: str | None
    """The version of the protocol, None without it."""
    user: str
    superuser: bool
    owns: bool
    creates: bool
    """Whether it may make schemas."""
    asks: bool
    """Whether it may call what tells a restored database from one that was not."""
    format: int
    """0: no worker was here yet."""
    known_format: int
    durability: Mapping[str, str]
    """Settings as they are for this role and database."""
    connections: Connections


def read_facts(url: StateUrl) -> Facts:
    """Raises StateError, and UnfitState for a pooler in transaction mode and a server that is too old."""
    with state_errors(url), closing(connect(url, "check")) as sql:
        refuse_pooler(url, sql)
        server, connections = _row(sql, _SERVER), _row(sql, _CONNECTIONS)
        found = migrations.format_of(sql)
        fleet = _row(sql, _FLEET) if found else {"workers": 0, "instances": 0}
        limits = [limit for limit in (connections["role_limit"], connections["database_limit"]) if limit >= 0]
        free = connections["most"] - connections["kept"] - connections["others"]
        return Facts(
            version=sql.info.server_version // 10000,
            trip=_trip(sql),
            pooler=is_behind_a_pooler(sql),
            **server,
            format=found,
            known_format=migrations.FORMAT,
            durability={
                name: str(_row(sql, f"SELECT current_setting('{name}') AS value")["value"]) for name in _DURABILITY
            },
            connections=Connections(connections["most"], min([free, *limits]), **fleet),
        )


_DURABILITY = ("fsync", "full_page_writes", "synchronous_commit")

_SERVER = """
SELECT current_user::text AS user, r.rolsuper AS superuser, pg_is_in_recovery() AS replica,
    pg_has_role(d.datdba, 'USAGE') AS owns,
    has_database_privilege(d.oid, 'CREATE') AS creates,
    has_function_privilege('pg_control_system()', 'EXECUTE') AS asks,
    (SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()) AS tls
FROM pg_roles r, pg_database d WHERE r.rolname = current_user AND d.datname = current_database()
"""

# Of other roles' connections only the number is told to this one.
_CONNECTIONS = """
SELECT current_setting('max_connections')::int AS most,
    current_setting('superuser_reserved_connections')::int
        + coalesce(current_setting('reserved_connections', true), '0')::int AS kept,
    (SELECT sum(numbackends)::int FROM pg_stat_database)
        - (SELECT count(*)::int FROM pg_stat_activity
           WHERE usename = current_user AND datname = current_database()) AS others,
    (SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user) AS role_limit,
    (SELECT datconnlimit FROM pg_database WHERE datname = current_database()) AS database_limit
"""

_FLEET = """
SELECT (SELECT count(*)::int FROM workers WHERE expires_at > clock_timestamp()) AS workers,
    (SELECT count(*)::int FROM instances WHERE wanted) AS instances
"""


def _trip(sql: psycopg.Connection) -> float:
    taken = []
    for _ in range(TRIPS):
        started = time.perf_counter()
        sql.execute("SELECT 1", prepare=False)
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def _row(sql: psycopg.Connection, query: str) -> dict[str, Any]:
    done = sql.execute(query.encode())
    (row,) = done.fetchall()
    return dict(zip((column.name for column in done.description or ()), row, strict=True))
