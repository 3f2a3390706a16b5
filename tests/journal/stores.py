"""Where a journal of the tests is kept: in a file, or in PostgreSQL."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol
from uuid import UUID, uuid4

import attrs
import psycopg
import pytest

from wa_worker.journal import Journal, open_journal, open_state_journal
from wa_worker.models import InstanceId
from wa_worker.postgres.connecting import connect
from wa_worker.postgres.migrations import upgrade
from wa_worker.postgres.url import StateUrl

ON_A_FILE = pytest.mark.parametrize("store", ["sqlite"], indirect=True)
"""Marks a test of what only a file has."""

ON_POSTGRES = pytest.mark.parametrize("store", ["postgres"], indirect=True)


class Store(Protocol):
    def open(self) -> AbstractContextManager[Journal]:
        """As a process that starts."""

    def empty(self) -> None:
        """Makes it as if none had ever started."""


@attrs.frozen
class FileStore:
    path: Path

    def open(self) -> AbstractContextManager[Journal]:
        return open_journal(self.path)

    def empty(self) -> None:
        for file in self.path.parent.glob("*"):
            file.unlink()


@attrs.define
class StateStore:
    """One worker has all instances that are named here, and those that are given to it."""

    url: StateUrl
    admin: psycopg.Connection
    """As the owner of the database."""
    worker: UUID = attrs.field(factory=uuid4)

    @classmethod
    def on(cls, url: StateUrl) -> StateStore:
        admin = connect(url, "tests")
        upgrade(admin)
        return cls(url, admin)

    def open(self, worker: UUID | None = None) -> AbstractContextManager[Journal]:
        return open_state_journal(self.url, worker or self.worker)

    def empty(self) -> None:
        tables = [name for (name,) in self.admin.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'wa'")]
        emptied = ", ".join(f"wa.{name}" for name in tables if name != "format")
        self.admin.execute(f"TRUNCATE {emptied} RESTART IDENTITY".encode())
        self.admin.execute("ALTER ROLE CURRENT_USER RESET ALL")
        self.start(self.worker)
        self.give("shop", self.worker)
        self.give("other", self.worker)

    def start(self, worker: UUID) -> UUID:
        self.admin.execute(
            "INSERT INTO workers (id, host, version, capacity, expires_at)"
            " VALUES (%s, 'here', '0', 0, clock_timestamp() + '1 hour')",
            (worker,),
        )
        return worker

    def give(self, instance: InstanceId | str, worker: UUID | None) -> None:
        """To a worker, whoever had it."""
        self.admin.execute(
            "INSERT INTO instances (id, owner) VALUES (%s, %s)"
            " ON CONFLICT (id) DO UPDATE SET owner = excluded.owner, token = instances.token + 1",
            (instance, worker),
        )

    def reap(self, worker: UUID) -> None:
        """As who takes a dead worker's instances. Blocks while a transaction of it is under way."""
        self.admin.execute("DELETE FROM workers WHERE id = %s", (worker,))
