"""How much waits in the journal for each instance: for `GET /instances` and the admin page.

Read on a connection of its own, as backlog.py does, from the same partial indexes: settled rows cost nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import attrs

from wa_worker.journal.database import Database, Sql
from wa_worker.journal.states import ATTENTION, DEAD, PENDING, UNREPORTED, SendState
from wa_worker.models import InstanceId


@attrs.frozen
class InstanceBacklog:
    """Says how many messages of one instance wait, by what they wait for."""

    to_deliver: int = 0
    """Received, not yet accepted by `/inbound`."""
    to_send: int = 0
    """Known to the ledger, not yet sent."""
    to_report: int = 0
    """Sent or failed, and the proxy has yet to hear of it."""


QUERIES = {
    "to_deliver": "SELECT instance, CAST(sum(n) AS INTEGER) FROM ("
    f" SELECT chat, count(*) AS n FROM inbox INDEXED BY inbox_pending WHERE {PENDING} GROUP BY chat"
    ") AS counted JOIN chats ON chats.id = chat WHERE 1 = 1 /* owned: instance */ GROUP BY instance",
    "to_send": "SELECT instance, count(*) FROM ledger INDEXED BY ledger_attention"
    f" WHERE {ATTENTION} AND state IN ('{SendState.WAITING}', '{SendState.INTENT}')"
    " /* owned: instance */ GROUP BY instance",
    "to_report": "SELECT instance, count(*) FROM ledger INDEXED BY ledger_unreported"
    f" WHERE {UNREPORTED} /* owned: instance */ GROUP BY instance",
}


def read_instance_backlogs(database: Database) -> Mapping[InstanceId, InstanceBacklog]:
    """Reads the backlog of each instance for which something waits. Blocking. Raises JournalError."""
    with database.snapshot() as sql:
        return instance_backlogs(sql)


def instance_backlogs(sql: Sql) -> Mapping[InstanceId, InstanceBacklog]:
    """Reads them in a transaction that is there. Raises what `sql` raises."""
    found: dict[InstanceId, InstanceBacklog] = {}
    for field, query in QUERIES.items():
        for instance, count in sql.execute(query):
            found[instance] = attrs.evolve(found.get(instance, InstanceBacklog()), **{field: count})
    return found


_SET_ASIDE = (
    "SELECT instance, CAST(sum(n) AS INTEGER) FROM ("
    f" SELECT chat, count(*) AS n FROM inbox INDEXED BY inbox_dead WHERE {DEAD} GROUP BY chat"
    ") AS counted JOIN chats ON chats.id = chat WHERE 1 = 1 /* owned: instance */ GROUP BY instance"
    " UNION ALL SELECT instance, count(*) FROM ledger INDEXED BY ledger_attention"
    f" WHERE {ATTENTION} AND state = '{SendState.UNCERTAIN}' /* owned: instance */ GROUP BY instance"
)


def read_set_aside(database: Database) -> Mapping[InstanceId, int]:
    """Counts the messages of each instance that wait for a person's decision. Blocking. Raises JournalError."""
    with database.snapshot() as sql:
        return set_aside(sql)


def set_aside(sql: Sql) -> Mapping[InstanceId, int]:
    """Counts them in a transaction that is there. Raises what `sql` raises."""
    found: Counter[InstanceId] = Counter()
    for instance, count in sql.execute(_SET_ASIDE):
        found[instance] += count
    return found
