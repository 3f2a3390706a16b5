"""The inbox to `/inbound`, from a real journal to a real proxy: in order per chat, and nothing given up too soon."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import trio
from structlog.testing import capture_logs

from tests.proxy_fixture import SHOP, ProxyFixture, open_proxy_fixture, until
from tests.test_metrics import scrape
from wa_worker.delivery.inbound import BATCH, CHATS_AT_ONCE, REJECTIONS, InboundDelivery
from wa_worker.delivery.keyed_queue import OUTAGE
from wa_worker.dev.proxy import Fault
from wa_worker.journal import Journal, open_journal
from wa_worker.messages import ChatType, InboundMessage
from wa_worker.models import InstanceId, Jid, WaMessageId

ME = Jid("5511999990001@s.whatsapp.net")


@attrs.frozen
class Delivering:
    fixture: ProxyFixture
    journal: Journal
    delivery: InboundDelivery
    nursery: trio.Nursery
    """Its tasks end before what they use is closed."""

    def receive(self, chat: int, *bodies: str, instance: InstanceId = SHOP) -> None:
        jid = Jid(f"55119888{chat:05}@s.whatsapp.net")
        for body in bodies:
            wa_id = WaMessageId(body)
            message = InboundMessage(wa_id, jid, ChatType.DIRECT, ME, jid, None, None, body, "text", 1_790_000_000)
            self.journal.inbox.record(instance, message)
        self.delivery.wakeup.ring()

    async def all_delivered(self) -> None:
        """So that no call is cut off by the end of a test."""
        with trio.fail_after(30):
            while self.journal.inbox.keys(0, 1):  # noqa: ASYNC110 - nothing tells
                await trio.sleep(0.05)

    def inbox(self) -> list[tuple[str, int, str | None]]:
        """State, refusals and error of each message."""
        with self.journal.database.reading() as sql:
            return sql.execute("SELECT state, rejections, error FROM inbox ORDER BY seq").fetchall()


@asynccontextmanager
async def open_delivery(folder: Path) -> AsyncIterator[Delivering]:
    with open_journal(folder / "journal.db") as journal:
        async with open_proxy_fixture(SHOP) as fixture, trio.open_nursery() as nursery:
            yield Delivering(fixture, journal, InboundDelivery(journal.inbox, fixture.edge, fixture.metrics), nursery)
            nursery.cancel_scope.cancel()


async def test_each_chat_arrives_in_its_order_whatever_fails(tmp_path: Path) -> None:
    async with open_delivery(tmp_path) as at:
        for number in range(BATCH + 8):
            for chat in range(5):
                at.receive(chat, f"{chat}:{number}")
        at.fixture.proxy.faults.set("inbound", Fault(status=500, probability=0.2, after_apply=True))
        at.nursery.start_soon(at.delivery.run)
        await trio.sleep(1)
        at.fixture.proxy.faults.clear()
        await at.all_delivered()
        order = defaultdict(list)
        for row in at.fixture.proxy.store.inbound():
            name, _, place = row.body.partition(":")
            order[name].append(int(place))
        assert order == {str(chat): list(range(BATCH + 8)) for chat in range(5)}
        assert scrape(at.fixture.metrics)["wa_worker_messages_delivered_total{outcome=accepted}"] == 5 * (BATCH + 8)


async def test_a_message_that_is_refused_is_set_aside_after_a_few_tries(tmp_path: Path) -> None:
    async with open_delivery(tmp_path) as at:
        at.receive(1, "refused", "behind it")
        at.fixture.proxy.faults.set("inbound", Fault(status=422, times=REJECTIONS))
        with capture_logs() as lines:
            at.nursery.start_soon(at.delivery.run)
            await at.all_delivered()
        (dead, behind) = at.inbox()
        assert dead[:2] == ("dead", REJECTIONS)
        assert "answered 422" in str(dead[2])
        assert behind == ("posted", 0, None)
        assert [row.body for row in at.fixture.proxy.store.inbound()] == ["behind it"]
        assert scrape(at.fixture.metrics)["wa_worker_messages_delivered_total{outcome=set_aside}"] == 1
        (said,) = [line for line in lines if line["event"] == "a message is set aside: the proxy refuses it"]
        assert (said["log_level"], said["instance"]) == ("error", SHOP)


async def test_refusals_are_counted_over_restarts(tmp_path: Path) -> None:
    async with open_delivery(tmp_path) as at:
        at.receive(1, "refused")
        at.fixture.proxy.faults.set("inbound", Fault(status=400))
        for tries in range(1, REJECTIONS + 1):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(InboundDelivery(at.journal.inbox, at.fixture.edge, at.fixture.metrics).run)
                await until(lambda: at.inbox()[0][1] >= tries)  # noqa: B023 - awaited in this turn
                nursery.cancel_scope.cancel()
        assert at.inbox()[0][:2] == ("dead", REJECTIONS)


async def test_an_outage_is_no_refusal(tmp_path: Path) -> None:
    async with open_delivery(tmp_path) as at:
        at.receive(1, "patient")
        at.fixture.proxy.faults.set("inbound", Fault(status=401))
        at.nursery.start_soon(at.delivery.run)
        await until(lambda: at.fixture.proxy.store.requests["inbound"] >= 3)
        assert at.inbox() == [("pending", 0, None)]
        at.fixture.proxy.faults.clear()
        await at.all_delivered()


async def test_one_that_is_there_already_counts_as_accepted(tmp_path: Path) -> None:
    async with open_delivery(tmp_path) as at:
        at.receive(1, "known")
        at.fixture.proxy.faults.set("inbound", Fault(status=409, times=1))
        at.nursery.start_soon(at.delivery.run)
        await at.all_delivered()
        assert [state for state, _, _ in at.inbox()] == ["posted"]


async def test_chats_with_a_backlog_do_not_hold_up_the_others(tmp_path: Path) -> None:
    async with open_delivery(tmp_path) as at:
        for chat in range(CHATS_AT_ONCE):
            at.receive(chat, *(f"{chat}-{n}" for n in range(80)))
        at.fixture.proxy.faults.set("inbound", Fault(delay=0.02))
        at.nursery.start_soon(at.delivery.run)
        with trio.fail_after(30):
            await at.fixture.proxy.wait_for(lambda s: len(s.inbound()) >= CHATS_AT_ONCE)
            at.receive(99, "at last")
            await at.fixture.proxy.wait_for(lambda s: any(row.body == "at last" for row in s.inbound()))
        assert len(at.fixture.proxy.store.inbound()) < CHATS_AT_ONCE * 80 * 0.7, (
            "it had its turn long before they were done"
        )
        at.fixture.proxy.faults.clear()
        await at.all_delivered()


async def test_the_first_success_after_an_outage_sets_all_chats_free(tmp_path: Path) -> None:
    async with open_delivery(tmp_path) as at:
        at.fixture.proxy.faults.set("inbound", Fault(status=503))
        for chat in range(OUTAGE + 4):
            at.receive(chat, *(f"{chat}-{n}" for n in range(60)))
        at.nursery.start_soon(at.delivery.run)
        await trio.sleep(1.5)
        at.fixture.proxy.faults.set("inbound", Fault(delay=0.05))
        with trio.fail_after(30):
            await at.fixture.proxy.wait_for(lambda s: len(s.inbound()) >= 10)
            await trio.sleep(0.5)
        chats = {row.payload["chat_id"] for row in at.fixture.proxy.store.inbound()}
        assert len(chats) > 1, "one chat's backlog does not keep the others waiting"
        at.fixture.proxy.faults.clear()
        await at.all_delivered()
