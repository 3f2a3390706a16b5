"""What becomes of a session whose PostgreSQL is killed amid traffic. A server of its own, since it dies."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from tests.postgres_server import kill, open_empty_postgres, program, running
from tests.proxy_fixture import until
from tests.state_fixture import SUPERUSER
from tests.whatsapp.schema_world import SchemaWorld, pair, store_of
from tests.whatsapp.test_session import CONTACT
from wa_worker.dev.simulator import Simulator
from wa_worker.errors import SessionError
from wa_worker.postgres.url import StateUrl


async def test_a_killed_server_burns_no_requests_and_loses_nothing(
    simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever whatsmeow cannot decrypt it asks for five times, and then gives up: so the line is cut at once."""
    if program("initdb") is None:
        pytest.skip("PostgreSQL not found: run .ci/worker-proxy-services")
    for name, value in simulator.environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    password = secrets.token_hex(16)
    with open_empty_postgres(password, SUPERUSER, on_port=True) as server:
        url = StateUrl.of(f"postgres://{SUPERUSER}:{password}@127.0.0.1:{server.port}/postgres")
        with store_of(url) as store:
            world = SchemaWorld(simulator, tmp_path, "", url, store)
            jid = await pair(world, store)
            contact = simulator.contact(CONTACT)
            async with world.opened("wa_7_41") as session:
                await session.hears("report", event="CONNECTED")
                await contact.send(jid, "before")
                await session.hears("message")
                kill(server)
                for n in range(5):
                    await contact.send(jid, f"during {n}")
                await session.hears("report", event="STORE_FAILED")
                await until(lambda: not simulator.connected(jid))
                with pytest.raises(SessionError):
                    store.is_paired()
                await session.close()
            with running(server):
                async with world.opened("wa_7_41") as session:
                    await until(lambda: session.count("message") == 5)
                assert store.is_paired()
    log = (tmp_path / "log").read_text()
    assert max(simulator.retry_receipts.values(), default=0) <= 1
    assert world.inbox() == ["before", *(f"during {n}" for n in range(5))]
    assert password not in log
