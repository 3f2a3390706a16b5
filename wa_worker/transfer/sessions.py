"""Copies whatsmeow's tables of one instance: between `session.db` and the schema `wa_<n>_<token>`.

whatsmeow makes its tables itself, once for each move (whatsapp/store_tables.py), and the others are made like these. In
both stores they have the same columns as long as whatsmeow's version is the same, and only then is anything copied.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import attrs
import psycopg
from psycopg import sql as composed

from wa_worker.durable import flush
from wa_worker.errors import SessionError, TransferError
from wa_worker.journal.connection import connect_read_only
from wa_worker.postgres.connecting import SCHEMA
from wa_worker.postgres.url import StateUrl
from wa_worker.transfer.values import Types, columns_in_file, copy_in, copy_out, quoted, raw_texts, types_of
from wa_worker.whatsapp.store_tables import file_dsn, make_tables

REFERENCE = "wa_reference"
"""The schema that whatsmeow fills for a move, and that is dropped after it. One move at a time: marks.py."""

VERSION, DEVICE = "whatsmeow_version", "whatsmeow_device"

_VERSION = "SELECT version, compat FROM whatsmeow_version"
_ANY_DEVICE = "SELECT 1 FROM whatsmeow_device"


@attrs.frozen
class Reference:
    """Describes the tables that this version's whatsmeow makes in PostgreSQL. foreign_keys: statements."""

    tables: Mapping[str, Types]
    version: tuple[int, int]
    foreign_keys: Sequence[str]


@contextmanager
def reference(sql: psycopg.Connection, url: StateUrl, environ: Mapping[str, str]) -> Iterator[Reference]:
    """Has whatsmeow make its tables in a schema that is there for the block. Raises TransferError, psycopg.Error."""
    _drop(sql)
    with sql.transaction():
        make_schema(sql, REFERENCE)
    try:
        make_tables(url.with_options(search_path=REFERENCE, application_name="wa-worker state"), environ)
        tables = types_of(sql, REFERENCE)
        version = sql.execute(_sql("SELECT version, compat FROM {}", (REFERENCE, VERSION))).fetchone()
        if version is None or DEVICE not in tables:
            raise TransferError("whatsmeow did not make its tables in PostgreSQL")
        with sql.transaction():
            sql.execute(_sql("SET LOCAL search_path = {}", (REFERENCE,)))  # then no name in them has a schema
            keys = [str(statement) for (statement,) in sql.execute(_FOREIGN_KEYS, (REFERENCE,))]
        yield Reference(tables, (version[0], version[1]), keys)
    except SessionError as error:
        raise TransferError(str(error)) from error
    finally:
        if not sql.closed:
            _drop(sql)


def _drop(sql: psycopg.Connection) -> None:
    sql.execute(_sql("DROP SCHEMA IF EXISTS {} CASCADE", (REFERENCE,)))


def make_schema(sql: psycopg.Connection, schema: str) -> None:
    """Makes an instance's schema as its first owner would: with an empty table of whatsmeow's version, without which
    whatsmeow takes that of any other schema for its own."""
    sql.execute(_sql("CREATE SCHEMA {}", (schema,)))
    sql.execute(_sql("CREATE TABLE {} (version integer, compat integer)", (schema, VERSION)))


@contextmanager
def opened(file: Path, known: Reference) -> Iterator[sqlite3.Connection | None]:
    """Opens the store of an instance to be read; None if it holds no device. Raises TransferError for one that another
    version of whatsmeow wrote."""
    try:
        with closing(connect_read_only(file)) as sql:
            raw_texts(sql)
            found = columns_in_file(sql)
            if DEVICE not in found or sql.execute(_ANY_DEVICE).fetchone() is None:
                yield None
                return
            version = sql.execute(_VERSION).fetchone()
            if version != known.version:
                raise TransferError(
                    f"{file} has whatsmeow's tables in version {version[0] if version else 'unknown'}, and this "
                    f"wa-worker has version {known.version[0]}: let this version's worker run on the volume once, with "
                    "all instances connected, and stop it again"
                )
            for table, columns in found.items():
                if unknown := set(columns) - known.tables.get(table, {}).keys():
                    raise TransferError(
                        f"{file} has {table}.{min(unknown)}, which whatsmeow does not have in PostgreSQL"
                    )
            yield sql
    except sqlite3.Error as error:
        raise TransferError(f"{file} cannot be read: {error}") from error


