"""An instance's schema in the PostgreSQL database of `STATE_URL`: `wa_<n>_<token>`, which whatsmeow fills with tables.

The name carries the fencing token. Whoever takes an instance over renames its schema, so a session that another worker
still has open finds no table, and sends nothing: whatsmeow reads the session's row before each send.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
import psycopg
import structlog
import trio
from psycopg import sql

from wa_worker.errors import SessionError, StateError
from wa_worker.models import InstanceId, Secret
from wa_worker.postgres.connecting import connect, state_errors
from wa_worker.postgres.url import StateUrl
from wa_worker.whatsapp.store import ARCHIVES_KEPT, LOOK, Reader, SessionStore, StoreLost, StoreTrouble, Value
from wa_worker.whatsapp.store_reader import NoSuchTable, StoreReader

log = structlog.get_logger(__name__)

IDLE = 30.0
"""Seconds without a statement after which the server closes a connection of a session. whatsmeow keeps two of each
session, and two more for each time that it was opened again, and never closes one; the next statement opens another."""

STATEMENT = 10.0
"""Seconds after which the server ends a statement of whatsmeow's: it has no time-out of its own."""

ENDED = 5.0
"""Seconds for the connections of an older session to end."""

FRESH = 2.0
"""Seconds for which it is believed that PostgreSQL answers, or does not: a thousand sessions ask."""

LOCK = 0x77615F73
"""The first number of the advisory lock that guards the schemas of an instance: "wa_s" in ASCII; the other is its n."""

SCHEMA = re.compile(r"wa_([0-9]{1,18})_([0-9]{1,18})")

_TORN = re.compile(r"\b(?:dial|read|write) (?:tcp|unix)\b|unexpected EOF|i/o timeout|no such host")
_NOT_THE_STORE = re.compile(r"websocket|web\.whatsapp\.|\bwss?://|https?://|media host", re.IGNORECASE)
"""Connections of whatsmeow that are none to its store."""

_DRIVER = re.compile(r"\bpq: |driver: bad connection|\bsql: (?:database|connection|transaction)")
_CODE = re.compile(r"\bpq: .*\(([0-9A-Z]{5})\)", re.DOTALL)
"""The SQLSTATE of an error, as lib/pq writes it."""

_LOST = ("42P01", "3F000")
"""undefined_table, invalid_schema_name (postgresql.org/docs, Appendix A)."""

_NO_TROUBLE = ("57P05", "22", "23")
"""How codes begin that are none of the store: idle_session_timeout, since the next statement opens another connection;
and the classes of what was to be written, data exception and integrity constraint violation: no new connection helps
against those."""


