"""All that an instance needs, as the program puts it together: a journal in a file, a proxy, a pairing host, a probe.

The pairing host is a scripted process, and what the probe asks is a server on this machine. So no session opens here:
that is for tests/whatsapp/test_session.py and tests/e2e/.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import attrs
import trio

from tests.delivery.sessions import preparing
from tests.proxy_fixture import SHOP, ProxyFixture, open_proxy_fixture
from wa_worker.config import Settings
from wa_worker.delivery.marks import MarkReporter
from wa_worker.delivery.poll_timer import PollTimer
from wa_worker.delivery.sending import MessageSender
from wa_worker.instances.registry import Registry
from wa_worker.instances.services import Services
from wa_worker.instances.state import InstanceState
from wa_worker.instances.status import StatusPublisher
from wa_worker.journal import Journal, open_journal
from wa_worker.models import RESERVED_FOLDER, InstanceId
from wa_worker.volume import VolumeGuard
from wa_worker.whatsapp.bridge import WhatsApp
from wa_worker.whatsapp.egress import EgressTable
from wa_worker.whatsapp.egress_memory import EgressFiles
from wa_worker.whatsapp.egress_probe import EgressProbe
from wa_worker.whatsapp.folder_store import FolderStore, FolderStores
from wa_worker.whatsapp.gate import StartGate
from wa_worker.whatsapp.pairing import AT_ONCE, PairingHosts
from wa_worker.whatsapp.probe import ReachabilityProbe
from wa_worker.whatsapp.receiving import Receiver, Told
from wa_worker.whatsapp.routes import Routes
from wa_worker.whatsapp.session_host import SessionHost


@attrs.frozen
class Bed:
    """The services of a process, and what is behind them. Tasks in `nursery` end before what they use is closed."""

    fixture: ProxyFixture
    journal: Journal
    services: Services
    nursery: trio.Nursery

    def store(self, instance: InstanceId) -> FolderStore:
        store = self.services.whatsapp.store(instance)
        assert isinstance(store, FolderStore)
        return store

    def state(self, instance: InstanceId = SHOP) -> InstanceState:
        """The state of an instance of its own, with a publisher that nobody runs."""
        publisher = StatusPublisher(instance, self.fixture.edge)
        return InstanceState(instance, publisher, self.services.registry, self.services.metrics)


@asynccontextmanager
async def open_bed(
    folder: Path, host: Sequence[str] = (), *, reachable: bool = True, pairings_at_once: int = AT_ONCE
) -> AsyncIterator[Bed]:
    """Opens it all. `host`: the command of the pairing hosts; `reachable`: whether the probe finds a server."""
    (folder / RESERVED_FOLDER).mkdir()
    journal_file = folder / RESERVED_FOLDER / "journal.db"
    with open_journal(journal_file) as journal:
        async with open_proxy_fixture(SHOP) as fixture, trio.open_nursery() as nursery:
            settings = Settings.from_environ(
                {"EDGE_BASE_URL": fixture.proxy.url, "WORKER_SECRET": "s", "AUTH_DIR": str(folder), "MSG_POLL_MS": "50"}
            )
            registry, volume = Registry(), VolumeGuard(folder)
            marks = MarkReporter(journal.ledger, fixture.edge)
            sender = MessageSender(fixture.edge, journal, marks, fixture.metrics, nursery, preparing(folder))
            receiver = Receiver(journal.inbox, fixture.metrics, Told(lambda: None))
            sessions = SessionHost(receiver, StartGate(), nursery, settings.device_name, sender.uncertain)
            probe = ReachabilityProbe("127.0.0.1", await _listen(nursery) if reachable else 1)
            pairing = PairingHosts(nursery, host, at_once=pairings_at_once)
            routes = Routes(EgressTable(EgressFiles(folder)), EgressProbe({}), probe)
            whatsapp = WhatsApp(FolderStores(folder), sessions, pairing, routes, registry.anyone_connected)
            pace = PollTimer(settings.message_poll, settings.message_poll_max)
            services = Services(
                settings, fixture.edge, journal.holds, registry, fixture.metrics, sender, pace, volume, whatsapp
            )
            nursery.start_soon(services.history.run, journal.changes)
            yield Bed(fixture, journal, services, nursery)
            nursery.cancel_scope.cancel()


async def _listen(nursery: trio.Nursery) -> int:
    async def hold(_stream: trio.SocketStream) -> None:
        await trio.sleep_forever()

    (listener,) = await nursery.start(partial(trio.serve_tcp, hold, 0, host="127.0.0.1"))
    return int(listener.socket.getsockname()[1])


async def listing(bed: Bed) -> None:
    """The polls that discovery makes."""
    while True:
        await bed.fixture.edge.disconnected_instances()
        await trio.sleep(0.1)
