"""How much waits in the journal for each instance: for `GET /instances`.

Read on a connection of its own, as backlog.py does, from the same partial indexes: settled rows cost nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import attrs

from wa_worker.errors import JournalError
from wa_worker.journal.backlog import PATIENCE
from wa_worker.models import InstanceId


@attrs.frozen
class InstanceBacklog:
    """How many messages of one instance wait, by what they wait for."""

    to_deliver: int = 0
    """Received, not yet accepted by `/inbound`."""
    to_send: int = 0
    """Known to the ledger, not yet sent."""
    to_report: int = 0
    """Sent or failed, and the proxy has yet to hear of it."""


QUERIES = {
    "to_deliver": "SELECT instance, sum(n) FROM (SELECT chat, count(*) AS n FROM inbox INDEXED BY inbox_lanes"
    " WHERE state = 'pending' GROUP BY chat) JOIN chats ON chats.id = chat GROUP BY instance",
    "to_send": "SELECT instance, count(*) FROM outbox INDEXED BY outbox_attention"
    " WHERE state IN ('waiting', 'intent', 'failed', 'uncertain') AND state IN ('waiting', 'intent') GROUP BY instance",
    "to_report": "SELECT instance, count(*) FROM outbox INDEXED BY outbox_to_tell"
    " WHERE state = 'sent' OR (state = 'failed' AND told = 0) GROUP BY instance",
}


def read_instance_backlogs(path: Path) -> Mapping[InstanceId, InstanceBacklog]:
    """Reads the backlog of each instance for which something waits. Blocking. Raises JournalError."""
    found: dict[InstanceId, InstanceBacklog] = {}
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=PATIENCE)) as sql:
            sql.execute("BEGIN")  # one moment for all of them
            for field, query in QUERIES.items():
                for instance, count in sql.execute(query):
                    found[instance] = attrs.evolve(found.get(instance, InstanceBacklog()), **{field: count})
    except sqlite3.Error as error:
        raise JournalError(f"journal {path}: {error}") from error
    return found
