"""Remembers through which proxy each instance goes out in PostgreSQL, in the row of the instance."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing

from wa_worker.errors import StateError
from wa_worker.models import Egress, InstanceId
from wa_worker.postgres.connecting import connect, state_errors
from wa_worker.postgres.url import StateUrl
from wa_worker.whatsapp.egress_memory import egress_of, egress_text


class EgressRows:
    """Keeps it in `wa.instances`. Opens a connection for each use: these are rare."""

    def __init__(self, url: StateUrl) -> None:
        self._url = url

    def all(self) -> Mapping[InstanceId, Egress]:
        """Returns nothing: what an instance has is read when the instance becomes ours."""
        return {}

    def of(self, instance: InstanceId) -> Egress:
        """Raises StateError while PostgreSQL cannot be asked: nothing is made of that."""
        with closing(connect(self._url, "egress")) as sql, state_errors(self._url):
            row = sql.execute("SELECT egress FROM instances WHERE id = %s", (instance,)).fetchone()
        return None if row is None or row[0] is None else egress_of(row[0])

    def keep(self, instance: InstanceId, egress: Egress) -> str | None:
        """The row may not be there yet. It does not make the instance one that workers take: that is for the list."""
        try:
            with closing(connect(self._url, "egress")) as sql, state_errors(self._url):
                sql.execute(
                    "INSERT INTO instances (id, egress, wanted) VALUES (%s, %s, false)"
                    " ON CONFLICT (id) DO UPDATE SET egress = excluded.egress",
                    (instance, egress_text(egress)),
                )
        except StateError as error:
            return str(error)
        return None
