"""The task tree: in which order it starts and stops. Here without an instance; tests/e2e/ has the rest of the worker.

`main()` takes the signals of its process, so each test starts one.
"""

from __future__ import annotations

import json
import platform
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import attrs
import httpx
import pytest
import trio
from structlog.testing import capture_logs

from tests.environment import bare
from tests.journal.rows import ANA, admit, inbound_message, send, states
from tests.proxy_fixture import PATIENCE, SHOP, ProxyFixture, open_proxy_fixture, until
from tests.whatsapp.test_folder_store import pair
from wa_worker import __version__
from wa_worker.delivery.journal_read import when_it_can_be_read
from wa_worker.dev.proxy import Fault
from wa_worker.journal import Journal, SendState, open_journal
from wa_worker.models import JOURNAL_FILE, RESERVED_FOLDER
from wa_worker.whatsapp.folder_store import FolderStore


@attrs.define
class Running:
    """A worker process and the lines it has logged."""

    process: trio.Process
    lines: list[dict[str, Any]] = attrs.Factory(list)

    @property
    def events(self) -> list[str]:
        return [line["event"] for line in self.lines]

    async def read(self) -> None:
        assert self.process.stderr is not None
        rest = b""
        with suppress(trio.ClosedResourceError):
            async for chunk in self.process.stderr:
                *lines, rest = (rest + chunk).split(b"\n")
                self.lines += [json.loads(line) for line in lines if line.startswith(b"{")]

    async def logged(self, event: str) -> dict[str, Any]:
        await until(lambda: event in self.events or self.process.returncode is not None)
        assert event in self.events, self.lines
        return next(line for line in self.lines if line["event"] == event)

    async def get(self, path: str) -> httpx.Response:
        port = (await self.logged("health answers"))["port"]
        async with httpx.AsyncClient() as http:
            return await http.get(f"http://127.0.0.1:{port}{path}")


@asynccontextmanager
async def run_worker(fixture: ProxyFixture, auth_dir: Path, **more: str) -> AsyncIterator[Running]:
    settings = bare(
        EDGE_BASE_URL=fixture.proxy.url,
        WORKER_SECRET="s",
        AUTH_DIR=str(auth_dir),
        BIND_HOST="127.0.0.1",
        PORT="0",
        INSTANCE_POLL_MS="100",
        HTTPS_PROXY="http://127.0.0.1:1",  # nothing here may reach WhatsApp
        **more,
    )
    command = [sys.executable, "-m", "wa_worker", "run"]
    async with trio.open_nursery() as nursery:
        process = await trio.lowlevel.open_process(command, env=settings, stderr=subprocess.PIPE)
        running = Running(process)
        nursery.start_soon(running.read)
        try:
            yield running
        finally:
            if process.returncode is None:
                process.kill()
            assert process.stderr is not None
            with trio.CancelScope(shield=True):  # it was killed: this does not take long
                await process.wait()
                await trio.aclose_forcefully(process.stderr)
            nursery.cancel_scope.cancel()  # nothing is awaited after it, or an error of the test would be lost


async def stop(running: Running) -> None:
    running.process.send_signal(signal.SIGTERM)
    with trio.fail_after(PATIENCE):
        await running.process.wait()
    await until(lambda: "stopped" in running.events)


async def test_health_answers_first_and_it_says_stopped_last(tmp_path: Path) -> None:
    async with open_proxy_fixture() as fixture, run_worker(fixture, tmp_path / "auth") as running:
        assert (await running.get("/health")).json()["status"] == "ok"
        unready: set[str] = set()
        while "working" not in running.events:
            unready.update((await running.get("/ready")).json()["reasons"])
        assert "the journal and the WhatsApp library are loading" in unready
        await stop(running)
        assert running.process.returncode == 0
        assert running.events[0] == "health answers"
        first = running.lines[0]
        found = (first["version"], first["neonize"], first["python"])
        assert found == (__version__, version("neonize"), platform.python_version())
        assert running.events[-1] == "stopped"


async def test_it_is_ready_once_the_proxy_has_answered(tmp_path: Path) -> None:
    async with open_proxy_fixture() as fixture:
        fixture.proxy.faults.set("disconnected-instances", Fault(hang=True))
        async with run_worker(fixture, tmp_path / "auth") as running:
            await running.logged("working")
            assert (await running.get("/ready")).json()["reasons"] == ["the proxy has not answered a poll yet"]
            fixture.proxy.faults.clear()
            await fixture.proxy.down()
            await fixture.proxy.up()
            ready = 0
            with trio.fail_after(PATIENCE):
                while ready != 200:
                    ready = (await running.get("/ready")).status_code
            await stop(running)


