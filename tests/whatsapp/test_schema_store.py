"""Schemas as session stores, on a real PostgreSQL, with whatsmeow's tables as far as they are read."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest

from tests.proxy_fixture import SHOP
from tests.state_fixture import state_server as state_server
from tests.state_fixture import state_url as state_url
from tests.whatsapp.schema_world import database, named, run, store_of
from wa_worker.errors import SessionError
from wa_worker.models import Account, InstanceId, Jid
from wa_worker.postgres.connecting import connect
from wa_worker.postgres.migrations import upgrade
from wa_worker.postgres.patience import patient_for
from wa_worker.postgres.url import StateUrl
from wa_worker.whatsapp.message_secrets import sent_id, store_mark
from wa_worker.whatsapp.schema_store import SchemaStore, SchemaStores
from wa_worker.whatsapp.store import ARCHIVES_KEPT, StoreLost, StoreTrouble

SECRET = b"\x00'%s?" + bytes(27)
PHONE, LID = Jid("5511988880005@s.whatsapp.net"), Jid("95511988880005@lid")


@pytest.fixture
def store(state_url: StateUrl) -> Iterator[SchemaStore]:
    with store_of(state_url) as store:
        yield store


def pair(store: SchemaStore) -> None:
    """Makes the tables that are read, and a device."""
    store.prepare()
    for statement in (
        "CREATE TABLE {}.whatsmeow_device (jid text PRIMARY KEY, registration_id bigint, push_name text)",
        "CREATE TABLE {}.whatsmeow_lid_map (lid text PRIMARY KEY, pn text UNIQUE)",
        "CREATE TABLE {}.whatsmeow_message_secrets (our_jid text, chat_jid text, sender_jid text, message_id text, "
        "key bytea, PRIMARY KEY (our_jid, chat_jid, sender_jid, message_id))",
        "INSERT INTO {}.whatsmeow_device VALUES ('5511999990001:3@s.whatsapp.net', 4711, 'Ana')",
        "INSERT INTO {}.whatsmeow_lid_map VALUES ('95511988880005', '5511988880005')",
    ):
        run(store.url, statement.format(store.schema))


def put_secret(store: SchemaStore, wa_id: str) -> None:
    run(store.url, f"INSERT INTO {store.schema}.whatsmeow_message_secrets VALUES ('', '', '', %s, %s)", wa_id, SECRET)


def schemas(store: SchemaStore) -> list[str]:
    return [name for (name,) in run(store.url, "SELECT nspname FROM pg_namespace WHERE nspname ~ '^wa' ORDER BY 1")]


def test_what_is_read(store: SchemaStore) -> None:
    assert not store.is_paired(), "there is no schema yet"
    assert store_mark(store) is None
    store.prepare()
    store.prepare()
    assert not store.is_paired()
    assert store.account() is None
    assert run(store.url, "SELECT version, compat FROM wa_7_41.whatsmeow_version") == []
    pair(store)
    assert store.is_paired()
    assert store.account() == Account(Jid("5511999990001@s.whatsapp.net"), "Ana")
    assert (store.phone_of(LID), store.lid_of(PHONE)) == (PHONE, LID)
    assert store.phone_of(Jid("1@lid")) is None


def test_the_id_of_a_send_is_that_of_the_last_try(store: SchemaStore) -> None:
    pair(store)
    mark = store_mark(store)
    assert mark is not None
    assert sent_id(store, SECRET, mark) is None
    for wa_id in ("3EB2", "3EB1"):
        put_secret(store, wa_id)
    run(store.url, "UPDATE wa_7_41.whatsmeow_device SET push_name = 'Bia'")
    assert sent_id(store, SECRET, None) == "3EB1"


def test_the_mark_is_that_of_the_instance_and_its_device(store: SchemaStore) -> None:
    pair(store)
    mark = store_mark(store)
    with store_of(store.url, "wa_8_41") as other:
        pair(other)
        assert store_mark(other) not in (mark, None)
    run(store.url, "UPDATE wa_7_41.whatsmeow_device SET registration_id = 1")
    assert store_mark(store) not in (mark, None)


def test_a_schema_with_another_token_is_another_workers(store: SchemaStore) -> None:
    """A code would be the wrong answer, and so would an empty schema in its place."""
    pair(store)
    run(store.url, "ALTER SCHEMA wa_7_41 RENAME TO wa_7_42")
    for use in (store.is_paired, store.account, store.prepare, store.archive):
        with pytest.raises(StoreLost, match="wa_7_42"):
            use()
    assert store.phone_of(LID) is store.lid_of(PHONE) is None
    assert store_mark(store) is None
    assert schemas(store) == ["wa_7_42"]


def test_archives_are_kept_but_not_for_ever(store: SchemaStore) -> None:
    assert store.archive() is None
    store.prepare()
    assert store.archive() is None, "nothing was paired"
    for old in ("wa_7_x20240101000000", "wa_7_x20250101000000", "wa_7_x20250601000000", "wa_70_x20240101000000"):
        run(store.url, f"CREATE SCHEMA {old}")
    kept = ["wa_7_x20250101000000", "wa_7_x20250601000000"]
    for _ in range(2):
        pair(store)
        target = store.archive()
        assert target is not None
        assert run(store.url, f"SELECT push_name FROM {target}.whatsmeow_device") == [("Ana",)]
        assert not store.is_paired()
        kept = [*kept, target][-ARCHIVES_KEPT:]
        assert schemas(store) == sorted([*kept, "wa_70_x20240101000000", "wa_7_41"])


def test_an_archive_ends_what_the_session_has_left_open(store: SchemaStore) -> None:
    pair(store)
    with database(store.url) as left:
        left.execute("SELECT set_config('application_name', %s, false)", (store.application_name,))
        left.execute("BEGIN")
        left.execute("LOCK TABLE wa_7_41.whatsmeow_device")
        assert store.archive() is not None
        with pytest.raises(psycopg.OperationalError):
            left.execute("SELECT 1")


def test_one_connection_for_all_and_a_torn_one_is_replaced(state_url: StateUrl) -> None:
    stores = SchemaStores(state_url)
    mine = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'wa-worker stores'"
    try:
        for n in range(3):
            schema = f"wa_{n}_1"
            stores.gained(InstanceId(f"shop{n}"), schema, named(schema))
            store = stores.of(InstanceId(f"shop{n}"))
            pair(store)
            assert store.is_paired()
        assert run(state_url, mine) == [(True,)]
        assert stores.of(InstanceId("shop1")).is_paired()
        assert list(stores.paired()) == ["shop0", "shop1", "shop2"]
        stores.lost(InstanceId("shop1"))
        assert list(stores.paired()) == ["shop0", "shop2"]
        with pytest.raises(SessionError):
            stores.of(InstanceId("shop1"))
    finally:
        stores.close()


def test_a_server_that_says_nothing_is_given_up(store: SchemaStore) -> None:
    """Callbacks of the library wait for what is looked up."""
    pair(store)
    assert store.is_paired()
    ((pid,),) = run(store.url, "SELECT pid FROM pg_stat_activity WHERE application_name = 'wa-worker stores'")
    os.kill(pid, signal.SIGSTOP)
    try:
        begun = time.monotonic()
        with pytest.raises(SessionError), store.reading(0.2) as reader:
            reader.rows("SELECT 1 FROM whatsmeow_device")
        assert time.monotonic() - begun < 2
    finally:
        os.kill(pid, signal.SIGCONT)
    assert store.is_paired(), "over another connection"


def test_many_looks_at_a_server_that_never_answers_take_no_longer_than_one() -> None:
    """A message may name thirty people."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = StateUrl.of(f"postgres://wa:x@127.0.0.1:{silent.getsockname()[1]}/wa")
        with closing(SchemaStores(url)) as stores:
            stores.gained(SHOP, "wa_7_41", "wa/7/41")
            started = time.monotonic()
            with patient_for(1.0):
                for n in range(30):
                    assert stores.of(SHOP).phone_of(Jid(f"{n}@lid")) is None
            assert time.monotonic() - started < 5, "the time for one connection, and a second"


