"""A PostgreSQL server of one test's own, which the test ends and starts again."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import attrs
import psycopg
import trio

from tests.postgres_server import Postgres, kill, open_empty_postgres, running
from tests.state_fixture import SUPERUSER, make_state_database
from wa_worker.postgres.url import StateUrl


@attrs.define(eq=False)
class Server:
    """Runs when the block begins. `url`: of a database in it that belongs to a role without rights."""

    postgres: Postgres
    url: StateUrl
    _restarts: ExitStack

    def kill(self) -> None:
        """Ends it at once, and all that is connected to it."""
        kill(self.postgres)

    def answers(self) -> bool:
        """Says whether it takes connections. Blocking."""
        try:
            psycopg.connect(self.postgres.dsn(SUPERUSER), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    async def start(self) -> None:
        """Starts it again. Returns once it answers."""
        await trio.to_thread.run_sync(self._restarts.enter_context, running(self.postgres))


@contextmanager
def open_server(disk: Path | None = None) -> Iterator[Server]:
    """disk: a folder that takes its data."""
    with (
        open_empty_postgres(secrets.token_hex(16), SUPERUSER, on_port=True, disk=disk) as postgres,
        ExitStack() as restarts,
    ):
        yield Server(postgres, make_state_database(postgres), restarts)
