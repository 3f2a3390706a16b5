"""Which move a volume and an instance are in, so that one that was cut off goes on: never twice, and never half.

A volume has the number of its move in a file. An instance has it in PostgreSQL in the comment of its schema, which is
written in the transaction that it tells of. While a move is under way, and for good after an export, nobody claims the
instance: its `not_before` is infinity.
"""

from __future__ import annotations

import enum
import json
import re
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import attrs
import psycopg
from psycopg import sql as composed

from wa_worker.durable import flush, write_json
from wa_worker.errors import TransferError
from wa_worker.models import RESERVED_FOLDER, InstanceId
from wa_worker.transfer.journal import has_rows
from wa_worker.transfer.sessions import is_paired, make_schema

FILE = "move.json"

BATCH = 100
"""Instances whose schemas are made or renamed in one transaction: the server has room for some thousand locks."""

LOCK = 0x77612D6D6F7665
"""The advisory lock's number: "wa-move" in ASCII."""

_MARK = re.compile(r"moved (in|out|away) [0-9a-f-]{36}")


class Mark(enum.StrEnum):
    """Says how far an instance has come: `moved in UUID` is what the comment says."""

    IN = "in"
    OUT = "out"
    """It is being written to the volume."""
    AWAY = "away"
    """It is on the volume, and nothing of it is left here but what was archived."""

    def of(self, move: str) -> str:
        return f"moved {self} {move}"


@attrs.frozen
class Row:
    """Describes an instance in PostgreSQL.

    owner: the worker that runs it, if its lease has not run out. held: nobody can claim it. marks: the comments of its
    schemas by name, those of archives too.
    """

    instance: InstanceId
    n: int
    token: int
    owner: str | None
    held: bool
    egress: str | None
    schemas: tuple[str, ...]
    marks: Mapping[str, str]

    @property
    def schema(self) -> str:
        return f"wa_{self.n}_{self.token}"

    @property
    def mark(self) -> str | None:
        """What the move says that it is in, or was in last."""
        archives = sorted(name for name in self.marks if name not in self.schemas)
        return self.marks.get(self.schema) or (self.marks[archives[-1]] if archives and not self.schemas else None)

    @property
    def is_away(self) -> bool:
        """Says whether an export has brought it to a volume."""
        return self.held and (self.mark or "").startswith("moved away ")

    def has_come(self, move: str) -> bool:
        """Says whether a move has brought it here, and wholly. Its keys may be archived since, by an owner."""
        return not self.held and Mark.IN.of(move) in self.marks.values()


# --- the volume


def move_of(auth_dir: Path) -> str | None:
    """Returns the move that a volume is in. Raises TransferError, OSError."""
    try:
        return str(uuid.UUID(json.loads((auth_dir / RESERVED_FOLDER / FILE).read_text("utf-8"))["move"]))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError):
        raise TransferError(f"{auth_dir / RESERVED_FOLDER / FILE} cannot be read: it names the move") from None


def begin_move(auth_dir: Path) -> str:
    """Returns the move that a volume is in, or gives it one. Raises TransferError, OSError."""
    move = move_of(auth_dir)
    if move is None:
        move = str(uuid.uuid4())
        write_json(auth_dir / RESERVED_FOLDER / FILE, {"move": move})
    return move


def forget_move(auth_dir: Path) -> None:
    """Raises OSError."""
    (auth_dir / RESERVED_FOLDER / FILE).unlink(missing_ok=True)
    flush(auth_dir / RESERVED_FOLDER)


# --- PostgreSQL


@contextmanager
def only_move(sql: psycopg.Connection) -> Iterator[None]:
    """Keeps other moves out for the block, or until the connection breaks. Raises TransferError."""
    if sql.execute("SELECT pg_try_advisory_lock(%s)", (LOCK,)).fetchone() != (True,):
        raise TransferError("another `wa-worker state import` or `export` works on this database: wait for its end")
    try:
        yield
    finally:
        if not sql.closed:
            sql.execute("SELECT pg_advisory_unlock(%s)", (LOCK,))


def rows(sql: psycopg.Connection, instances: Sequence[InstanceId] | None = None) -> dict[InstanceId, Row]:
    """Returns what PostgreSQL has of instances, of all by default. Raises psycopg.Error."""
    found = sql.execute(_ROWS, {"ids": None if instances is None else list(instances)})
    return {
        instance: Row(
            instance,
            n,
            token,
            owner,
            held,
            egress,
            tuple(schemas),
            {name: text for name, text in marks.items() if _MARK.fullmatch(text)},
        )
        for instance, n, token, owner, held, egress, schemas, marks in found
    }


def lock(sql: psycopg.Connection, instances: Sequence[InstanceId]) -> None:
    """Keeps others from changing instances, or claiming them, until the caller's transaction ends. Raises
    psycopg.Error."""
    sql.execute("SELECT 1 FROM instances WHERE id = ANY(%s) ORDER BY id FOR UPDATE", (list(instances),))


def batches(instances: Sequence[InstanceId]) -> Iterator[Sequence[InstanceId]]:
    for start in range(0, len(instances), BATCH):
        yield instances[start : start + BATCH]


