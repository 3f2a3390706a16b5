"""A PostgreSQL server of the tests' own, set up as a Supabase project is.

Real: the server, its roles, grants, policies. Imitated: what Supabase does before a project's first migration
(`bootstrap.sql`).
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from tests.postgres_server import Postgres, open_empty_postgres
from tests.worker_proxy import tools

__all__ = ["Postgres", "open_postgres"]


@contextmanager
def open_postgres() -> Iterator[Postgres]:
    """As a Supabase project is before its first migration."""
    with open_empty_postgres(secrets.token_hex(16)) as postgres:
        _bootstrap(postgres)
        yield postgres


def _bootstrap(postgres: Postgres) -> None:
    with psycopg.connect(postgres.dsn("supabase_admin"), autocommit=True) as db:
        # The password is made here, of hexadecimal digits.
        script = (tools.HERE / "bootstrap.sql").read_text().replace("{password}", postgres.password)
        db.execute(script.encode())
