"""migration.sql on PostgreSQL: repeatable, closed to the browser, and no poll reads a whole table."""

from __future__ import annotations

import re
from pathlib import Path

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.worker_proxy import tools
from tests.worker_proxy.backend import Backend
from tests.worker_proxy.postgres import Postgres, open_postgres

MIGRATION = tools.SOURCE / "migration.sql"
TABLES = ("wa_instances", "wa_messages", "wa_inbound")
LATER = ("wa_reactions", "wa_receipts", "wa_chat_events", "wa_files")


def test_a_second_run_changes_nothing(postgres: Postgres, backend: Backend) -> None:
    backend.add_instance("shop", "CONNECTED")
    backend.queue("shop", "5511988887777", "Oi")
    before, row = postgres.schema(), backend.instance("shop")
    assert "wa_messages_queued" in before
    postgres.psql(MIGRATION)
    assert postgres.schema() == before
    assert (backend.instance("shop"), backend.count_messages()) == (row, 1)


@pytest.mark.parametrize(
    "before",
    [
        [tools.BEFORE_CONTRACT_2],
        [tools.BEFORE_CONVERSATIONS],
        [tools.BEFORE_CONTRACT_2, tools.BEFORE_CONVERSATIONS],
    ],
    ids=["of version 1", "of texts alone", "upgraded once"],
)
def test_an_older_installation_is_upgraded(installed: None, before: list[Path]) -> None:
    """It keeps its rows and comes to the same as a new one."""
    with open_postgres() as new, open_postgres() as old:
        new.psql(MIGRATION)
        for folder in before:
            old.psql(folder / "migration.sql")
        with psycopg.connect(old.dsn("postgres")) as db:
            db.execute("insert into wa_instances (id, status) values ('shop', 'CONNECTED'), ('off', 'DISCONNECTED')")
            db.execute("update wa_instances set enabled = false where id = 'off'")
            db.execute(
                'insert into wa_messages (instance_id, "to", body, status, wa_message_id) values '
                "('shop', '55', 'sent', 'sent', 'W1'), ('shop', '55', 'queued', 'queued', null)"
            )
            db.execute(
                "select wa_add_inbound('shop', 'c', 'W2', null, 'f', 't', 'in', null, null, null, null, 1790000000)"
            )
            kept = {table: db.execute(f"select * from {table} order by id").fetchall() for table in TABLES}
        assert old.schema() != new.schema()
        for _ in range(2):
            old.psql(MIGRATION)
            assert old.schema() == new.schema()
        with psycopg.connect(old.dsn("postgres")) as db:
            for table, rows in kept.items():
                after = db.execute(f"select * from {table} order by id").fetchall()
                assert [row[: len(rows[0])] for row in after] == rows
                assert {value for row in after for value in row[len(rows[0]) :]} == {None}
            poll = db.execute("select wa_poll('{shop}', '{}', '{}', 0, 200, 1048576)").fetchone()
            assert poll is not None
            assert [message["body"] for message in poll[0]["messages"]] == ["queued"]
            repeat = {"type": "inbound", "instance_id": "shop", "chat_id": "c", "wa_message_id": "W2"}
            message = {**repeat, "from": "f", "to": "t", "body": "in"}
            words = db.execute("select wa_events(%s)", (Jsonb([message]),)).fetchone()
            assert words == (["repeat"],)


