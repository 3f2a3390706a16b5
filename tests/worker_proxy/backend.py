"""The database as the contract tests and the end-to-end tests know it: the reference proxy's `Store`, on PostgreSQL.

Only what those tests use. It is the customer's side (it queues, reads and deletes as an owner of the tables does) and
never stands between the Edge Function and its data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar, cast

import attrs
import psycopg
import trio
from psycopg import sql
from psycopg.rows import TupleRow
from psycopg.types.json import Jsonb

from wa_worker.dev.proxy import InboundRow, InstanceRow, MessageRow, StatusChange
from wa_worker.dev.proxy.content import KEPT

T = TypeVar("T")


class Backend:
    def __init__(self, db: psycopg.Connection[TupleRow]) -> None:
        self.db = db

    def clear(self) -> None:
        self.db.execute(
            "truncate public.wa_instances, public.wa_messages, public.wa_inbound, public.wa_files "
            "restart identity cascade"
        )
        self.db.execute("truncate test.statuses restart identity")
        self.db.execute("truncate storage.objects")

    def add_instance(self, instance_id: str, status: str = "DISCONNECTED") -> bool:
        return bool(
            self.db.execute(
                "insert into public.wa_instances (id, status) values (%s, %s) on conflict do nothing",
                (instance_id, status),
            ).rowcount
        )

    def remove_instance(self, instance_id: str) -> bool:
        return bool(self.db.execute("delete from public.wa_instances where id = %s", (instance_id,)).rowcount)

    def set_status(self, instance_id: str, status: str) -> None:
        self.db.execute("update public.wa_instances set status = %s where id = %s", (status, instance_id))

    def enable(self, instance_id: str, enabled: bool) -> None:
        self.db.execute("update public.wa_instances set enabled = %s where id = %s", (enabled, instance_id))

    def instance(self, instance_id: str) -> InstanceRow | None:
        row = self.db.execute(
            "select id, status, qr_code, extract(epoch from updated_at)::float8 from public.wa_instances where id = %s",
            (instance_id,),
        ).fetchone()
        return InstanceRow(*row) if row else None

    def statuses(self, instance_id: str) -> list[StatusChange]:
        """What was stored, which after CONNECTED is no QR code whatever was posted."""
        rows = self.db.execute(
            "select status, qr_code, extract(epoch from at)::float8 from test.statuses where instance_id = %s "
            "order by seq",
            (instance_id,),
        )
        return [StatusChange(*row) for row in rows]

    def queue(self, instance_id: str, to: str, body: str) -> int:
        return self.queue_many(instance_id, [(to, body)])[0]

    def queue_many(self, instance_id: str, rows: Iterable[tuple[str, str]]) -> list[int]:
        try:
            with self.db.transaction():
                return [cast(tuple[int], self._queue(instance_id, to, body))[0] for to, body in rows]
        except psycopg.errors.ForeignKeyViolation:
            raise LookupError(f"no instance {instance_id!r}") from None

    def _queue(self, instance_id: str, to: str, body: str) -> TupleRow | None:
        return self.db.execute(
            'insert into public.wa_messages (instance_id, "to", body) values (%s, %s, %s) returning id',
            (instance_id, to, body),
        ).fetchone()

    def queue_row(self, instance_id: str, to: str, **fields: Any) -> int:
        columns = ["instance_id", "to", *fields]
        values = [Jsonb(value) if isinstance(value, dict | list) else value for value in fields.values()]
        statement = sql.SQL("insert into public.wa_messages ({}) values ({}) returning id").format(
            sql.SQL(", ").join(map(sql.Identifier, columns)), sql.SQL(", ").join([sql.Placeholder()] * len(columns))
        )
        row = self.db.execute(statement, (instance_id, to, *values)).fetchone()
        assert row is not None
        return int(row[0])

    def receipts(self) -> list[TupleRow]:
        return self.db.execute(
            "select chat_id, recipient_id, status, extract(epoch from failed_at)::bigint, "
            "extract(epoch from delivered_at)::bigint, extract(epoch from read_at)::bigint, "
            "extract(epoch from played_at)::bigint, error from public.wa_receipts order by chat_id, recipient_id"
        ).fetchall()

    def group_events(self) -> list[TupleRow]:
        return self.db.execute(
            'select chat_id, event_type, action, "group", participants, by, extract(epoch from happened_at)::bigint '
            "from public.wa_chat_events order by id"
        ).fetchall()

    def messages(self, instance_id: str | None = None) -> list[MessageRow]:
        rows = self.db.execute(
            "select id, instance_id, \"to\", body, status, wa_message_id, error, (status = 'sent')::int, "
            "extract(epoch from queued_at)::float8, extract(epoch from sent_at)::float8, sent_to, "
            "extract(epoch from accepted_at)::bigint "
            "from public.wa_messages where instance_id = coalesce(%s, instance_id) order by queued_at, id",
            (instance_id,),
        )
        return [MessageRow(*row) for row in rows]

    def inbound(self, instance_id: str | None = None) -> list[InboundRow]:
        """`payload` is put together again from the columns; repeats leave no trace."""
        rows = self.db.execute(
            """
            select id, instance_id, "from", "to", body, wa_message_id, jsonb_build_object(
                'instanceId', instance_id, 'from', "from", 'to', "to", 'body', body, 'wa_message_id', wa_message_id,
                'chat_id', chat_id, 'chat_type', chat_type, 'sender_id', sender_id, 'sender_lid', sender_lid,
                'push_name', push_name, 'timestamp', extract(epoch from sent_at)::bigint, 'message_type', message_type
            ), 1, extract(epoch from received_at)::float8, to_jsonb(i)
            from public.wa_inbound i where instance_id = coalesce(%s, instance_id) order by id
            """,
            (instance_id,),
        )
        return [InboundRow(*(*row[:-1], _content(row[-1]))) for row in rows]

    def count_messages(self, status: str | None = None) -> int:
        return sum(status in (None, row.status) for row in self.messages())

    def count_inbound(self) -> int:
        return len(self.inbound())


@attrs.frozen
class EdgeProxy:
    """In the place of a `ReferenceProxy`: `url` is the Edge Function's."""

    url: str
    secret: str
    store: Backend
    lines: list[str]

    async def wait_for(self, predicate: Callable[[Any], T]) -> T:
        """Asks again and again: nothing rings. Put it into `fail_after`."""
        while not (value := predicate(self.store)):  # noqa: ASYNC110 - PostgreSQL tells nobody
            await trio.sleep(0.05)
        return value


def _content(row: dict[str, Any]) -> dict[str, Any]:
    """What a message holds besides its words: each is a column."""
    return {key: row[key] for key in KEPT if row[key] is not None}
