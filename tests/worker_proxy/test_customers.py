"""customers.sql on PostgreSQL: what a tenant may see and do, and that nothing of another's is within reach."""

from __future__ import annotations

import re
import threading

import psycopg
import pytest

from tests.worker_proxy import tools
from tests.worker_proxy.postgres import open_postgres
from tests.worker_proxy.tenants import ANA, BEN, Customers

pytestmark = pytest.mark.worker_proxy

CALLS = {
    "wa_rename_instance": ("x",),
    "wa_stop_instance": (),
    "wa_start_instance": (),
    "wa_pair_by_qr": (),
    "wa_pair_by_code": ("+55 11 99999-0001",),
    "wa_delete_instance": (),
}
"""The RPCs that are about one instance, and what they take besides its id."""


def test_the_present_state_is_upgraded_and_a_second_run_changes_nothing(installed: None) -> None:
    """Somebody had put the example policies of before into force."""
    with open_postgres() as new, open_postgres() as old:
        old.psql(tools.SOURCE / "migration.sql")
        old.psql(tools.BEFORE_CUSTOMERS / "example.sql")
        with psycopg.connect(old.dsn("postgres")) as db:
            db.execute("insert into wa_instances (id, status) values ('shop', 'CONNECTED')")
        new.psql(tools.SOURCE / "migration.sql")
        for _ in range(2):
            for postgres in (new, old):
                for name in tools.CUSTOMERS:
                    postgres.psql(tools.SOURCE / name)
            assert old.schema() == new.schema()
            assert "example" not in old.schema()
        with psycopg.connect(old.dsn("postgres")) as db:
            assert db.execute("select id, status from wa_instances").fetchall() == [("shop", "CONNECTED")]
            # whoever has neither Supabase's publication nor one of their own gets one
            db.execute("drop publication supabase_realtime")
        old.psql(tools.SOURCE / "customers.sql")
        with psycopg.connect(old.dsn("postgres")) as db:
            published = "select tablename from pg_publication_tables where pubname = 'supabase_realtime'"
            assert db.execute(published).fetchall() == [("wa_instances",)]


def test_a_life(customers: Customers) -> None:
    id_ = customers.call(ANA, "wa_create_instance", "  Loja\n1 ")
    assert re.fullmatch(r"[0-9a-f-]{36}", id_)
    assert customers.rows("select tenant_id::text, name, enabled from wa_instances") == [(ANA, "Loja 1", True)]
    customers.update(id_, status="CONNECTING", qr_code="data:", reason="scan")

    customers.call(ANA, "wa_pair_by_code", id_, "+55 (11) 99999-0001")
    assert customers.rows("select pair_phone, qr_code from wa_instances") == [("5511999990001", "data:")]
    customers.update(id_, pairing_code="ABCD-1234")
    customers.call(ANA, "wa_pair_by_code", id_, "5511999990001")
    assert customers.rows("select pairing_code from wa_instances") == [("ABCD-1234",)]  # asked twice: it stays
    customers.call(ANA, "wa_pair_by_qr", id_)
    assert customers.rows("select pair_phone, pairing_code, qr_code from wa_instances") == [(None, None, "data:")]

    customers.update(id_, status="CONNECTED", reason="connected")
    assert customers.said(ANA, "wa_pair_by_qr", id_) == ("connected", "PT409")
    assert customers.said(ANA, "wa_pair_by_code", id_, "5511999990001") == ("connected", "PT409")
    customers.call(ANA, "wa_rename_instance", id_, "Loja 2")
    assert customers.said(ANA, "wa_delete_instance", id_) == ("not_stopped", "PT409")
    customers.call(ANA, "wa_stop_instance", id_)
    assert customers.said(ANA, "wa_delete_instance", id_) == ("stopping", "PT409")
    assert customers.rows("select name, enabled, status from wa_instances") == [("Loja 2", False, "CONNECTED")]
    customers.call(ANA, "wa_start_instance", id_)
    assert customers.rows("select enabled from wa_instances") == [(True,)]
    customers.call(ANA, "wa_stop_instance", id_)
    customers.update(id_, status="DISCONNECTED")  # the worker has let go
    customers.call(ANA, "wa_delete_instance", id_)
    assert customers.rows("select * from wa_instances") == []


