"""Copies the journal's rows of one instance, between `journal.db` and the schema `wa`, and what all instances share.

The tables and columns have the same names in both. In PostgreSQL chats and messages get new numbers, in the same order.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import attrs
import psycopg
from psycopg import sql as composed

from wa_worker.errors import TransferError
from wa_worker.models import InstanceId, instance_id
from wa_worker.postgres.connecting import SCHEMA
from wa_worker.transfer.values import Types, columns_in_file, copy_in, copy_out, quoted, types_of

_OF_CHAT = "chat IN (SELECT id FROM chats WHERE instance = {})"
_OF_MESSAGE = f"message_seq IN (SELECT seq FROM inbox WHERE {_OF_CHAT})"  # noqa: S608 - names of ours


@attrs.frozen
class Table:
    """Describes a table with rows of instances. number: the column that is given out anew, if any; refers: the column
    with a number of another table, and which. `{}` in `condition` is the instance."""

    name: str
    condition: str = "instance = {}"
    number: str | None = None
    refers: tuple[str, str] | None = None


OWN = (
    Table("chats", number="id"),
    Table("inbox", _OF_CHAT, number="seq", refers=("chat", "chats")),
    Table("media", _OF_MESSAGE, refers=("message_seq", "inbox")),
    Table("ledger", number="seq"),
    Table("receipts", number="seq"),
    Table("changes", number="seq"),
    *map(Table, ("holds", "let_go", "chat_timers", "calls", "groups", "contacts", "linked_accounts", "polls")),
)
"""In the order in which rows may be written."""

HASHED = frozenset({"contacts", "linked_accounts"})
"""Tables whose rows mean nothing without the key in `contact_key`."""

SHARED = frozenset({"accounts", "contact_key"})

SETTLES_BY_ITSELF = frozenset({"changes", "holds"})
"""Tables in which an instance that was only tried may have rows."""


def import_shared(sql: psycopg.Connection, file: sqlite3.Connection) -> bool:
    """Adds what all instances of a journal share, in the caller's transaction. Says whether `contacts` can come along:
    they cannot if the key of their hashes is another one there. Raises psycopg.Error, sqlite3.Error."""
    with sql.cursor() as cursor:
        cursor.executemany(
            _ACCOUNT, [(str(a, "utf-8"), str(j, "utf-8"), at) for a, j, at in file.execute("SELECT * FROM accounts")]
        )
    row = file.execute("SELECT key FROM contact_key").fetchone()
    if row is None:
        return True  # nothing was hashed
    sql.execute("INSERT INTO contact_key VALUES (%s) ON CONFLICT DO NOTHING", (row[0],))
    sql.execute(_UNUSED_KEY, (row[0],))
    return sql.execute("SELECT key FROM contact_key").fetchone() == (row[0],)


def import_rows(
    sql: psycopg.Connection, file: sqlite3.Connection, instance: InstanceId, *, without: Collection[str] = ()
) -> int:
    """Copies an instance's rows, in the caller's transaction, but for the tables in `without`. Returns how many.

    Files on their way are wanted again. Nothing proves of a send under way that it did not leave: the session's store
    is another one. Raises TransferError, psycopg.Error, sqlite3.Error.
    """
    types, columns = types_of(sql, SCHEMA), columns_in_file(file)
    numbers: dict[str, dict[int, int]] = {}
    count = 0
    for table in OWN:
        if table.name in without:
            continue
        names = columns[table.name]
        if unknown := set(names) - types[table.name].keys():
            raise TransferError(f"the journal has {table.name}.{min(unknown)}, which it does not have in PostgreSQL")
        rows = [dict(zip(names, row, strict=True)) for row in file.execute(_select(table, names), (instance,))]
        if table.number is not None:
            new = _numbers(sql, table.name, table.number, len(rows))
            numbers[table.name] = dict(zip((row[table.number] for row in rows), new, strict=True))
            for row in rows:
                row[table.number] = numbers[table.name][row[table.number]]
        for row in rows:
            if table.refers is not None:
                column, other = table.refers
                row[column] = numbers[other][row[column]]
            row.update(_unproven(table.name, row))
        kinds = {name: types[table.name][name] for name in names}
        count += copy_in(sql, SCHEMA, table.name, kinds, [list(row.values()) for row in rows])
    return count


def _unproven(table: str, row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns what is no longer so once the session and the files are elsewhere."""
    if table == "ledger":
        return {"store": None}
    if table == "media" and row["step"] in (b"stored", "stored"):
        return {"step": "wanted"}
    return {}


def _numbers(sql: psycopg.Connection, table: str, column: str, count: int) -> list[int]:
    return [row[0] for row in sql.execute(_NEXT, (f"{SCHEMA}.{table}", column, count))]


