"""A session whose keys are in a schema of a real PostgreSQL, with the real library against the simulated WhatsApp."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import attrs
import psycopg
import trio

from tests.proxy_fixture import PATIENCE, SHOP
from tests.whatsapp.test_session import PHONE, Session, World
from wa_worker.dev.simulator.trust import command
from wa_worker.postgres.connecting import connect
from wa_worker.postgres.url import StateUrl
from wa_worker.whatsapp.pairing import Paired, PairingHosts, QrCode
from wa_worker.whatsapp.schema_store import SchemaStore, SchemaStores


def named(schema: str) -> str:
    """What its session's connections are called."""
    return schema.replace("_", "/")


@contextmanager
def store_of(url: StateUrl, schema: str = "wa_7_41") -> Iterator[SchemaStore]:
    stores = SchemaStores(url)
    stores.gained(SHOP, schema, named(schema))
    try:
        yield stores.of(SHOP)
    finally:
        stores.close()


@contextmanager
def database(url: StateUrl) -> Iterator[psycopg.Connection]:
    with connect(url, "test") as opened:
        yield opened


def run(url: StateUrl, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with database(url) as opened:
        found = opened.execute(query.encode(), parameters)
        return found.fetchall() if found.description else []


def take_over(url: StateUrl, schema: str, into: str) -> None:
    """As the next owner does: a new name, and an end of what the former one has open."""
    run(url, f"ALTER SCHEMA {schema} RENAME TO {into}")
    run(url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s", named(schema))


def connections(url: StateUrl, schema: str) -> int:
    return len(run(url, "SELECT 1 FROM pg_stat_activity WHERE application_name = %s", named(schema)))


@attrs.frozen
class SchemaWorld(World):
    url: StateUrl
    store: SchemaStore

    def opened(self, schema: str, **more: str) -> AbstractAsyncContextManager[Session]:
        more |= {"TEST_SCHEMA": schema, "TEST_STATE_URL": self.url.with_options().reveal()}
        return self.process("tests.whatsapp.session_process", str(self.auth_dir), **more)


def arguments() -> bytes:
    """The arguments and the environments of all processes that there are."""
    found = b""
    for file in (*Path("/proc").glob("[0-9]*/cmdline"), *Path("/proc").glob("[0-9]*/environ")):
        with suppress(OSError):
            found += file.read_bytes()
    return found


async def pair(world: World, store: SchemaStore, host: Sequence[str] = ()) -> str:
    """Pairs the phone into the schema, in a pairing host; returns the device's JID."""
    with trio.fail_after(PATIENCE * 2):
        async with trio.open_nursery() as nursery:
            hosts = PairingHosts(nursery, host or command("wa_worker.whatsapp.pairing_host"))
            async with hosts.pair(SHOP, store, "wa-worker") as events:
                shown = await events.receive()
                assert isinstance(shown, QrCode), shown
                assert store.url.password.reveal().encode() not in arguments(), "a host gets it over its socket"
                jid = await world.simulator.scan(shown.code, PHONE)
                assert await events.receive() == Paired()
            nursery.cancel_scope.cancel()
    return jid