def test_a_worker_that_is_away_does_not_forbid_deleting_for_ever(customers: Customers) -> None:
    id_ = customers.instance(ANA, "old", status="CONNECTED", enabled=False)
    db = customers.backend.db
    with db.transaction():
        db.execute("set local session_replication_role = replica")  # no trigger: it would set updated_at
        db.execute("update wa_instances set updated_at = now() - interval '16 minutes'")
    assert customers.call(ANA, "wa_delete_instance", id_) == id_


@pytest.mark.parametrize("name", CALLS)
def test_anothers_instance_is_answered_like_none(customers: Customers, name: str) -> None:
    theirs = customers.instance(BEN, "theirs", enabled=False)
    before = customers.rows("select * from wa_instances")
    assert customers.said(ANA, name, theirs, *CALLS[name]) == ("no_instance", "PT404")
    assert customers.said(ANA, name, "none", *CALLS[name]) == ("no_instance", "PT404")
    assert customers.rows("select * from wa_instances") == before


@pytest.mark.parametrize("name", ["wa_create_instance", *CALLS])
def test_who_is_not_signed_in_has_no_call(customers: Customers, name: str) -> None:
    arguments = ("x", *CALLS.get(name, ()))
    assert customers.said(ANA, name, *arguments, is_anonymous=True) == ("signed_out", "PT401")
    with psycopg.connect(customers.postgres.dsn("authenticator")) as db:
        db.execute("set local role anon")
        marks = ", ".join(["%s"] * len(arguments))
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            db.execute(f"select public.{name}({marks})".encode(), arguments)


@pytest.mark.parametrize(
    ("name", "argument", "word"),
    [
        ("wa_create_instance", "", "bad_name"),
        ("wa_create_instance", " \t", "bad_name"),
        ("wa_create_instance", "x" * 81, "bad_name"),
        ("wa_pair_by_code", "", "bad_phone"),
        ("wa_pair_by_code", "011 99999-0001", "bad_phone"),
        ("wa_pair_by_code", "+55 11 9", "bad_phone"),
        ("wa_pair_by_code", "5511999990001 ou 5511999990002", "bad_phone"),
        ("wa_pair_by_code", "loja@example.com", "bad_phone"),
    ],
)
def test_what_is_wrong_is_named(customers: Customers, name: str, argument: str, word: str) -> None:
    arguments = (argument,) if name == "wa_create_instance" else (customers.instance(ANA, "mine"), argument)
    assert customers.said(ANA, name, *arguments) == (word, "PT400")


def test_the_limit_holds_for_two_pages_at_once(customers: Customers) -> None:
    for name in ("a", "b"):
        customers.call(ANA, "wa_create_instance", name)
    customers.instance(BEN, "theirs")
    said: list[tuple[str, str]] = []
    with customers.signed_in(ANA) as db:
        db.execute("select wa_create_instance('c')")  # not committed yet
        other = threading.Thread(target=lambda: said.append(customers.said(ANA, "wa_create_instance", "d")))
        other.start()
        waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
        while not customers.rows(waiting)[0][0]:
            assert other.is_alive()
    other.join(10)
    assert said == [("too_many", "PT409")]
    customers.backend.db.execute("insert into wa_tenants values (%s, 4)", (ANA,))
    customers.call(ANA, "wa_create_instance", "d")
    assert customers.said(ANA, "wa_create_instance", "e") == ("too_many", "PT409")


def _filled(customers: Customers, tenant: str) -> str:
    """An instance with a row in each table."""
    id_ = customers.instance(tenant, "x", status="CONNECTED")
    for statement in (
        "insert into wa_messages (instance_id, \"to\", body) values (%s, '5511988887777', 'Oi')",
        'insert into wa_inbound (instance_id, chat_id, wa_message_id, "from", "to", body) '
        "values (%s, 'c', 'w', 'f', 't', 'b')",
        "insert into wa_reactions values (%s, 'c', 'w', 's', '👍', now())",
        "insert into wa_receipts (instance_id, wa_message_id, chat_id, recipient_id, read_at) "
        "values (%s, 'w', 'c', 'r', now())",
        "insert into wa_chat_events (instance_id, chat_id, event_type, fingerprint) values (%s, 'c', 'group', 'x')",
        "insert into storage.objects (bucket_id, name) "
        "select 'wa-media', wa_media_upload(%s, 'c', 'w', 'image', 'image/jpeg', 1, 'x', null, '.jpg') ->> 'path'",
    ):
        customers.backend.db.execute(statement.encode(), (id_,))
    return id_


