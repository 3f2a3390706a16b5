"""Says what the journal wants of a database: transactions, reads, and looks beside them.

Two keep it: sqlite_database.py, a file on the volume, and postgres_database.py, which several workers share. The SQL is
one for both, SQLite's; postgres/dialect.py says what differs and how that is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

Values = Sequence[Any] | Mapping[str, Any]


class Rows(Protocol):
    """The result of a statement. `rowcount`: how many rows it changed."""

    @property
    def rowcount(self) -> int: ...

    def fetchone(self) -> Any: ...

    def fetchall(self) -> list[Any]: ...

    def __iter__(self) -> Iterator[Any]: ...


class Sql(Protocol):
    """Runs statements, on one connection. Errors are the driver's own: whoever lends it makes JournalError of them."""

    def execute(self, query: str, values: Values = ..., /) -> Rows: ...

    def executemany(self, query: str, rows: Iterable[Values], /) -> Rows: ...


class Database(Protocol):
    """Owns a connection, which all threads share by a lock. Nobody may use it after `close()`.

    All of it is blocking, and raises JournalError when the database cannot; then nothing of it has happened.
    """

    def transaction(self, *, durable: bool = True) -> AbstractContextManager[Sql]:
        """Holds the lock for one transaction, which it commits, or rolls back on any exception.

        Not `durable`: the commit does not wait for the disk. It survives the process, and the next that is durable
        takes it to the disk; until then the machine's power must not fail.

        Raises LeaseLost, with several workers, when this one may not write any more.
        """

    def reading(self) -> AbstractContextManager[Sql]:
        """Holds the lock for some queries, without a transaction."""

    def snapshot(self) -> AbstractContextManager[Sql]:
        """Lets queries see one moment, on a connection of their own: they hold nobody up."""

    def trouble(self) -> str | None:
        """Says why the journal cannot commit, None if it can. After a failure it tries, with a commit of nothing."""

    def close(self) -> None:
        """Closes it, after the transaction that another thread may have open."""
