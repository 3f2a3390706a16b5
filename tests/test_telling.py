"""The teller's memory: what the proxy has heard of leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import trio

from wa_worker.dev.proxy import Fault, open_proxy
from wa_worker.edge import open_edge_client
from wa_worker.journal import SendState, Settled, open_journal
from wa_worker.metrics import Metrics
from wa_worker.models import InstanceId, Jid, Secret, WaMessageId
from wa_worker.telling import Teller

SHOP = InstanceId("shop")
ROWS = 400


async def test_what_has_been_told_is_forgotten(tmp_path: Path) -> None:
    with open_journal(tmp_path / "journal.db") as journal:
        async with (
            open_proxy(secret="s") as proxy,
            open_edge_client(proxy.url, Secret("s"), longest_poll=1, metrics=Metrics()) as edge,
            trio.open_nursery() as nursery,
        ):
            proxy.store.add_instance(SHOP)
            rows = proxy.store.queue_many(SHOP, [("5511988880002", f"m{n}") for n in range(ROWS)])
            proxy.faults.set("mark-sent", Fault(delay=0.01))  # so that rows are looked for while calls are under way
            teller = Teller(journal.outbox, edge)
            nursery.start_soon(teller.run)
            for row in rows:
                journal.outbox.admit(SHOP, {row: Jid("5511988880002@s.whatsapp.net")}, listed_at=0)
                journal.outbox.step(SHOP, [Settled(row, SendState.SENT, WaMessageId(f"wa{row}"))], None)
                teller.wakeup.ring()
                await trio.lowlevel.checkpoint()
            with trio.fail_after(30):
                await teller.settled(SHOP)
            assert all(message.status == "sent" for message in proxy.store.messages(SHOP))
            with trio.fail_after(5):
                while teller._found:  # noqa: ASYNC110 - nothing tells
                    await trio.sleep(0.01)
            nursery.cancel_scope.cancel()
