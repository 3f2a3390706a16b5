"""The instances that other workers run, or none does: as the state database has them, for people and tools.

Of what an instance does its own worker knows more. Here is who has it, the last change that was written down, and how
much waits for it. Read on a connection that is open only for that; nothing is decided by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import attrs

from wa_worker.journal.changes import Change
from wa_worker.journal.per_instance import InstanceBacklog, instance_backlogs, set_aside
from wa_worker.models import InstanceId

if TYPE_CHECKING:
    from uuid import UUID

    from wa_worker.journal.postgres_database import PostgresDatabase

SHORT = 8
"""Characters of a worker's id that are shown: two workers of one host differ in them."""


@attrs.frozen
class Elsewhere:
    """Says of an instance that is not this worker's whose it is. `since`: when that worker took it (unix seconds)."""

    worker: str | None
    """Its host and the beginning of its id; None: no worker has it."""
    since: float | None = None
    change: Change | None = None
    """What it became last, by whatever worker."""
    backlog: InstanceBacklog = attrs.field(factory=InstanceBacklog)
    set_aside: int = 0


@attrs.frozen
class Together:
    """Holds what several workers have. `here`: this one. `elsewhere`: what is wanted and not of this one."""

    here: str
    elsewhere: Mapping[InstanceId, Elsewhere]


def worker_name(host: str, worker: object) -> str:
    """Names a worker for people."""
    return f"{host} {str(worker)[:SHORT]}"


def tell_owners(database: PostgresDatabase) -> None:
    """Has every worker look for rows of its instances that another one has written. Blocking. Raises JournalError."""
    with database.reading() as sql:
        sql.execute("SELECT pg_notify('wa_rows', '')")


def read_together(database: PostgresDatabase, worker: UUID, host: str) -> Together:
    """Reads them. Blocking. Raises JournalError."""
    with database.everywhere() as sql:
        backlogs, aside = instance_backlogs(sql), set_aside(sql)
        found = {}
        for instance, owner, owners_host, since, *change in sql.execute(_ELSEWHERE, (worker,)):
            found[InstanceId(instance)] = Elsewhere(
                None if owner is None else worker_name(owners_host, owner),
                since,
                None if change[0] is None else Change(*change),
                backlogs.get(instance, InstanceBacklog()),
                aside.get(instance, 0),
            )
    return Together(worker_name(host, worker), found)


_ELSEWHERE = """
SELECT i.id, w.id, w.host, extract(epoch FROM i.claimed_at)::float8,
  c.at, c.state, c.reason, c.until, c.detail, c.by
FROM wa.instances AS i
LEFT JOIN wa.workers AS w ON w.id = i.owner AND w.expires_at >= clock_timestamp()
LEFT JOIN LATERAL (
  SELECT * FROM wa.changes WHERE instance = i.id ORDER BY seq DESC LIMIT 1
) AS c ON true
WHERE i.wanted AND i.owner IS DISTINCT FROM ?"""