def reap(sql: psycopg.Connection) -> None:
    """Deletes the workers whose lease has run out, after their last transaction: none comes later. Raises
    psycopg.Error."""
    sql.execute("DELETE FROM workers WHERE expires_at < clock_timestamp()")


def refuse_other(sql: psycopg.Connection, row: Row, move: str | None) -> None:
    """Raises TransferError if PostgreSQL has an instance that this move has not brought there. move: None before it has
    begun."""
    mark = row.mark or ""
    if row.owner is not None:
        what = "a worker runs it there"
    elif row.held and mark.startswith("moved in ") and (move is None or mark != Mark.IN.of(move)):
        what = "an import of another volume has begun with it, and is not over"
    elif row.held and mark.startswith("moved out "):
        what = "an export has begun with it, and is not over"
    elif row.is_away and move is not None and mark != Mark.AWAY.of(move):
        what = "it was, and an export has brought it to another volume since: this one is older"
    elif is_paired(sql, row.schema) or has_rows(sql, row.instance):
        what = "it has a session or messages there"
    else:
        return
    raise TransferError(
        f"{row.instance} is in PostgreSQL already: {what}. Two sessions of one instance cannot be made one. Nothing of "
        "it was changed"
    )


def take_in(sql: psycopg.Connection, instance: InstanceId, move: str, *, fresh: bool) -> None:
    """Has nobody claim an instance any more, and gives it an empty schema of this move. In the caller's transaction.

    fresh: the move begins now, so that it cannot be older than an export. Raises TransferError as `refuse_other` does,
    psycopg.Error."""
    sql.execute(
        "INSERT INTO instances (id, wanted, not_before) VALUES (%s, false, 'infinity') ON CONFLICT (id) DO NOTHING",
        (instance,),
    )
    lock(sql, [instance])
    row = rows(sql, [instance])[instance]
    refuse_other(sql, row, None if fresh else move)
    for old in row.schemas:
        sql.execute(_sql("DROP SCHEMA {} CASCADE", old))  # it holds no device
    new = f"wa_{row.n}_{row.token + 1}"
    make_schema(sql, new)
    _comment(sql, new, Mark.IN.of(move))
    sql.execute(
        "UPDATE instances SET token = token + 1, owner = NULL, not_before = 'infinity' WHERE id = %s", (instance,)
    )


def give_back(sql: psycopg.Connection, row: Row) -> None:
    """Forgets an instance that `take_in` took, and that did not come. In the caller's transaction. Raises
    psycopg.Error."""
    sql.execute(_sql("DROP SCHEMA {} CASCADE", row.schema))
    sql.execute("DELETE FROM instances WHERE id = %s", (row.instance,))


def take_out(sql: psycopg.Connection, row: Row, move: str) -> None:
    """Has nobody claim an instance any more, and no session of a former owner find its keys. In the caller's
    transaction. Raises TransferError, psycopg.Error."""
    new = f"wa_{row.n}_{row.token + 1}"
    if row.schemas == (row.schema,):
        sql.execute(_sql("ALTER SCHEMA {} RENAME TO {}", row.schema, new))
    elif not row.schemas:
        make_schema(sql, new)
    else:
        raise TransferError(
            f"the keys of {row.instance} should be in {row.schema}, and are in {', '.join(row.schemas)}"
        )
    _comment(sql, new, Mark.OUT.of(move))
    sql.execute(
        "UPDATE instances SET token = token + 1, owner = NULL, not_before = 'infinity' WHERE id = %s", (row.instance,)
    )


def set_aside(sql: psycopg.Connection, row: Row, move: str) -> None:
    """Archives the keys of an instance that is on a volume now. In the caller's transaction. Raises psycopg.Error."""
    archive = f"wa_{row.n}_x{time.strftime('%Y%m%d%H%M%S', time.gmtime())}"
    while sql.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (archive,)).fetchone():
        archive += "_"
    sql.execute(_sql("ALTER SCHEMA {} RENAME TO {}", row.schema, archive))
    _comment(sql, archive, Mark.AWAY.of(move))
    sql.execute("UPDATE instances SET wanted = false, paired = false, egress = NULL WHERE id = %s", (row.instance,))


def _comment(sql: psycopg.Connection, schema: str, text: str) -> None:
    sql.execute(composed.SQL("COMMENT ON SCHEMA {} IS {}").format(composed.Identifier(schema), composed.Literal(text)))


def _sql(text: str, *names: str) -> composed.Composed:
    return composed.SQL(text).format(*map(composed.Identifier, names))


_ROWS = """
SELECT i.id, i.n, i.token, w.id::text, i.not_before = 'infinity', i.egress,
  array(SELECT nspname::text FROM pg_namespace WHERE nspname ~ ('^wa_' || i.n || '_[0-9]+$') ORDER BY 1),
  (SELECT coalesce(jsonb_object_agg(nspname, obj_description(oid, 'pg_namespace')), '{}') FROM pg_namespace
    WHERE nspname ~ ('^wa_' || i.n || '_[0-9x]') AND obj_description(oid, 'pg_namespace') IS NOT NULL)
FROM instances i LEFT JOIN workers w ON w.id = i.owner AND w.expires_at >= clock_timestamp()
WHERE %(ids)s::text[] IS NULL OR i.id = ANY(%(ids)s) ORDER BY i.id"""