@pytest.mark.parametrize("role", ["anon", "authenticated"])
def test_the_browser_has_no_access_until_you_say_so(postgres: Postgres, backend: Backend, role: str) -> None:
    backend.add_instance("shop")
    for statement in (
        "select url from wa_instance_proxies",
        "select wa_proxy_of('shop')",
        *(f"select * from {table}" for table in TABLES + LATER),
        *(f"delete from {table}" for table in TABLES + LATER),
        "insert into wa_instances default values",
        "select wa_disconnected_instances()",
        "select wa_update_status('shop', 'CONNECTED', null)",
        "select wa_queued_messages('shop', 1)",
        "select wa_mark_sent(1, 'W')",
        "select wa_mark_failed(1, 'x')",
        "select wa_missing_message(1)",
        "select wa_add_inbound('shop', '', '', null, '', '', '', null, null, null, null, null)",
        "select wa_listed_message(null)",
        "select wa_path_of('{}')",
        "select wa_react('shop', '', '', '{}', null)",
        "select wa_add_receipt('{}')",
        "select wa_add_chat_event('{}')",
        "select wa_media_upload('shop', '', '', '', '', 1, '', '', '')",
        "select wa_expired_media(1, 1)",
        "select wa_forget_media('{}')",
        "select wa_take_event('{}')",
        "select wa_events('[]')",
        "select wa_busy_instances()",
        "select wa_page('{}', 1, 1)",
        "select wa_shard('shop', 2)",
        "select wa_in_shard('{}', 1, 2)",
        "select wa_listed('{}')",
        "select wa_pair_phones()",
        "select wa_poll_is_due('{}', '{}', '{}')",
        "select wa_poll('{}', '{}', '{}', 0, 1, 1)",
    ):
        with psycopg.connect(postgres.dsn("authenticator")) as db:
            db.execute(f"set role {role}")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                db.execute(statement)
    with psycopg.connect(postgres.dsn("authenticator")) as db:
        db.execute(f"set role {role}")
        for sequence in ("wa_messages_id_seq", "wa_inbound_id_seq", "wa_chat_events_id_seq"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), db.transaction():
                db.execute(f"select setval('public.{sequence}', 1)")
    # Even a grant made by mistake shows nothing: there is no policy.
    with psycopg.connect(postgres.dsn("postgres")) as db:
        db.execute(f"grant select on wa_instances to {role}")
        db.execute(f"set local role {role}")
        assert db.execute("select * from wa_instances").fetchall() == []
        db.rollback()


@pytest.mark.parametrize(
    "statement",
    [
        "insert into wa_instances (id) values ('../x')",
        "insert into wa_instances (id) values ('..')",
        "insert into wa_instances (id) values ('')",
        r"insert into wa_instances (id) values (E'shop\n')",
        "insert into wa_instances (status) values ('ONLINE')",
        "insert into wa_messages (instance_id, \"to\", body) values ('shop', '', 'Oi')",
        "insert into wa_messages (instance_id, \"to\", body) values ('shop', '55', '')",
        "insert into wa_messages (instance_id, \"to\", body) values ('shop', '55', repeat('x', 65537))",
        "insert into wa_messages (instance_id, \"to\", body, status) values ('shop', '55', 'Oi', 'new')",
        "insert into wa_instances (id, pair_phone) values ('x', '+55 11 98888-7777')",
        "insert into wa_messages (instance_id, \"to\") values ('shop', '55')",
        "insert into wa_messages (instance_id, \"to\", type) values ('shop', '55', 'text')",
        "insert into wa_messages (instance_id, \"to\", type, body) values ('shop', '55', 'hologram', 'x')",
        "insert into wa_messages (instance_id, \"to\", type) values ('shop', '55', 'image')",
        "insert into wa_messages (instance_id, \"to\", type, media) values ('shop', '55', 'image', '{\"url\": \"x\"}')",
        "insert into wa_messages (instance_id, \"to\", type, body) values ('shop', '55', 'edit', 'x')",
        "insert into wa_messages (instance_id, \"to\", type, edit) values ('shop', '5', 'edit', '{\"message_id\": 1}')",
        "insert into wa_messages (instance_id, \"to\", type, reaction) values ('shop', '55', 'reaction', '{}')",
        "insert into wa_messages (instance_id, \"to\", type, contacts) values ('shop', '55', 'contacts', '{}')",
        "insert into wa_messages (instance_id, \"to\", type, poll) values ('shop', '55', 'poll', '{\"name\": \"x\"}')",
        "insert into wa_messages (instance_id, \"to\", body, typing_ms) values ('shop', '55', 'Oi', 30001)",
        "insert into wa_messages (instance_id, \"to\", body, context) values ('shop', '55', 'Oi', '{}')",
        "insert into wa_messages (instance_id, \"to\", body, mentions) values ('shop', '55', 'Oi', '{}')",
    ],
)
def test_rows_that_the_worker_would_refuse_cannot_be_made(backend: Backend, statement: str) -> None:
    backend.add_instance("shop")
    with pytest.raises(psycopg.errors.CheckViolation):
        backend.db.execute(statement)


