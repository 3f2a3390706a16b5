"""The numbered SQL steps that make the schema `wa`, and that bring an older one to today's format.

`NNNN*.sql` is step NNNN; the table `wa.format` says how many of them a database has had. Workers that start together
take turns, by an advisory lock. A step that was released is never edited: to change a table, add a step.
"""

from __future__ import annotations

from importlib import resources

import psycopg
import structlog

from wa_worker.errors import UnfitState
from wa_worker.postgres.connecting import SCHEMA

log = structlog.get_logger(__name__)

LOCK = 0x77612D776F726B
"""The advisory lock's number: "wa-work" in ASCII."""


def _steps() -> list[str]:
    files = sorted((file.name, file) for file in resources.files(__package__).iterdir() if file.name.endswith(".sql"))
    for number, (name, _) in enumerate(files, start=1):
        if int(name[:4]) != number:
            raise RuntimeError(f"{name} is not step {number}: steps count from 1, without a gap")
    return [file.read_text("utf-8") for _, file in files]


STEPS = tuple(_steps())

FORMAT = len(STEPS)
"""The format that this version reads and writes."""


def upgrade(sql: psycopg.Connection) -> None:
    """Runs the steps that the database lacks: all of them, or none. Blocking, while another worker does the same.

    Raises psycopg.Error, or UnfitState if a newer version has been here.
    """
    with sql.transaction():
        sql.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
        found = format_of(sql)
        if found > FORMAT:
            raise UnfitState(
                f"a newer wa-worker wrote the state (format {found}, this one knows {FORMAT})", "run that version"
            )
        if found == FORMAT:
            return
        if not found:
            sql.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
            sql.execute("CREATE TABLE format (format integer NOT NULL)")
            sql.execute("INSERT INTO format VALUES (0)")
        else:
            log.info("upgrading the state", format=found, to=FORMAT)
        for step in STEPS[found:]:
            sql.execute(step.encode())  # a file of ours
        sql.execute("UPDATE format SET format = %s", (FORMAT,))


def format_of(sql: psycopg.Connection) -> int:
    """Returns how many steps a database has had, 0 if it has no schema `wa`. Raises psycopg.Error."""
    row = sql.execute("SELECT to_regclass(%s)", (f"{SCHEMA}.format",)).fetchone()
    if row is None or row[0] is None:
        return 0
    (found,) = sql.execute("SELECT format FROM format").fetchone() or (0,)
    return int(found)
