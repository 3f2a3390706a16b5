"""Two tenants of a database with customers.sql, retention.sql and notices.sql, and what each of them may do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import attrs
import psycopg
from psycopg.rows import TupleRow

from tests.worker_proxy.backend import Backend
from tests.worker_proxy.postgres import Postgres

ANA, BEN = "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"
"""The ids of two users."""


@attrs.frozen
class Customers:
    """`backend` is the owner of all, who has taken out whatever the last test left."""

    postgres: Postgres
    backend: Backend

    @contextmanager
    def signed_in(self, user: str, **claims: Any) -> Iterator[psycopg.Connection[TupleRow]]:
        """A transaction as PostgREST makes it for a user's token. It is committed, or undone by an error."""
        with psycopg.connect(self.postgres.dsn("authenticator")) as db:
            db.execute("set local role authenticated")
            token = {"sub": user, "role": "authenticated", **claims}
            db.execute("select set_config('request.jwt.claims', %s, true)", (json.dumps(token),))
            yield db

    def call(self, user: str, name: str, *arguments: str, **claims: Any) -> Any:
        """An RPC's answer. Raises psycopg.Error."""
        with self.signed_in(user, **claims) as db:
            marks = ", ".join(["%s"] * len(arguments))
            row = db.execute(f"select public.{name}({marks})".encode(), arguments).fetchone()
        assert row is not None
        return row[0]

    def said(self, user: str, name: str, *arguments: str, **claims: Any) -> tuple[str, str]:
        """The hint and the SQLSTATE of an RPC that has to fail."""
        try:
            answer = self.call(user, name, *arguments, **claims)
        except psycopg.Error as problem:
            return problem.diag.message_hint or problem.diag.message_primary or "", problem.sqlstate or ""
        raise AssertionError(f"{name} answered {answer}")

    def instance(self, tenant: str | None, name: str, **columns: Any) -> str:
        """A row as the owner makes it; `status` and the others as a worker has left them."""
        row = self.backend.db.execute(
            "insert into wa_instances (tenant_id, name) values (%s, %s) returning id", (tenant, name)
        ).fetchone()
        assert row is not None
        if columns:
            self.update(row[0], **columns)
        return str(row[0])

    def update(self, instance_id: str, **columns: Any) -> None:
        sets = ", ".join(f"{column} = %s" for column in columns)
        self.backend.db.execute(
            f"update wa_instances set {sets} where id = %s".encode(), [*columns.values(), instance_id]
        )

    def rows(self, statement: str, *arguments: Any) -> list[TupleRow]:
        return self.backend.db.execute(statement.encode(), arguments or None).fetchall()