async def test_health_answers_while_the_workers_stop(tmp_path: Path) -> None:
    """The farewell of an instance waits for the proxy: until it is over, who asks is told that we stop."""
    async with open_proxy_fixture(SHOP) as fixture, run_worker(fixture, tmp_path / "auth") as running:
        await until(lambda: fixture.proxy.store.statuses(SHOP))
        fixture.proxy.faults.set("update-status", Fault(delay=1.5))
        running.process.send_signal(signal.SIGTERM)
        reasons: list[str] = []
        with trio.fail_after(PATIENCE):
            while reasons != ["stopping"]:
                reasons = (await running.get("/ready")).json()["reasons"]
            await running.process.wait()
        assert running.process.returncode == 0
        assert [change.status for change in fixture.proxy.store.statuses(SHOP)][-1] == "DISCONNECTED"


async def test_the_volume_is_free_once_it_has_ended(tmp_path: Path) -> None:
    auth_dir = tmp_path / "auth"
    async with open_proxy_fixture() as fixture, run_worker(fixture, auth_dir) as first:
        await first.logged("working")
        async with run_worker(fixture, auth_dir) as second:
            await second.logged("another worker holds the volume, waiting for it to end")
            assert (await second.get("/ready")).json()["reasons"] == ["waiting for the lock on the volume"]
            await stop(first)
            await second.logged("working")
            await stop(second)
            order: Callable[[str], int] = second.events.index
            assert order("the volume is free, taking over") < order("working")


async def test_a_stop_while_it_waits_for_the_volume(tmp_path: Path) -> None:
    auth_dir = tmp_path / "auth"
    async with open_proxy_fixture() as fixture, run_worker(fixture, auth_dir) as first:
        await first.logged("working")
        async with run_worker(fixture, auth_dir) as second:
            await second.logged("another worker holds the volume, waiting for it to end")
            await stop(second)
            assert second.process.returncode == 0
        assert first.process.returncode is None
        await stop(first)


@asynccontextmanager
async def left_by_an_earlier_run(auth_dir: Path) -> AsyncIterator[Journal]:
    (auth_dir / RESERVED_FOLDER).mkdir(parents=True, mode=0o700)
    with open_journal(auth_dir / RESERVED_FOLDER / JOURNAL_FILE) as journal:
        yield journal


async def test_what_an_earlier_run_left_is_delivered_and_told(tmp_path: Path) -> None:
    auth_dir = tmp_path / "auth"
    async with open_proxy_fixture(SHOP) as fixture:
        store = fixture.proxy.store
        message_id = store.queue(SHOP, ANA, "sent")
        async with left_by_an_earlier_run(auth_dir) as journal:
            journal.inbox.record(SHOP, inbound_message("received"))
            admit(journal, message_id)
            send(journal, message_id, SendState.SENT, wa_id="W")
        async with run_worker(fixture, auth_dir) as running:
            await until(lambda: store.inbound() and not store.queued(SHOP))
            await stop(running)
        assert [row.wa_message_id for row in store.messages()] == ["W"]
        assert [row.payload["wa_message_id"] for row in store.inbound()] == ["received"]


@pytest.mark.parametrize(("policy", "state"), [("resend", "waiting"), ("hold", "uncertain")])
async def test_a_send_that_the_last_end_cut_off_is_in_doubt(tmp_path: Path, policy: str, state: str) -> None:
    auth_dir = tmp_path / "auth"
    async with left_by_an_earlier_run(auth_dir) as journal:
        admit(journal, 1)
        journal.ledger.step(SHOP, [], 1)
    async with open_proxy_fixture() as fixture, run_worker(fixture, auth_dir, ON_UNCERTAIN_SEND=policy) as running:
        line = await running.logged("sends were cut off by the last stop: they may or may not have left")
        assert line["messages"] == 1
        await running.logged("working")
        await stop(running)
    with open_journal(auth_dir / RESERVED_FOLDER / JOURNAL_FILE) as journal:
        assert states(journal) == {"1": state}


async def test_what_is_paired_runs_though_the_proxy_does_not_list_it(tmp_path: Path) -> None:
    auth_dir = tmp_path / "auth"
    pair(FolderStore.of(auth_dir, SHOP))
    async with open_proxy_fixture() as fixture, run_worker(fixture, auth_dir) as running:
        assert (await running.logged("working"))["resumed"] == 1
        assert (await running.logged("opening"))["instance"] == SHOP
        await stop(running)


async def test_what_the_start_reads_is_asked_for_until_it_comes(tmp_path: Path) -> None:
    """PostgreSQL may be away for a moment just then."""
    file = tmp_path / "journal.db"
    found: list[object] = []
    with open_journal(file) as journal, closing(sqlite3.connect(file, isolation_level=None)) as other:
        journal.let_go.put(SHOP, 1.0)
        other.execute("ALTER TABLE let_go RENAME TO away")

        async def read() -> None:
            found.append(await when_it_can_be_read(journal.let_go.all))

        with capture_logs() as lines, trio.fail_after(PATIENCE):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(read)
                await until(lambda: any(line["event"] == "the journal cannot be read" for line in lines))
                other.execute("ALTER TABLE away RENAME TO let_go")
    assert found == [{SHOP: 1.0}]
