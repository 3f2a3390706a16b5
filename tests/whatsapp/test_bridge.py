"""Messages that a pairing host hands over: committed whatever happens, and no end of the pairing."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from neonize.proto import Neonize_pb2 as pb
from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import Message

from tests.journal.rows import SHOP, posted_bodies, read_only
from tests.whatsapp.message_events import event, jid
from tests.whatsapp.receipts import Receipts
from wa_worker.journal import Journal, open_journal
from wa_worker.metrics import Metrics
from wa_worker.models import InstanceId, Jid
from wa_worker.whatsapp.bridge import WhatsApp
from wa_worker.whatsapp.egress import EgressTable
from wa_worker.whatsapp.egress_memory import EgressFiles
from wa_worker.whatsapp.egress_probe import EgressProbe
from wa_worker.whatsapp.events import Code
from wa_worker.whatsapp.folder_store import FolderStores
from wa_worker.whatsapp.gate import StartGate
from wa_worker.whatsapp.pairing import PairingHosts
from wa_worker.whatsapp.probe import ReachabilityProbe
from wa_worker.whatsapp.receiving import Receiver, Told
from wa_worker.whatsapp.routes import Routes
from wa_worker.whatsapp.session_host import SessionHost
from wa_worker.whatsapp.spool import Spool, Spooled

ME = pb.Device(JID=jid("5511999990001@s.whatsapp.net")).SerializePartialToString()


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with open_journal(tmp_path / "@worker" / "journal.db") as opened:
        yield opened


def whatsapp(journal: Journal, folder: Path, nursery: trio.Nursery, spool: Spool | None = None) -> WhatsApp:
    receiver = Receiver(journal.inbox, Metrics(), Told(lambda: None))
    host = SessionHost(receiver, StartGate(), nursery, "wa-worker", Receipts(), spool=spool)
    probe = ReachabilityProbe("127.0.0.1", 1)
    routes = Routes(EgressTable(EgressFiles(folder)), EgressProbe({}), probe)
    return WhatsApp(FolderStores(folder), host, PairingHosts(nursery, ()), routes, lambda: False)


def early(body: str, sender: str = "5511988880005@s.whatsapp.net") -> bytes:
    data: bytes = event(sender, sender, message=Message(conversation=body)).SerializePartialToString()
    return data


@pytest.mark.parametrize("data", [b"\xff\xff\xff", early("from nobody", sender="")])
async def test_what_is_not_understood_costs_only_itself(
    journal: Journal, tmp_path: Path, nursery: trio.Nursery, data: bytes
) -> None:
    bridge = whatsapp(journal, tmp_path, nursery)
    await bridge.record(SHOP, data, ME)
    await bridge.record(SHOP, early("Oi"), ME)
    assert posted_bodies(journal) == {1: ["Oi"]}


async def test_it_is_kept_until_the_disk_takes_it(journal: Journal, tmp_path: Path, nursery: trio.Nursery) -> None:
    """WhatsApp has been told that we have it."""
    read_only(journal, True)
    heals = threading.Timer(0.2, read_only, (journal, False))
    heals.start()
    started = time.monotonic()
    await whatsapp(journal, tmp_path, nursery).record(SHOP, early("Oi"), ME)
    assert time.monotonic() - started < 10
    assert posted_bodies(journal) == {1: ["Oi"]}


async def test_where_the_journal_is_elsewhere_it_is_kept_on_the_volume(
    journal: Journal, tmp_path: Path, nursery: trio.Nursery
) -> None:
    spool = Spool(tmp_path / "spool")
    spool.load()
    read_only(journal, True)
    with trio.fail_after(10):
        await whatsapp(journal, tmp_path, nursery, spool).record(SHOP, early("Oi"), ME)
    (path,) = spool.waiting()[SHOP]
    assert spool.read(path) == Spooled(SHOP, Jid("5511999990001@s.whatsapp.net"), None, Code.MESSAGE, early("Oi"))


async def test_nothing_is_opened_while_what_was_received_waits_for_postgresql(
    journal: Journal, tmp_path: Path, nursery: trio.Nursery
) -> None:
    """More would only come to the volume: it waits at WhatsApp."""
    spool = Spool(tmp_path / "spool")
    bridge = whatsapp(journal, tmp_path, nursery, spool)
    assert bridge._barred(SHOP) is None
    spool.keep(Spooled(SHOP, Jid("5511999990001@s.whatsapp.net"), None, Code.MESSAGE, early("Oi")))
    assert "still to be committed" in (bridge._barred(SHOP) or "")
    assert bridge._barred(InstanceId("pub")) is None
    (path,) = spool.waiting()[SHOP]
    spool.drop(path)
    assert bridge._barred(SHOP) is None
