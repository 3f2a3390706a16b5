"""`/health`, `/ready` and `/metrics` over a real socket, and the port they are at."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import attrs
import httpx
import pytest
import trio

from tests.proxy_fixture import PATIENCE, SHOP, open_proxy_fixture
from wa_worker import __version__
from wa_worker.errors import StartupError
from wa_worker.instances.registry import Registry
from wa_worker.journal import open_journal
from wa_worker.metrics import CONTENT_TYPE, Metrics
from wa_worker.models import InstanceId, Reason
from wa_worker.monitoring.health import listen, run_health
from wa_worker.monitoring.readiness import Readiness
from wa_worker.states import Event, State
from wa_worker.volume import VolumeGuard


@attrs.frozen
class Serving:
    port: int
    registry: Registry
    readiness: Readiness

    async def get(self, path: str, method: str = "GET") -> httpx.Response:
        async with httpx.AsyncClient(timeout=PATIENCE) as http:
            return await http.request(method, f"http://127.0.0.1:{self.port}{path}")


@asynccontextmanager
async def open_health() -> AsyncIterator[Serving]:
    registry, listener = Registry(), listen("127.0.0.1", 0)
    readiness = Readiness(registry, poll_interval=10.0)
    async with trio.open_nursery() as nursery:
        await nursery.start(run_health, registry, readiness, Metrics(), listener)
        yield Serving(listener.getsockname()[1], registry, readiness)
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("path", ["/", "/health"])
async def test_health_counts_the_instances_of_the_moment(path: str) -> None:
    async with open_health() as at:
        first = await at.get(path)
        assert (first.status_code, first.headers["content-type"]) == (200, "application/json")
        assert first.headers["wa-worker-version"] == __version__
        assert first.json() == {"status": "ok", "instances": {"connected": 0, "connecting": 0, "reconnecting": 0}}
        for number, state in enumerate((State.CONNECTED, State.CONNECTED, State.PAIRING, State.HELD)):
            at.registry.set(InstanceId(str(number)), state, because=Event.CRASHED)
        assert (await at.get(path)).json()["instances"] == {"connected": 2, "connecting": 1, "reconnecting": 1}


async def test_ready_says_why_not(tmp_path: Path) -> None:
    async with open_health() as at:
        waiting = await at.get("/ready")
        assert waiting.status_code == 503
        assert waiting.json() == {
            "status": "not ready",
            "reasons": ["waiting for the lock on the volume"],
            "held": [],
        }
        at.readiness.loading()
        loading = (await at.get("/ready")).json()["reasons"]
        assert loading == ["the journal and the WhatsApp library are loading"]
        async with open_proxy_fixture(SHOP) as fixture:
            with open_journal(tmp_path / "journal.db") as journal:
                at.readiness.working(journal, fixture.edge, VolumeGuard(tmp_path))
                assert (await at.get("/ready")).json()["reasons"] == ["the proxy has not answered a poll yet"]
                await fixture.edge.disconnected_instances()
                ready = await at.get("/ready")
                assert (ready.status_code, ready.json()) == (200, {"status": "ready", "reasons": [], "held": []})
                at.registry.set(SHOP, State.HELD, because=Event.BANNED)
                at.registry.set_reason(SHOP, Reason.BANNED, 2_000_000_000)
                ready = await at.get("/ready")
                held = [{"id": "shop", "reason": "banned", "until": 2_000_000_000}]
                assert (ready.status_code, ready.json()) == (200, {"status": "ready", "reasons": [], "held": held})
                at.readiness.uploads_hanging = 2
                ready = await at.get("/ready")
                assert (ready.status_code, ready.json()["uploads_hanging"]) == (200, 2)
                at.readiness.other_shards = 2
                noted = await at.get("/ready")
                assert noted.status_code == 200, "it does its own work"
                assert noted.json()["notes"] == [
                    "2 sessions on the volume are of other shards, and not started: see docs/scaling.md"
                ]
                at.readiness.other_shards = 1
                assert (await at.get("/ready")).json()["notes"][0].startswith("1 session on the volume is of")
                at.readiness.stopping()
                assert (await at.get("/ready")).json()["reasons"] == ["stopping"]


async def test_metrics_are_for_prometheus_from_the_first_moment() -> None:
    async with open_health() as at:
        answer = await at.get("/metrics")
        assert (answer.status_code, answer.headers["content-type"]) == (200, CONTENT_TYPE)
        assert "wa_worker_ready 0.0" in answer.text
        assert "wa_worker_journal_works 0.0" in answer.text
        threads = next(line for line in answer.text.splitlines() if line.startswith("wa_worker_threads "))
        assert float(threads.split()[1]) >= 1


@pytest.mark.parametrize("path", ["/x", "/health/", "/ready/x", "/metrics/"])
async def test_nothing_else_is_there(path: str) -> None:
    async with open_health() as at:
        assert (await at.get(path)).status_code == 404


@pytest.mark.parametrize("path", ["/health", "/ready", "/metrics"])
async def test_nobody_changes_anything_here(path: str) -> None:
    async with open_health() as at:
        assert (await at.get(path, "POST")).status_code == 405
        assert (await at.get(path, "HEAD")).status_code in (200, 503)


async def test_cancelled_it_cuts_who_waits_and_frees_the_port() -> None:
    async with open_health() as at:
        stream = await trio.open_tcp_stream("127.0.0.1", at.port)
        await stream.send_all(b"GET /health HTTP/1.1\r\n")
    async with stream:
        with trio.fail_after(PATIENCE):
            with suppress(trio.BrokenResourceError):
                assert await stream.receive_some() == b""
    listen("127.0.0.1", at.port).close()


def test_a_port_that_is_taken_is_a_clear_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        with pytest.raises(StartupError, match=f"cannot listen on 127.0.0.1 port {port}: Address already in use"):
            listen("127.0.0.1", port)


def test_so_is_an_address_that_is_none() -> None:
    with pytest.raises(StartupError, match=r"cannot listen on nowhere\.invalid port 0"):
        listen("nowhere.invalid", 0)


def test_the_port_can_be_had_again_at_once() -> None:
    """After a restart, though a connection of the last run lingers."""
    first = listen("127.0.0.1", 0)
    port = first.getsockname()[1]
    client = socket.create_connection(("127.0.0.1", port))
    server, _ = first.accept()
    server.close()  # who closes first is who lingers
    client.close()
    first.close()
    listen("127.0.0.1", port).close()
