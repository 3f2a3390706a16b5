"""Keeps the journal in PostgreSQL, for several workers: owns this worker's one connection to it.

A transaction begins with the fence: it holds the worker's row in `wa.workers`. Who takes a dead worker's instances
deletes that row first, which waits for what is under way here; what comes later finds no row and does nothing
(LeaseLost). So a commit is wholly before a change of owner, or not at all.

A connection that breaks is replaced at the next transaction, never within one. If it breaks while a commit is under
way, the server is asked what became of it, for as long as the lease can last.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from uuid import UUID

import psycopg
import structlog

from wa_worker.errors import JournalError, LeaseLost, StateError
from wa_worker.journal.postgres_sql import PostgresSql, prepared
from wa_worker.journal.review import Review
from wa_worker.postgres.connecting import connect, words_of
from wa_worker.postgres.dialect import translator
from wa_worker.postgres.migrations import FORMAT, format_of, upgrade
from wa_worker.postgres.patience import seconds_left
from wa_worker.postgres.url import StateUrl

log = structlog.get_logger(__name__)

DOUBT = 12.0
"""Seconds for which the server is asked what became of a commit whose answer was cut off: a worker that has not reached
its database for 10 s has stopped, and who takes its instances over settles what it had begun."""

_ASK_AGAIN = 0.2

_of_all = translator(None)


class PostgresDatabase:
    """Is the Database that several workers share: see there.

    worker: whose transactions these are, and whose instances' rows are looked for; None: of a tool that sees all, and
    that no fence holds, and that makes no tables and upgrades none, as a worker does.
    """

    def __init__(self, url: StateUrl, worker: UUID | None) -> None:
        self._url = url
        self._name = "journal" if worker is None else f"journal {worker}"
        self._translated = translator(worker)
        fence = "" if worker is None else _FENCE.format(worker=worker)
        self._begin = {durable: f"BEGIN;{'' if durable else _AT_EASE}{fence}" for durable in (True, False)}
        self._fenced = worker is not None
        self._trouble: str | None = None
        self._lock = threading.Lock()
        self._open: psycopg.Connection | None = None
        self._is_over = False
        with self._errors():
            try:
                if self._fenced:
                    upgrade(self._connected())
                else:
                    _check_format(self._connected())
            except BaseException:
                self._drop()
                raise

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[PostgresSql]:
        """Holds the lock for one transaction. Raises JournalError, or LeaseLost."""
        with self._errors(), self._alone():
            try:
                connection, number = self._begun(durable)
                try:
                    yield PostgresSql(connection, self._translated)
                    _refuse_failed(connection)
                except BaseException:
                    self._roll_back(connection)
                    raise
                self._commit(connection, number)
                self._trouble = None
            except (psycopg.Error, StateError, JournalError) as error:
                self._trouble = words_of(error) if isinstance(error, psycopg.Error) else str(error)
                raise

    @contextmanager
    def reading(self) -> Iterator[PostgresSql]:
        """Holds the lock for some queries, each of which is a transaction. Raises JournalError."""
        with self._errors(), self._alone():
            connection = self._connected()
            try:
                yield PostgresSql(connection, self._translated)
            except psycopg.Error:
                if seconds_left() == 0.0:  # its answer may still come
                    self._drop()
                raise

    @contextmanager
    def snapshot(self) -> Iterator[PostgresSql]:
        """Lets queries see one moment, on a connection that is open only for them. Raises JournalError."""
        with self._looking(self._translated) as sql:
            yield sql

    @contextmanager
    def everywhere(self) -> Iterator[PostgresSql]:
        """Does the same, and lets them see the rows of all workers' instances."""
        with self._looking(_of_all) as sql:
            yield sql

    @contextmanager
    def _looking(self, translated: Callable[[str], str]) -> Iterator[PostgresSql]:
        with self._errors(), closing(prepared(connect(self._url, "look"))) as connection:
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield PostgresSql(connection, translated)

    def trouble(self) -> str | None:
        """Says why the journal cannot commit, None if it can. After a failure it tries an empty transaction."""
        if self._trouble is not None:
            with suppress(JournalError, StateError), self.transaction():
                pass
        return self._trouble

    def size(self) -> int:
        """Returns the bytes that the tables take, with their indexes."""
        with self.reading() as sql:
            return int(sql.execute(_SIZE).fetchone()[0])

    def close(self) -> None:
        """Closes the connection, after the transaction that another thread may have open."""
        with self._lock:
            self._is_over = True
            self._drop()

    # --- the connection

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Holds the lock. Raises JournalError if others hold it for longer than this thread waits."""
        seconds = seconds_left()
        if not self._lock.acquire(timeout=-1 if seconds is None else seconds):
            raise JournalError(f"journal: others wait for PostgreSQL {self._url.place}, too")
        try:
            yield
        finally:
            self._lock.release()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except LeaseLost:
            raise
        except StateError as error:
            raise JournalError(f"journal: {error}") from error
        except psycopg.Error as error:
            raise JournalError(f"journal in PostgreSQL {self._url.place}: {words_of(error)}") from error

    def _connected(self) -> psycopg.Connection:
        """Returns the connection, or a new one if it is known to be broken."""
        if self._is_over:
            raise JournalError("the journal is closed")
        if self._open is None or self._open.closed:
            self._open = prepared(connect(self._url, self._name))
        return self._open

    def _drop(self) -> None:
        if self._open is not None:
            self._open.close()
        self._open = None

    # --- transactions

    def _begun(self, durable: bool) -> tuple[psycopg.Connection, str]:
        """Begins a transaction, and returns its number. Nothing is done yet, so one that breaks is begun anew, once:
        a server that was restarted since the last one is not seen before."""
        fresh = self._open is None
        try:
            return self._try_to_begin(durable)
        except psycopg.OperationalError:
            if fresh or self._open is not None or seconds_left() == 0.0:
                raise
        return self._try_to_begin(durable)

    def _try_to_begin(self, durable: bool) -> tuple[psycopg.Connection, str]:
        connection = self._connected()
        try:
            cursor = connection.execute(self._begin[durable].encode(), prepare=False)
            while cursor.nextset():
                pass
            row = cursor.fetchone() if self._fenced else ("",)
        except BaseException:
            # it may be one to a server that became a replica: the next one finds the other
            self._drop()
            raise
        if row is None:
            self._roll_back(connection)
            raise LeaseLost("this worker's lease has ended: nothing was written")
        return connection, row[0]

    def _roll_back(self, connection: psycopg.Connection) -> None:
        """Drops the connection if it cannot be asked: then the server has rolled back, or does it when it notices."""
        if connection.info.transaction_status is psycopg.pq.TransactionStatus.ACTIVE:
            self._drop()  # an answer was not waited for
            return
        try:
            connection.execute("ROLLBACK", prepare=False)
        except psycopg.Error:
            self._drop()

    def _commit(self, connection: psycopg.Connection, number: str) -> None:
        process = connection.info.backend_pid  # of one that is broken libpq does not say it any more
        try:
            connection.execute("COMMIT")
        except psycopg.Error as error:
            if not connection.closed:
                self._roll_back(connection)
                raise
            self._drop()
            if not number or not self._was_committed(number, process):
                raise
            log.warning("the answer to a commit was cut off; it was committed", reason=words_of(error))

    def _was_committed(self, number: str, process: int) -> bool:
        """Asks what became of a transaction. False: nothing of it has happened. Raises JournalError if the server
        cannot be asked in time: then its caller does it again, which is harmless (docs/architecture.md)."""
        left = seconds_left()
        until = time.monotonic() + (DOUBT if left is None else left)
        while True:
            with suppress(psycopg.Error, StateError):
                sql = self._connected()
                (status,) = sql.execute("SELECT pg_xact_status(%s::xid8)", (number,)).fetchone() or (None,)
                if status in _DECIDED:
                    return _DECIDED[status]
                # the COMMIT has not come to that process, which waits for one that never comes
                sql.execute("SELECT pg_terminate_backend(%s)", (process,))
            if time.monotonic() > until:
                raise JournalError("a commit was cut off, and nothing says whether it was done")
            time.sleep(_ASK_AGAIN)


@contextmanager
def open_state_review(url: StateUrl, *, write: bool = False) -> Iterator[Review]:
    """Opens the journal that several workers share, for what a person sees and decides. All instances are seen.

    Raises JournalError.
    """
    database = PostgresDatabase(url, None)
    try:
        yield Review(database)
    finally:
        database.close()


def _check_format(sql: psycopg.Connection) -> None:
    found = format_of(sql)
    if found == FORMAT:
        return
    raise StateError(
        f"a newer wa-worker wrote the state (format {found}, this one knows {FORMAT}): run that version"
        if found > FORMAT
        else f"the state has format {found}, this one works with {FORMAT}: start a worker once, it makes or upgrades it"
    )


def _refuse_failed(connection: psycopg.Connection) -> None:
    """Raises JournalError after an error that the transaction's code has caught: a COMMIT would roll back, and be
    silent about it."""
    if connection.info.transaction_status is psycopg.pq.TransactionStatus.INERROR:
        raise JournalError("a statement of this transaction has failed")


_SIZE = """
SELECT coalesce(sum(pg_total_relation_size(oid)), 0) FROM pg_class
WHERE relnamespace = 'wa'::regnamespace AND relkind = 'r'"""

_DECIDED = {"committed": True, "aborted": False}

_AT_EASE = " SET LOCAL synchronous_commit = off;"

_FENCE = " SELECT pg_current_xact_id()::text FROM wa.workers WHERE id = '{worker}' FOR KEY SHARE"
"""The lock needs a number of a transaction anyway: so it costs nothing to know it."""