def test_people_are_looked_up_in_the_store_of_whoever_has_the_instance(state_url: StateUrl) -> None:
    with connect(state_url, "test") as database:
        upgrade(database)
        database.execute("INSERT INTO wa.instances (id, token) VALUES ('shop', 7)")
        (schema,) = database.execute("SELECT 'wa_' || n || '_7' FROM wa.instances").fetchone() or ()
    with closing(SchemaStores(state_url)) as stores:
        assert stores.look(SHOP).schema == schema
        with pytest.raises(SessionError, match="is not this worker's"):
            stores.of(SHOP)
        with pytest.raises(SessionError, match="pub is not known"):
            stores.look(InstanceId("pub"))
        stores.gained(SHOP, "wa_7_41", "wa/7/41")
        assert stores.look(SHOP).schema == "wa_7_41"
    gone = StateUrl.of(f"postgres://wa:x@127.0.0.1:1/{state_url.database}")
    with closing(SchemaStores(gone)) as stores, pytest.raises(SessionError):
        stores.look(SHOP)


async def test_a_server_that_is_not_there_is_said_once_and_without_the_password(state_url: StateUrl) -> None:
    gone = StateUrl.of(f"postgres://wa:s3cr3t-word@127.0.0.1:1/{state_url.database}")
    stores = SchemaStores(gone)
    stores.gained(SHOP, "wa_7_41", "wa/7/41")
    store = stores.of(SHOP)
    problem = await stores.problem()
    assert problem is not None
    texts = [problem, repr(store), repr(store.dsn), store.place]
    for use in (store.is_paired, store.prepare, store.archive):
        with pytest.raises(SessionError) as caught:
            use()
        texts += [str(caught.value), repr(caught.value.__cause__)]
    assert list(stores.paired()) == [SHOP], "its instance finds out"
    assert not [text for text in texts if "s3cr3t" in text]
    assert "s3cr3t-word" in store.dsn.reveal()
    here = SchemaStores(state_url)
    assert await here.problem() is None
    here.close()