@attrs.frozen
class SchemaStore(SessionStore):
    """Describes the session store of an instance that has a schema.

    application_name: what the server's list of connections calls those of its session. idle: seconds after which the
    server closes one of them.
    """

    newest_first = "age(xmin)"

    url: StateUrl
    schema: str = attrs.field()
    application_name: str
    idle: float
    _reader: StoreReader = attrs.field(repr=False)

    @schema.validator
    def _named(self, _attribute: object, value: str) -> None:
        if not SCHEMA.fullmatch(value):
            raise ValueError(f"{value!r} is no schema of an instance: wa_<n>_<token>")

    @property
    def n(self) -> int:
        """The number of the instance in the state database."""
        return int(self.schema.split("_")[1])

    @property
    def place(self) -> str:
        return f"{self.schema} in {self.url.place}"

    @property
    def dsn(self) -> Secret:
        """The settings behind those of the URL are the server's, which lib/pq hands to it. neonize first takes all of
        it for the path of an SQLite file, which is in no folder that is there, and then for what it is.

        `synchronous_commit`: what is committed is on the disk, so what is not there was never sent (message_secrets.py)
        """
        return self.url.with_options(
            search_path=self.schema,
            application_name=self.application_name,
            idle_session_timeout=f"{self.idle * 1000:.0f}",
            statement_timeout=f"{STATEMENT * 1000:.0f}",
            synchronous_commit="on",
        )

    def trouble(self, line: str) -> StoreTrouble | None:
        if found := _CODE.search(line):
            code = found[1]
            if code.startswith(_NO_TROUBLE):
                return None
            return StoreTrouble.LOST if code in _LOST else StoreTrouble.AWAY
        torn = _TORN.search(line) and not _NOT_THE_STORE.search(line)
        return StoreTrouble.AWAY if torn or _DRIVER.search(line) else None

    def prepare(self) -> None:
        """Makes the schema if the instance has none, with an empty table of whatsmeow's version: without it whatsmeow
        takes that of any other schema for its own. Raises StoreLost if the instance's schema has another token."""
        if Path("postgres:").exists():
            raise SessionError("a folder 'postgres:' in the working directory: neonize would make an SQLite file there")
        with self._changing() as database:
            self._make(database)

    def first_row(self, query: str, *parameters: str) -> tuple[Value, ...] | None:
        try:
            with self._reader.reading(self.schema, LOOK) as reader:
                rows = reader.rows(query, *parameters)
        except NoSuchTable:
            self._refuse_lost()
            return None
        return rows[0] if rows else None

    @contextmanager
    def reading(self, longest: float) -> Iterator[Reader]:
        with self._reader.reading(self.schema, longest) as reader:
            yield reader

    def identity(self, reader: Reader) -> tuple[object, ...]:
        """It is the same for whoever takes the instance over. It is another in another database, and once the database
        was restored to a moment or a replica took over, of which the timeline tells: rows may be gone then."""
        (cluster, timeline), *_ = reader.rows(
            "SELECT (pg_control_system()).system_identifier::text, left(pg_walfile_name(pg_current_wal_lsn()), 8)"
        )
        return (cluster, timeline, self.url.database, self.n)

    def archive(self) -> str | None:
        """Ends what is left of its session's connections first: an old transaction would hold the tables."""
        with self._changing() as database:
            if not self._owned(database):
                return None
            (made,) = database.execute("SELECT to_regclass(%s)", (f"{self.schema}.whatsmeow_device",)).fetchone() or ()
            if made is None:
                return None
            self._end_connections(database)
            target = self._free_name(database)
            database.execute(_sql("ALTER SCHEMA {} RENAME TO {}", self.schema, target))
            self._make(database)
            others = [name for name in self._archives(database) if name != target]
            for old in others[: max(len(others) + 1 - ARCHIVES_KEPT, 0)]:
                database.execute(_sql("DROP SCHEMA {} CASCADE", old))
        return target

    @contextmanager
    def _changing(self, patience: float = STATEMENT) -> Iterator[psycopg.Connection]:
        """Yields a transaction that is alone with the schemas of this instance. Raises SessionError."""
        try:
            with (
                state_errors(self.url),
                connect(self.url, "schemas", statement_timeout=patience) as database,
                database.transaction(),
            ):
                database.execute("SELECT pg_advisory_xact_lock(%s, %s)", (LOCK, self.n % 2**31))
                yield database
        except StateError as error:
            raise SessionError(f"session store {self.schema}: {error}") from error

    def _owned(self, database: psycopg.Connection) -> bool:
        """Says whether the schema is there. Raises StoreLost if the instance has one with another token instead."""
        found = {
            str(name)
            for (name,) in database.execute(
                "SELECT nspname FROM pg_namespace WHERE nspname ~ %s", (f"^wa_{self.n}_[0-9]+$",)
            )
        }
        if found - {self.schema}:
            raise StoreLost(f"session store {self.schema}: it is called {', '.join(sorted(found))} by now")
        return self.schema in found

    def _refuse_lost(self) -> None:
        with self._changing() as database:
            self._owned(database)

    def _make(self, database: psycopg.Connection) -> None:
        if self._owned(database):
            return
        database.execute(_sql("CREATE SCHEMA {}", self.schema))
        database.execute(_sql("CREATE TABLE {}.whatsmeow_version (version integer, compat integer)", self.schema))

    def _end_connections(self, database: psycopg.Connection) -> None:
        ends = time.monotonic() + ENDED
        while database.execute(_TERMINATE, (self.application_name,)).rowcount and time.monotonic() < ends:
            time.sleep(0.02)

    def _archives(self, database: psycopg.Connection) -> list[str]:
        found = database.execute(
            "SELECT nspname FROM pg_namespace WHERE nspname ~ %s ORDER BY nspname", (f"^wa_{self.n}_x",)
        )
        return [str(name) for (name,) in found]

    def _free_name(self, database: psycopg.Connection) -> str:
        name, taken = f"wa_{self.n}_x{time.strftime('%Y%m%d%H%M%S', time.gmtime())}", self._archives(database)
        while name in taken:
            name += "_"
        return name


class SchemaStores:
    """Hands out the schemas of the instances that this worker owns. Its owner says which those are."""

    def __init__(self, url: StateUrl, *, idle: float = IDLE) -> None:
        self._url = url
        self._idle = idle
        self._reader = StoreReader(url)
        self._held: dict[InstanceId, SchemaStore] = {}
        self._asking = trio.Lock()
        self._asked = -math.inf
        self._problem: str | None = None

    def gained(self, instance: InstanceId, schema: str, application_name: str) -> None:
        """The instance is this worker's, and so is that schema. Before it is started."""
        self._held[instance] = SchemaStore(self._url, schema, application_name, self._idle, self._reader)

    def lost(self, instance: InstanceId) -> None:
        """It is not any more. After its session has closed."""
        self._held.pop(instance, None)

    def of(self, instance: InstanceId) -> SchemaStore:
        """Raises SessionError if the instance is not this worker's."""
        store = self._held.get(instance)
        if store is None:
            raise SessionError(f"the session store of {instance} is not this worker's")
        return store

    def look(self, instance: InstanceId) -> SchemaStore:
        if (store := self._held.get(instance)) is not None:
            return store
        with self._reader.reading("wa", LOOK) as reader:
            rows = reader.rows("SELECT 'wa_' || n || '_' || token FROM wa.instances WHERE id = ?", instance)
        if not rows:
            raise SessionError(f"{instance} is not known in {self._url.place}")
        return SchemaStore(self._url, str(rows[0][0]), "look", self._idle, self._reader)

    def paired(self) -> Iterator[InstanceId]:
        for instance, store in sorted(self._held.items()):
            try:
                paired = store.is_paired()
            except SessionError as error:
                log.error("a session store cannot be read", instance=instance, reason=str(error))
                paired = True  # its instance finds out, and tries again
            if paired:
                yield instance

    async def problem(self) -> str | None:
        """Asks PostgreSQL at most once in FRESH seconds. Takes some seconds if that says nothing."""
        async with self._asking:
            if time.monotonic() - self._asked >= FRESH:
                self._problem = await trio.to_thread.run_sync(self._reader.problem)
                self._asked = time.monotonic()
            return self._problem

    def close(self) -> None:
        """Closes the connection that it reads with."""
        self._reader.close()


_TERMINATE = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = %s AND pid <> pg_backend_pid()"""


def _sql(text: str, *names: str) -> sql.Composed:
    return sql.SQL(text).format(*map(sql.Identifier, names))