def test_an_instance_gets_an_id_by_itself_and_a_code_never_outlives_its_use(backend: Backend) -> None:
    backend.db.execute("insert into wa_instances default values")
    backend.db.execute("update wa_instances set status = 'CONNECTING', qr_code = 'data:'")
    backend.db.execute("update wa_instances set status = 'CONNECTED'")
    ((id_, qr_code, touched),) = backend.db.execute(
        "select id, qr_code, updated_at > created_at from wa_instances"
    ).fetchall()
    assert re.fullmatch(r"[0-9a-f-]{36}", id_)
    assert (qr_code, touched) == (None, True)


@pytest.mark.parametrize(("status", "left"), [("CONNECTING", "DISCONNECTED"), ("CONNECTED", "CONNECTED")])
def test_switching_off_takes_the_code_away(backend: Backend, status: str, left: str) -> None:
    """A worker that only waits for a scan is stopped by its list, and posts nothing more."""
    backend.db.execute("insert into wa_instances (id, status, qr_code) values ('shop', %s, 'data:')", (status,))
    backend.enable("shop", False)
    row = backend.instance("shop")
    assert row is not None
    assert (row.status, row.qr_code) == (left, None)


def test_the_polls_use_their_indexes(postgres: Postgres, backend: Backend) -> None:
    backend.db.execute(
        "insert into wa_instances (id, status) select 'i' || n, 'CONNECTED' from generate_series(1, 500) n"
    )
    backend.db.execute(
        "insert into wa_messages (instance_id, \"to\", body, status) select 'i' || (n % 500 + 1), '55', 'Oi', "
        "case when n % 200 = 0 then 'queued' else 'sent' end from generate_series(1, 40000) n"
    )
    backend.add_instance("shop")
    backend.queue("shop", "5511988887777", "Oi")
    backend.db.execute("analyze wa_instances, wa_messages")
    with psycopg.connect(postgres.dsn("authenticator"), autocommit=True) as db:
        db.execute("set role service_role")
        db.execute("select pg_stat_force_next_flush()")
        before = _scans(backend)
        for _ in range(10):
            db.execute("select wa_queued_messages('shop', 500), wa_disconnected_instances()")
        db.execute("select pg_stat_force_next_flush()")
        after = _scans(backend)
    used = {name: after[name] - before[name] for name in after}
    assert used["wa_messages_queued"] == 10
    assert used["wa_instances_to_do"] == 10
    assert (used["rows of wa_messages"], used["rows of wa_instances"]) == (0, 0)


def _scans(backend: Backend) -> dict[str, int]:
    """Index scans by index, and rows read by scans of a whole table."""
    rows = backend.db.execute(
        "select indexrelname, idx_scan from pg_stat_user_indexes "
        "union all select 'rows of ' || relname, seq_tup_read from pg_stat_user_tables"
    )
    return dict(rows.fetchall())


def test_what_the_readme_says_to_run(postgres: Postgres, backend: Backend) -> None:
    blocks = re.findall(r"```sql\n(.*?)```", (tools.SOURCE / "README.md").read_text(), re.DOTALL)
    assert len(blocks) >= 3
    with psycopg.connect(postgres.dsn("postgres")) as db:
        for block in blocks:
            db.execute(block.encode())
        db.rollback()