def import_session(sql: psycopg.Connection, file: sqlite3.Connection, known: Reference, schema: str) -> int:
    """Fills an instance's schema, which is as `make_schema` made it, in the caller's transaction. Returns the rows.
    Raises psycopg.Error, sqlite3.Error."""
    sql.execute(_sql("DROP TABLE {}", (schema, VERSION)))
    for table in known.tables:
        sql.execute(_sql("CREATE TABLE {} (LIKE {} INCLUDING ALL)", (schema, table), (REFERENCE, table)))
    count = 0
    for table, columns in columns_in_file(file).items():
        types = {column: known.tables[table][column] for column in columns}
        rows = file.execute(f"SELECT {', '.join(map(quoted, columns))} FROM {quoted(table)}")  # noqa: S608
        count += copy_in(sql, schema, table, types, rows)
    sql.execute(_sql("SET LOCAL search_path = {}", (schema,)))
    for statement in known.foreign_keys:
        sql.execute(statement.encode())
    sql.execute(_sql("SET LOCAL search_path = {}", (SCHEMA,)))
    return count


def is_paired(sql: psycopg.Connection, schema: str) -> bool:
    """Says whether an instance's schema holds a device. Raises psycopg.Error."""
    row = sql.execute("SELECT to_regclass(%s)", (f"{schema}.{DEVICE}",)).fetchone()
    if row is None or row[0] is None:
        return False
    return sql.execute(_sql("SELECT 1 FROM {} LIMIT 1", (schema, DEVICE))).fetchone() is not None


def make_file(folder: Path, environ: Mapping[str, str]) -> Path:
    """Has whatsmeow make its tables in a file, which others are copied from. Raises TransferError."""
    file = folder / "reference.db"
    try:
        make_tables(file_dsn(file), environ)
    except SessionError as error:
        raise TransferError(str(error)) from error
    return file


def export_session(sql: psycopg.Connection, schema: str, empty: Path, file: Path) -> int:
    """Makes the store of an instance from its schema, whole and on the disk, and returns the rows. empty: as
    `make_file` made it. Raises TransferError, psycopg.Error, sqlite3.Error, OSError."""
    file.parent.mkdir(mode=0o700, exist_ok=True)
    draft = file.with_name(f"{file.name}.part")
    shutil.copyfile(empty, draft)
    draft.chmod(0o600)
    with closing(sqlite3.connect(draft, isolation_level=None)) as into:
        into.execute("PRAGMA journal_mode=OFF")  # it has no name yet
        into.execute("BEGIN")
        made = columns_in_file(into)
        found = types_of(sql, schema)
        version = sql.execute(_sql("SELECT version, compat FROM {}", (schema, VERSION))).fetchone()
        if version != into.execute(_VERSION).fetchone():
            raise TransferError(
                f"{schema} has whatsmeow's tables in another version than this wa-worker: let this version's worker "
                "run on PostgreSQL once, with all instances connected, and stop it again"
            )
        into.execute("DELETE FROM whatsmeow_version")
        count = 0
        for table, types in found.items():
            if unknown := types.keys() - set(made.get(table, ())):
                raise TransferError(f"{schema} has {table}.{min(unknown)}, which whatsmeow does not have in SQLite")
            names = composed.SQL(", ").join(map(composed.Identifier, types))
            query = composed.SQL("SELECT {} FROM {}").format(names, composed.Identifier(schema, table))
            count += copy_out(sql, query, (), into, table)
        if broken := into.execute("PRAGMA foreign_key_check").fetchone():
            raise TransferError(f"{schema}: a row of {broken[0]} belongs to no device")
        into.execute("COMMIT")
    flush(draft)
    draft.replace(file)
    flush(file.parent)
    return count


def _sql(text: str, *names: tuple[str, ...]) -> composed.Composed:
    return composed.SQL(text).format(*(composed.Identifier(*name) for name in names))


_FOREIGN_KEYS = """
SELECT format('ALTER TABLE %%I ADD CONSTRAINT %%I %%s', r.relname, c.conname, pg_get_constraintdef(c.oid))
FROM pg_constraint c JOIN pg_class r ON r.oid = c.conrelid
WHERE c.contype = 'f' AND c.connamespace = %s::regnamespace ORDER BY r.relname, c.conname"""
