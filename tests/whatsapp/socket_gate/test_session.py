"""The real library through the gate, against the simulated WhatsApp, in a process of its own."""

from __future__ import annotations

import json
import signal
import time
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import trio

from tests.egress_proxy import open_egress_proxy
from tests.proxy_fixture import until
from tests.whatsapp.test_session import CONTACT, PHONE, Session, World
from wa_worker.dev.simulator import Simulator
from wa_worker.models import RESERVED_FOLDER

NOWHERE = "http://127.0.0.1:1"
"""What the library and its children are told by their environment: what goes out beside the gate does not arrive."""

LATE = 1.0
"""Seconds after which a worker that runs again with its deadline passed is gone."""


class Leased(World):
    """A process with a gate; it pairs by itself."""

    def worker(self, around: str = NOWHERE, **how: Any) -> AbstractAsyncContextManager[Session]:
        """`around`: the HTTPS_PROXY of the process."""
        return self.process("tests.whatsapp.gate_process", str(self.auth_dir), json.dumps(how), HTTPS_PROXY=around)

    async def paired(self, worker: Session) -> str:
        jid = await self.simulator.scan((await worker.hears("qr"))["code"], PHONE)
        await worker.hears("report", event="CONNECTED")
        return jid

    @property
    def log(self) -> str:
        return (self.auth_dir / "log").read_text("utf-8", "replace")


def leased(simulator: Simulator, folder: Path) -> Leased:
    (folder / RESERVED_FOLDER).mkdir()
    return Leased(simulator, folder, "")


async def test_all_of_it_passes_and_a_lease_that_runs_out_ends_it(simulator: Simulator, tmp_path: Path) -> None:
    world = leased(simulator, tmp_path)
    file = tmp_path / "file"
    file.write_bytes(bytes(300_000))
    async with (
        open_egress_proxy(simulator.port, "socks5") as proxy,
        world.worker(egress=proxy.url, watchdog=False) as worker,
    ):
        jid = await world.paired(worker)
        contact = simulator.contact(CONTACT)
        await contact.send(jid, "Oi")
        await worker.hears("message")
        await worker.tell("send", to=f"{CONTACT}@s.whatsapp.net", text="Olá")
        await worker.hears("sent")
        await contact.wait_received(1)
        await worker.tell("upload", kind="image", file=str(file))
        await worker.hears("uploaded", size=300_000)
        assert set(proxy.asked) == {"web.whatsapp.com:443", "mmg.whatsapp.net:443"}

        asked, tried, logins = len(proxy.asked), simulator.attempts[jid], simulator.logins[jid]
        await worker.tell("deadline", seconds="0")
        await worker.tell("begin to send", to=f"{CONTACT}@s.whatsapp.net", text="too late")
        await until(lambda: not simulator.connected(jid))
        await until(lambda: world.log.count("Service Unavailable") >= 2)
        assert (len(proxy.asked), simulator.attempts[jid], simulator.logins[jid]) == (asked, tried, logins)
        assert len(contact.received) == 1
    assert simulator.contact(CONTACT).received[0].text == "Olá"


async def test_one_that_was_stopped_beyond_its_deadline_does_nothing_more(simulator: Simulator, tmp_path: Path) -> None:
    """The connection was cut meanwhile, so the library would log in again first thing, with the keys in its memory."""
    world = leased(simulator, tmp_path)
    async with world.worker(proxy=f"http://127.0.0.1:{simulator.port}") as worker:
        jid = await world.paired(worker)
        contact = simulator.contact(CONTACT)
        await worker.tell("send", to=f"{CONTACT}@s.whatsapp.net", text="Oi")
        await contact.wait_received(1)
        await worker.tell("deadline", seconds="2")
        await worker.tell("use")
        await worker.hears("used")
        worker.process.send_signal(signal.SIGSTOP)
        deadline = time.monotonic() + 3
        await worker.tell("begin to send", to=f"{CONTACT}@s.whatsapp.net", text="too late")
        await contact.send(jid, "to whom?")
        await trio.sleep(deadline - time.monotonic())
        before = (simulator.attempts[jid], simulator.logins[jid], simulator.connections, simulator.pending(jid))
        worker.process.send_signal(signal.SIGCONT)
        resumed = time.monotonic()
        with trio.fail_after(20):
            assert await worker.process.wait() == 1
        assert time.monotonic() - resumed < LATE
        await until(lambda: simulator.connections == 0)
        after = (simulator.attempts[jid], simulator.logins[jid], 1, simulator.pending(jid))
        assert after == before, "no login, and no acknowledgement"
        assert len(contact.received) == 1
        assert "may be another worker's by now" in world.log


async def test_one_whose_connection_broke_while_it_was_stopped_does_not_log_in(
    simulator: Simulator, tmp_path: Path
) -> None:
    world = leased(simulator, tmp_path)
    async with world.worker(proxy=f"http://127.0.0.1:{simulator.port}") as worker:
        jid = await world.paired(worker)
        await worker.tell("deadline", seconds="1")
        await worker.tell("use")
        await worker.hears("used")
        worker.process.send_signal(signal.SIGSTOP)
        await simulator.drop(jid)
        await trio.sleep(1.5)
        before = (simulator.attempts[jid], simulator.logins[jid])
        worker.process.send_signal(signal.SIGCONT)
        with trio.fail_after(20):
            assert await worker.process.wait() == 1
        await until(lambda: simulator.connections == 0)
        assert (simulator.attempts[jid], simulator.logins[jid]) == before