def test_the_dsn_has_the_servers_settings(store: SchemaStore) -> None:
    """lib/pq hands on what it does not know; libpq wants it as `options`."""
    _, _, query = store.dsn.reveal().partition("?")
    assert {
        *("search_path=wa_7_41", "application_name=wa%2F7%2F41", "idle_session_timeout=30000"),
        *("statement_timeout=10000", "synchronous_commit=on", "connect_timeout=5", "sslmode=disable"),
    } == set(query.split("&"))


@pytest.mark.parametrize("name", ["wa", "wa_7", "wa_7_x1", "wa_7_41; DROP SCHEMA wa", "wa_7_41\n", "WA_7_41"])
def test_only_the_schema_of_an_instance_will_do(state_url: StateUrl, name: str) -> None:
    with pytest.raises(ValueError, match="is no schema of an instance"):
        SchemaStores(state_url).gained(SHOP, name, "x")


LINES = {
    "Error decrypting message 3A from 55@s.whatsapp.net: failed to load session with 955_1:0: dial tcp 127.0.0.1:5432: "
    "connect: connection refused": StoreTrouble.AWAY,
    "failed to prefetch sessions: dial unix /run/.s.PGSQL.5432: connect: no such file or directory": StoreTrouble.AWAY,
    "failed to store session: driver: bad connection": StoreTrouble.AWAY,
    "x: pq: terminating connection due to administrator command (57P01)": StoreTrouble.AWAY,
    "x: pq: the database system is shutting down (57P03)": StoreTrouble.AWAY,
    "x: pq: canceling statement due to statement timeout (57014)": StoreTrouble.AWAY,
    "x: pq: cannot execute UPDATE in a read-only transaction (25006)": StoreTrouble.AWAY,
    "x: pq: could not extend file: No space left on device (53100)": StoreTrouble.AWAY,
    "x: pq: SSL is not enabled on the server": StoreTrouble.AWAY,
    "x: read tcp 127.0.0.1:4->127.0.0.1:5432: read: connection reset by peer": StoreTrouble.AWAY,
    'x: pq: relation "whatsmeow_sessions" does not exist at column 31 (42P01)': StoreTrouble.LOST,
    "x: pq: no schema has been selected to create in (3F000)": StoreTrouble.LOST,
    "x: pq: terminating connection due to idle-session timeout (57P05)": None,
    'x: pq: duplicate key value violates unique constraint "y" (23505)': None,
    'x: pq: invalid byte sequence for encoding "UTF8": 0x00 (22021)': None,
    "Error reading from websocket: read tcp 10.0.0.2:4->157.240.1.1:443: read: connection reset by peer": None,
    'failed to dial whatsapp web websocket: failed to send handshake request: Get "https://web.whatsapp.com/ws/chat": '
    "dial tcp: lookup web.whatsapp.com: no such host": None,
    "Failed to decrypt message: no valid sessions": None,
}


@pytest.mark.parametrize(("line", "trouble"), LINES.items())
def test_what_a_line_of_the_log_says(line: str, trouble: StoreTrouble | None) -> None:
    url = StateUrl.of("postgres://wa:x@db.example/wa")
    stores = SchemaStores(url)
    stores.gained(SHOP, "wa_7_41", "wa/7/41")
    assert stores.of(SHOP).trouble(line) is trouble


def test_stores_of_one_instance_that_are_prepared_at_once(state_url: StateUrl) -> None:
    """The second waits for the first, and finds what it made."""
    with store_of(state_url) as one, database(state_url) as other, other.transaction():
        other.execute("SELECT pg_advisory_xact_lock(%s, 7)", (0x77615F73,))
        with pytest.raises(SessionError, match=r"lock timeout|statement timeout"), one._changing(patience=0.2):
            pass
