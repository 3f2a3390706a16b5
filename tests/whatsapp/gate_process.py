"""A worker in small, with the socket gate: it pairs if its store is not paired, opens the session, and does as told.

    python -m wa_worker.dev.simulator.trust tests.whatsapp.gate_process AUTH_DIR HOW

HOW is JSON: `{"proxy": what HTTPS_PROXY is for the gate, "egress": the proxy of the instance, "watchdog": false,
"gate": false}`, each optional; without a gate the library has what the process' environment says. Besides what
session_process.py does and tells: `{"do": "deadline", "seconds"}` has the lease run out by then, `{"do": "measure",
"to", "count"}` sends one message after the other. Out: `{"is": "qr", "code"}`, `{"is": "paired"}`, `{"is": "measured",
"seconds": of each send, "cpu": seconds in all}`, `{"is": "used", "cpu"}` for `{"do": "use"}`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from tests.whatsapp.session_process import PATIENCE, SHOP, Line, Ticks, say, tell_reports  # first: it sets up neonize

# isort: split
import attrs
import trio

from tests.whatsapp.receipts import Receipts
from wa_worker.dev.simulator.trust import command
from wa_worker.edge.egress_url import egress_from
from wa_worker.edge.wire import InstanceRows
from wa_worker.journal import open_journal
from wa_worker.messages import OutgoingMessage, Text
from wa_worker.metrics import Metrics
from wa_worker.models import RESERVED_FOLDER, EgressProxy, Jid
from wa_worker.ownership.deadline import boottime
from wa_worker.ownership.watchdog import Watchdog
from wa_worker.whatsapp.bridge import WhatsApp
from wa_worker.whatsapp.egress import EgressTable
from wa_worker.whatsapp.egress_memory import EgressFiles
from wa_worker.whatsapp.folder_store import FolderStore, FolderStores
from wa_worker.whatsapp.gate import StartGate
from wa_worker.whatsapp.pairing import Paired, PairingHosts, QrCode
from wa_worker.whatsapp.receiving import Receiver, Told
from wa_worker.whatsapp.routes import Routes
from wa_worker.whatsapp.session_host import SessionHost
from wa_worker.whatsapp.socket_gate import SocketGate
from wa_worker.whatsapp.store import SessionStore
from wa_worker.whatsapp.uploads import Uploads


class LeasedLine(Line):
    """The commands of the test, and the lease that it gives."""

    def __init__(self, *scopes: Any) -> None:
        super().__init__(*scopes)
        self.until = boottime() + 600

    async def _do(self, command: dict[str, str]) -> None:
        if command["do"] == "deadline":
            self.until = boottime() + float(command["seconds"])
        elif command["do"] == "use":
            say("used", cpu=time.process_time())
        elif command["do"] == "measure":
            await trio.to_thread.run_sync(self._measure, Jid(command["to"]), int(command["count"]))
        else:
            await super()._do(command)

    def _measure(self, to: Jid, count: int) -> None:
        assert self.session is not None
        seconds, cpu = [], time.process_time()
        for number in range(count):
            started = time.perf_counter()
            self.session.send(OutgoingMessage(to, Text(f"message {number}")))
            seconds.append(time.perf_counter() - started)
        say("measured", seconds=seconds, cpu=time.process_time() - cpu)


async def pair(whatsapp: WhatsApp, store: SessionStore, egress: EgressProxy | None) -> None:
    async with whatsapp.pair(SHOP, store, "wa-worker", egress) as line:
        while not isinstance(event := await line.receive(), Paired):
            if isinstance(event, QrCode):
                say("qr", code=event.code)
    say("paired")


async def main(auth_dir: Path, how: dict[str, Any]) -> None:
    table = EgressTable(EgressFiles(auth_dir))
    await table.listed(InstanceRows((), (), egress={SHOP: egress_from(how.get("egress"))}))
    egress = table.of(SHOP)
    assert egress is None or isinstance(egress, EgressProxy)
    store, leave = FolderStore.of(auth_dir, SHOP), trio.CancelScope()
    with open_journal(auth_dir / RESERVED_FOLDER / "journal.db") as journal:
        async with trio.open_nursery() as threads:
            uploads = Uploads(patience=PATIENCE * 10)
            line = LeasedLine(leave, trio.CancelScope(), threads, uploads)
            gate = None
            if how.get("gate", True):
                gate = SocketGate(lambda: line.until, {"HTTPS_PROXY": how["proxy"]} if "proxy" in how else {})
                await threads.start(gate.run)
                if how.get("watchdog", True):
                    Watchdog(lambda: line.until, gate.cut_all).start()
            threads.start_soon(line.follow)
            receiver = Receiver(journal.inbox, Metrics(), Told(lambda: None, file=lambda: None))
            receipts = Receipts(lambda what, ids: say(what, ids=ids))
            host = SessionHost(receiver, StartGate(), threads, "wa-worker", receipts, journal.accounts)
            host = attrs.evolve(host, receipts=Ticks(), uploads=uploads)
            routes = Routes.of(table, {"HTTPS_PROXY": how.get("proxy", "")}, gate)
            hosts = PairingHosts(threads, command("wa_worker.whatsapp.pairing_host"))
            whatsapp = WhatsApp(FolderStores(auth_dir), host, hosts, routes, lambda: False)
            if not store.is_paired():
                await pair(whatsapp, store, egress)
            async with whatsapp.open_session(SHOP, lambda: say("message"), egress) as session:
                say("open")
                line.session = session
                with leave:
                    await tell_reports(session)
            say("closed")
            threads.cancel_scope.cancel()
    os._exit(0)


if __name__ == "__main__":
    trio.run(main, Path(sys.argv[1]), json.loads(sys.argv[2]))
