"""State databases for tests: a real PostgreSQL server, and in it a database and a role of its own for each test."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg import sql

from tests.postgres_server import Postgres, open_empty_postgres, program
from wa_worker.postgres.url import StateUrl

SUPERUSER = "postgres"


@pytest.fixture(scope="session")
def state_server() -> Iterator[Postgres]:
    """One for each process of tests; two seconds."""
    if program("initdb") is None:
        pytest.skip("PostgreSQL not found: run .ci/worker-proxy-services")
    with open_empty_postgres(secrets.token_hex(16), SUPERUSER, on_port=True) as server:
        yield server


@pytest.fixture
def state_url(state_server: Postgres) -> Iterator[StateUrl]:
    """An empty database whose owner may do nothing else on this server, as docs/scaling.md has it made."""
    with open_state_database(state_server) as url:
        yield url


@contextmanager
def open_state_database(state_server: Postgres) -> Iterator[StateUrl]:
    url = make_state_database(state_server)
    try:
        yield url
    finally:
        with psycopg.connect(state_server.dsn(SUPERUSER), autocommit=True) as admin:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(url.database)))
            admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(url.database)))


def make_state_database(state_server: Postgres) -> StateUrl:
    name, password = f"wa_{secrets.token_hex(6)}", secrets.token_hex(16)
    with psycopg.connect(state_server.dsn(SUPERUSER), autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(name), sql.Literal(password)))
        admin.execute(sql.SQL("CREATE DATABASE {0} OWNER {0}").format(sql.Identifier(name)))
    return StateUrl.of(f"postgres://{name}:{password}@127.0.0.1:{state_server.port}/{name}")
