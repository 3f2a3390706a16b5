"""What the keeper needs of the rest of a worker."""

from __future__ import annotations

from typing import Protocol

from wa_worker.models import InstanceId
from wa_worker.ownership.lease import Because, Came


class Sessions(Protocol):
    """Runs what this worker owns. Trio thread only."""

    def gained(self, instance: InstanceId, schema: str, application_name: str) -> None:
        """It is ours now. Nothing waits."""

    async def give_up(self, instance: InstanceId, because: Because) -> None:
        """Returns once its session is closed, and all that it had is in the journal."""

    def rows_came(self) -> None:
        """Another worker has written rows to the journal for instances that may be ours: somebody should look."""

    def last_used(self, instance: InstanceId) -> float:
        """Says when there last was a message, in seconds of any clock: the idlest go first.

        Infinity keeps it from being handed over, as while a person scans its code; not from being drained.
        """

    def connections(self) -> tuple[int, int]:
        """Returns how many sessions are to be connected to WhatsApp, and how many are."""


class Counts(Protocol):
    """Counts what happens: metrics.Metrics."""

    def took_over(self, came: Came) -> None: ...
    def fenced(self) -> None: ...