def test_a_tenant_reads_and_queues_what_is_theirs_and_changes_nothing_else(customers: Customers) -> None:
    mine, theirs = _filled(customers, ANA), _filled(customers, BEN)
    customers.instance(None, "nobody's")
    queue = "insert into wa_messages (instance_id, \"to\", body) values (%s, '5511988887777', 'Oi')"
    with customers.signed_in(ANA) as db:
        assert db.execute("select id from wa_instances").fetchall() == [(mine,)]
        for table in ("wa_messages", "wa_inbound", "wa_reactions", "wa_receipts", "wa_chat_events"):
            assert db.execute(f"select instance_id from {table}".encode()).fetchall() == [(mine,)], table
        assert [row[0].split("/")[1] for row in db.execute("select name from storage.objects")] == [mine]
        db.execute(queue, (mine,))
        for refused in (
            (queue, (theirs,)),
            ("insert into wa_messages (instance_id, \"to\", body, status) values (%s, '1', 'x', 'sent')", (mine,)),
            ("insert into wa_instances (tenant_id) values (%s)", (ANA,)),
            ("update wa_instances set enabled = false where id = %s", (mine,)),
            ("delete from wa_instances where id = %s", (mine,)),
            ("delete from wa_inbound", ()),
            ("update wa_messages set status = 'queued'", ()),
            ("select * from wa_files", ()),
            ("select * from wa_instance_proxies", ()),
            ("select * from wa_tenants", ()),
            ("insert into wa_tenants values (%s, 1000)", (ANA,)),
            ("select * from wa_notices", ()),
            ("select * from wa_told", ()),
            ("select wa_own_instance(%s)", (mine,)),
            ("select wa_person(%s, '5511988887777')", (ANA,)),
            ("select wa_delete_person(%s, '5511988887777')", (ANA,)),
            ("select wa_delete_old(1)", ()),
            ("select wa_keep_days(1)", ()),
            ("select wa_notice_troubles()", ()),
            ("insert into wa_receipts (instance_id) values (%s)", (mine,)),
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), db.transaction():
                db.execute(refused[0].encode(), refused[1])
        with pytest.raises(psycopg.errors.InsufficientPrivilege), db.transaction():
            db.execute("select * from wa_instances")  # a column of later, which may be a secret, is in no grant
    # A claim makes a team of users; only one that they cannot write themselves.
    with customers.signed_in(BEN, app_metadata={"tenant_id": ANA}) as db:
        assert db.execute("select id from wa_instances").fetchall() == [(mine,)]
    with customers.signed_in(BEN, user_metadata={"tenant_id": ANA}, tenant_id=ANA) as db:
        assert db.execute("select id from wa_instances").fetchall() == [(theirs,)]
    with customers.signed_in(ANA, is_anonymous=True) as db:
        assert db.execute("select id from wa_instances").fetchall() == []


def test_policies_use_indexes(customers: Customers) -> None:
    db = customers.backend.db
    db.execute(
        "insert into wa_instances (id, tenant_id) select 'i' || n, gen_random_uuid() from generate_series(1, 3000) n"
    )
    db.execute(
        'insert into wa_inbound (instance_id, chat_id, wa_message_id, "from", "to", body) '
        "select 'i' || n % 3000 + 1, 'c', n::text, 'f', 't', 'b' from generate_series(1, 30000) n"
    )
    mine = customers.instance(ANA, "mine")
    db.execute("analyze wa_instances, wa_inbound")
    with customers.signed_in(ANA) as user:
        for table, column, index in (
            ("wa_instances", "id", "wa_instances_of_tenant"),
            ("wa_inbound", "instance_id", "wa_inbound_once"),
        ):
            plan = "\n".join(row[0] for row in user.execute(f"explain select {column} from {table}".encode()))
            assert index in plan
            assert "Seq Scan" not in plan
        assert user.execute("select id from wa_instances").fetchall() == [(mine,)]
