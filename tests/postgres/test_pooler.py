"""A real PgBouncer: in transaction mode it is refused, however it is set, and the direct way never is."""

from __future__ import annotations

from contextlib import closing

import psycopg
import pytest
from psycopg import sql

from tests.postgres_pooler import PROGRAM, open_pooler
from tests.postgres_server import Postgres
from tests.state_fixture import SUPERUSER
from wa_worker.errors import StateError, UnfitState
from wa_worker.postgres.connecting import connect
from wa_worker.postgres.fitness import POOLER, TOO_OLD, unfit
from wa_worker.postgres.pooler import is_behind_a_pooler, refuse_pooler
from wa_worker.postgres.url import StateUrl

needs_pgbouncer = pytest.mark.skipif(PROGRAM is None, reason="needs PgBouncer (Debian: pgbouncer)")

IGNORES = "extra_float_digits,options"


def ask(url: StateUrl) -> bool:
    with closing(connect(url, "test")) as connection:
        refuse_pooler(url, connection)
        return is_behind_a_pooler(connection)


def keep_settings(server: Postgres, url: StateUrl) -> None:
    """Gives the role by itself what a connection of ours asks for, so that nothing of it is missing behind a pooler."""
    with psycopg.connect(server.dsn(SUPERUSER), autocommit=True) as admin:
        for setting in ("search_path = wa", "lock_timeout = '10s'"):
            admin.execute(sql.SQL("ALTER ROLE {} SET " + setting).format(sql.Identifier(url.user)))


def test_the_direct_way_is_taken(state_url: StateUrl) -> None:
    assert not ask(state_url)


@needs_pgbouncer
@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_one_that_refuses_the_settings(state_url: StateUrl, mode: str) -> None:
    with (
        open_pooler(state_url, mode) as pooled,
        pytest.raises(UnfitState, match="settings of a connection: unsupported startup parameter: options") as raised,
    ):
        ask(pooled)
    assert raised.value.remedy == POOLER
    assert state_url.password.reveal() not in str(raised.value)


@needs_pgbouncer
def test_one_that_drops_the_settings(state_url: StateUrl) -> None:
    with (
        open_pooler(state_url, "session", IGNORES) as pooled,
        pytest.raises(UnfitState, match="settings of a connection are lost"),
    ):
        ask(pooled)


@needs_pgbouncer
@pytest.mark.parametrize("size", [1, 20])
def test_one_that_gives_each_transaction_another_connection(
    state_server: Postgres, state_url: StateUrl, size: int
) -> None:
    keep_settings(state_server, state_url)
    with (
        open_pooler(state_url, "transaction", IGNORES, size) as pooled,
        pytest.raises(UnfitState, match="two transactions of one connection were on two of the server's"),
    ):
        ask(pooled)


@needs_pgbouncer
def test_one_that_shares_none(state_server: Postgres, state_url: StateUrl) -> None:
    keep_settings(state_server, state_url)
    with open_pooler(state_url, "session", IGNORES) as pooled:
        assert ask(pooled)


def test_what_is_no_word_about_the_server() -> None:
    assert unfit("db:5432/wa", 'FATAL:  password authentication failed for user "wa"') is None
    old = unfit("db:5432/wa", 'FATAL:  unrecognized configuration parameter "idle_session_timeout"')
    assert old is not None
    assert (old.found, old.remedy) == ("PostgreSQL db:5432/wa is older than 14", TOO_OLD)
    assert isinstance(old, StateError)