def count_rows(file: sqlite3.Connection, instance: InstanceId) -> int:
    """Raises sqlite3.Error."""
    counts = [f"SELECT count(*) FROM {quoted(each.name)} WHERE {each.condition.format('?')}" for each in OWN]  # noqa: S608
    return sum(file.execute(count, (instance,)).fetchone()[0] for count in counts)


def instances_in_file(file: sqlite3.Connection) -> Iterator[InstanceId]:
    """Yields the instances that have rows, some more than once. Raises sqlite3.Error."""
    for table in OWN:
        if table.refers is None:
            for (name,) in file.execute(f"SELECT DISTINCT instance FROM {quoted(table.name)}"):  # noqa: S608
                yield instance_id(str(name, "utf-8") if isinstance(name, bytes) else name)


def has_work(sql: psycopg.Connection, instance: InstanceId) -> bool:
    """Says whether something waits that an owner would do without a session. Raises psycopg.Error."""
    row = sql.execute(_WORK, {"instance": instance}).fetchone()
    return row is not None and bool(row[0])


def has_rows(sql: psycopg.Connection, instance: InstanceId) -> bool:
    """Says whether PostgreSQL knows more of an instance than that it was tried. Raises psycopg.Error."""
    tables = [quoted(each.name) for each in OWN if each.refers is None and each.name not in SETTLES_BY_ITSELF]
    queries = [f"SELECT 1 FROM {name} WHERE instance = %s LIMIT 1".encode() for name in tables]  # noqa: S608
    return any(sql.execute(query, (instance,)).fetchone() for query in queries)


def export_rows(sql: psycopg.Connection, file: sqlite3.Connection, instance: InstanceId) -> int:
    """Copies an instance's rows into a journal, in the caller's transactions. They keep their numbers. Returns how
    many. Raises TransferError, psycopg.Error, sqlite3.Error."""
    types, columns = types_of(sql, SCHEMA), columns_in_file(file)
    count = 0
    for table in OWN:
        if unknown := types[table.name].keys() - set(columns[table.name]):
            raise TransferError(f"{SCHEMA}.{table.name} has {min(unknown)}, which the journal does not have in a file")
        count += copy_out(sql, _query(table, types[table.name]), (instance,), file, table.name)
    file.execute("UPDATE ledger SET store = NULL WHERE store IS NOT NULL")
    file.execute("UPDATE media SET step = 'wanted' WHERE step = 'stored'")
    return count


def export_shared(sql: psycopg.Connection, file: sqlite3.Connection) -> None:
    """Raises psycopg.Error, sqlite3.Error."""
    for table in sorted(SHARED):
        copy_out(sql, composed.SQL("SELECT * FROM {}").format(composed.Identifier(table)), (), file, table)


def delete_rows(sql: psycopg.Connection, instances: Sequence[InstanceId]) -> None:
    """Deletes all rows of instances, in the caller's transaction. Raises psycopg.Error."""
    for table in reversed(OWN):
        condition = table.condition.replace("= {}", "= ANY(%s)")
        sql.execute(f"DELETE FROM {quoted(table.name)} WHERE {condition}".encode(), (list(instances),))  # noqa: S608


def _select(table: Table, columns: Sequence[str]) -> str:
    names, order = ", ".join(map(quoted, columns)), f"ORDER BY {table.number}" if table.number else ""
    return f"SELECT {names} FROM {quoted(table.name)} WHERE {table.condition.format('?')} {order}"  # noqa: S608


def _query(table: Table, types: Types) -> composed.Composed:
    names = composed.SQL(", ").join(map(composed.Identifier, types))
    condition = composed.SQL(table.condition.format("%s"))
    return composed.SQL("SELECT {} FROM {} WHERE {}").format(names, composed.Identifier(table.name), condition)


_ACCOUNT = """
INSERT INTO accounts (asked, jid, learned_at) VALUES (%s, %s, %s) ON CONFLICT (asked)
DO UPDATE SET jid = excluded.jid, learned_at = excluded.learned_at WHERE accounts.learned_at < excluded.learned_at"""

# A worker makes a key when it starts; before there is a row that was hashed with it, any other will do. One that runs
# remembers its own.
_UNUSED_KEY = """
UPDATE contact_key SET key = %s WHERE NOT EXISTS (SELECT FROM contacts) AND NOT EXISTS (SELECT FROM linked_accounts)
AND NOT EXISTS (SELECT FROM workers)"""

_NEXT = "SELECT nextval(pg_get_serial_sequence(%s, %s)) FROM generate_series(1, %s)"

_WORK = """
SELECT EXISTS (SELECT FROM inbox WHERE state = 'pending'
  AND chat IN (SELECT id FROM chats WHERE instance = %(instance)s))
OR EXISTS (SELECT FROM ledger WHERE instance = %(instance)s
  AND (state IN ('intent', 'sent') OR (state = 'failed' AND reported = 0)))"""
