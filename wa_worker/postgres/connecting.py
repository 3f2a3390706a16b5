"""Opens connections to the state database, for our own tables, and gives all their errors one class.

psycopg's own synchronous connections, on the threads of whoever calls: its asynchronous ones are for asyncio.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from wa_worker.errors import StateError
from wa_worker.postgres.fitness import unfit
from wa_worker.postgres.patience import seconds_left
from wa_worker.postgres.url import StateUrl

SCHEMA = "wa"
"""Where our own tables are. Instances' keys have schemas of their own (ownership/)."""

KEEPALIVE = {"keepalives_idle": "10", "keepalives_interval": "5", "keepalives_count": "2", "tcp_user_timeout": "10000"}
"""A server that is gone without a word is noticed within 20 s (postgresql.org/docs, libpq-connect)."""


class PatientConnection(psycopg.Connection[tuple[Any, ...]]):
    """Waits for an answer no longer than its thread does (patience.py). Then it is of no more use: close it."""

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        left = seconds_left()
        return super().wait(gen, interval, timeout if left is None else left)


SOON = 2
"""Seconds for a new connection for who does not wait for long: the least that libpq allows (postgresql.org/docs,
libpq-connect), for each address of the host."""


def connect(
    url: StateUrl, name: str, *, statement_timeout: float = 10.0, connect_timeout: int | None = None
) -> PatientConnection:
    """Opens a connection of ours, in which each statement is a transaction unless one is begun. Blocking.

    name: what the server's list of connections says of it, behind "wa-worker ". statement_timeout: seconds after which
    the server ends a statement. connect_timeout: seconds, 2 at the least, unless it is the URL's, or SOON for a thread
    that does not wait for long. Raises StateError; at once if its thread waits no longer.
    """
    left = seconds_left()
    if left is not None:
        connect_timeout = SOON
    if left == 0.0:
        raise StateError(f"PostgreSQL {url.place}: it does not answer in time")
    settings = {
        "search_path": SCHEMA,
        "statement_timeout": f"{statement_timeout * 1000:.0f}",
        "lock_timeout": f"{statement_timeout * 1000:.0f}",
        "idle_session_timeout": "0",  # that of the role is for the sessions' connections
        "idle_in_transaction_session_timeout": "30000",
        "client_min_messages": "warning",
        "timezone": "UTC",
        "synchronous_commit": "on",  # WhatsApp believes that we have what is committed
    }
    options = " ".join(f"-c {key}={value}" for key, value in settings.items())
    with state_errors(url):
        info = make_conninfo(
            url.with_options().reveal(), application_name=f"wa-worker {name}", options=options, **KEEPALIVE
        )
        if connect_timeout is not None:
            info = make_conninfo(info, connect_timeout=connect_timeout)
        return PatientConnection.connect(info, autocommit=True, prepare_threshold=3)


@contextmanager
def state_errors(url: StateUrl) -> Iterator[None]:
    """Raises StateError for what psycopg raises. Its words name the host and the user, never the password.

    UnfitState where a pooler or a server says that it does not know what every connection of ours asks for.
    """
    try:
        yield
    except psycopg.Error as error:
        words = words_of(error)
        raise unfit(url.place, words) or StateError(f"PostgreSQL {url.place}: {words}") from error


def words_of(error: psycopg.Error) -> str:
    """Returns the first line of what the server or the driver says."""
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__
