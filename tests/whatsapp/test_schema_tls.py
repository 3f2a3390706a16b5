"""TLS to PostgreSQL: both drivers take a server whose certificate they can prove, and no other."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import attrs
import psycopg
import pytest
import trio
import trustme

from tests.postgres_server import Postgres
from tests.proxy_fixture import PATIENCE, SHOP
from tests.state_fixture import SUPERUSER
from tests.state_fixture import state_server as state_server
from tests.state_fixture import state_url as state_url
from tests.whatsapp.schema_world import run, store_of
from wa_worker.check.result import Grade
from wa_worker.check.state import check_state
from wa_worker.dev.simulator import Simulator
from wa_worker.dev.simulator.trust import command
from wa_worker.errors import StateError
from wa_worker.postgres.connecting import connect
from wa_worker.postgres.url import StateUrl
from wa_worker.whatsapp.pairing import PairingEnded, PairingEvent, PairingHosts, QrCode
from wa_worker.whatsapp.schema_store import SchemaStore


@attrs.frozen
class Proven:
    """Holds the server's URL, and the files of the authority that signed its certificate and of another one."""

    url: StateUrl
    authority: Path
    other: Path

    def by(self, authority: Path, host: str = "localhost") -> StateUrl:
        options = {**self.url.options, "sslmode": "verify-full", "sslrootcert": str(authority)}
        return attrs.evolve(self.url, host=host, options=options)


@pytest.fixture
def proven(state_server: Postgres, state_url: StateUrl, tmp_path: Path) -> Iterator[Proven]:
    """The tests' server, with TLS meanwhile."""
    authority, other = tmp_path / "authority.pem", tmp_path / "other.pem"
    signer = trustme.CA()
    signer.cert_pem.write_to_path(authority)
    trustme.CA().cert_pem.write_to_path(other)
    certificate = signer.issue_cert("localhost")
    owner = state_server.folder.stat()
    for name, blobs in (("tls.key", [certificate.private_key_pem]), ("tls.pem", certificate.cert_chain_pems)):
        file = state_server.folder / name
        file.write_bytes(b"".join(blob.bytes() for blob in blobs))
        file.chmod(0o600)
        os.chown(file, owner.st_uid, owner.st_gid)
    with psycopg.connect(state_server.dsn(SUPERUSER), autocommit=True) as admin:
        settings = {"ssl_cert_file": "tls.pem", "ssl_key_file": "tls.key"}
        for name, value in settings.items():
            admin.execute(f"ALTER SYSTEM SET {name} = '{state_server.folder / value}'")
        _reload(admin, "on")
        try:
            yield Proven(state_url, authority, other)
        finally:
            _reload(admin, "off")


def _reload(admin: psycopg.Connection, ssl: str) -> None:
    admin.execute(f"ALTER SYSTEM SET ssl = {ssl}")
    admin.execute("SELECT pg_reload_conf()")
    until = time.monotonic() + 10
    while admin.execute("SHOW ssl").fetchone() != (ssl,):
        assert time.monotonic() < until
        time.sleep(0.02)


async def test_psycopg_proves_it(proven: Proven) -> None:
    with closing(connect(proven.by(proven.authority), "test")) as sql:
        assert sql.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone() == (True,)
    found = await check_state(proven.by(proven.authority))
    assert (found[1].grade, found[1].found[:4]) == (Grade.OK, "TLSv"), found[1]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_psycopg_takes_no_other(proven: Proven, host: str) -> None:
    """Neither one of another authority, nor one for another name."""
    url = proven.by(proven.other if host == "localhost" else proven.authority, host)
    with pytest.raises(StateError, match="certificate"):
        connect(url, "test").close()
    (first, *_) = await check_state(url)
    assert first.grade is Grade.FAIL
    assert "certificate" in first.found
    assert "sslrootcert must be the file of the authority" in (first.remedy or "")


class Prepared(SchemaStore):
    def prepare(self) -> None:
        """It was: psycopg would find out here."""


async def first_event(store: SchemaStore) -> PairingEvent:
    with trio.fail_after(PATIENCE * 2):
        async with trio.open_nursery() as nursery:
            hosts = PairingHosts(nursery, command("wa_worker.whatsapp.pairing_host"))
            async with hosts.pair(SHOP, store, "wa-worker") as events:
                event = await events.receive()
            nursery.cancel_scope.cancel()
    return event


async def test_the_library_of_the_sessions_proves_it(
    simulator: Simulator, proven: Proven, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in simulator.environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    with store_of(proven.by(proven.authority)) as store:
        assert isinstance(await first_event(store), QrCode)
    tables = run(proven.url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'wa_7_41'")
    assert tables[0][0] > 10, "whatsmeow's are there"


async def test_the_library_of_the_sessions_takes_no_other(
    simulator: Simulator, proven: Proven, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker finds out before, and never gets here."""
    for name, value in simulator.environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    with store_of(proven.url) as store:
        store.prepare()
        wrong = proven.by(proven.other)
        event = await first_event(Prepared(wrong, store.schema, store.application_name, store.idle, store._reader))
    assert isinstance(event, PairingEnded), event
    assert "certificate" in event.reason
    assert run(proven.url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'wa_7_41'") == [(1,)]
