"""The inbox to `/inbound`, from a real journal to a real proxy: in order per chat, and nothing given up too soon."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest
import trio
from structlog.testing import capture_logs

from tests.proxy_fixture import SHOP, ProxyFixture, open_proxy_fixture, until
from tests.test_metrics import scrape
from wa_worker.delivery.inbound import BATCH, CHATS_AT_ONCE, InboundDelivery
from wa_worker.delivery.keyed_queue import OUTAGE
from wa_worker.delivery.refusals import REJECTIONS
from wa_worker.dev.proxy import Contract, Fault
from wa_worker.errors import EdgeUnavailable
from wa_worker.journal import Journal, open_journal
from wa_worker.messages import ChatType, InboundMessage
from wa_worker.models import InstanceId, Jid, WaMessageId

PAUSE = 0.3
"""Seconds between the refusals of a message, instead of a minute."""

ME = Jid("5511999990001@s.whatsapp.net")


@attrs.frozen
class Delivering:
    fixture: ProxyFixture
    journal: Journal
    delivery: InboundDelivery
    nursery: trio.Nursery
    """Its tasks end before what they use is closed."""
    began: float = attrs.field(factory=trio.current_time)

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
async def open_delivery(folder: Path, contract: Contract = 1, pause: float = PAUSE) -> AsyncIterator[Delivering]:
    with open_journal(folder / "journal.db") as journal:
        async with open_proxy_fixture(SHOP, contract=contract) as fixture, trio.open_nursery() as nursery:
            if contract == 2:
                fixture.edge.version.is_two()
            delivery = InboundDelivery(journal.inbox, fixture.edge, fixture.metrics, refusal_pause=pause)
            yield Delivering(fixture, journal, delivery, nursery)
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
        accepted = "wa_worker_messages_delivered_total{outcome=accepted}"
        await until(
            lambda: scrape(at.fixture.metrics)[accepted] == 5 * (BATCH + 8)
        )  # its last answer may be on its way


async def test_who_wants_to_know_hears_what_the_proxy_has_taken(tmp_path: Path) -> None:
    taken: list[str] = []
    async with open_delivery(tmp_path) as at:
        delivery = InboundDelivery(
            at.journal.inbox,
            at.fixture.edge,
            at.fixture.metrics,
            on_accepted=lambda rows: taken.extend(row.message.body for row in rows),
        )
        at.fixture.proxy.faults.set("inbound", Fault(status=503))
        at.receive(1, "A", "B")
        at.nursery.start_soon(delivery.run)
        await until(lambda: at.fixture.proxy.store.requests["inbound"])
        assert taken == []
        at.fixture.proxy.faults.clear()
        await until(lambda: taken == ["A", "B"])
        at.nursery.cancel_scope.cancel()


async def others_write(at: Delivering) -> None:
    """Other chats in which a message comes now and then: the proxy takes them."""
    for number in itertools.count():
        at.receive(900 + number % 5, f"other {number}")
        await trio.sleep(PAUSE / 4)


async def test_a_message_that_is_refused_is_set_aside_after_a_few_tries(tmp_path: Path) -> None:
    async with open_delivery(tmp_path) as at:
        at.receive(1, "refused", "behind it")
        at.fixture.proxy.faults.set("inbound", Fault(status=422, only='"refused"'))
        with capture_logs() as lines:
            at.nursery.start_soon(at.delivery.run)
            at.nursery.start_soon(others_write, at)
            await until(lambda: at.inbox()[1][0] == "posted")
        dead = at.inbox()[0]
        assert dead[0] == "dead"
        assert dead[1] >= REJECTIONS
        assert "answered 422" in str(dead[2])
        assert scrape(at.fixture.metrics)["wa_worker_messages_delivered_total{outcome=set_aside}"] == 1
        (said,) = [line for line in lines if line["event"] == "a message is set aside: the proxy refuses it"]
        assert (said["log_level"], said["instance"]) == ("error", SHOP)
        assert trio.current_time() - at.began >= (REJECTIONS - 1) * PAUSE / 2, "not all in one moment"


@pytest.mark.parametrize("status", [400, 402, 405, 409, 410, 413, 418, 422, 451])
async def test_what_refuses_everything_speaks_of_no_message(tmp_path: Path, status: int) -> None:
    async with open_delivery(tmp_path) as at:
        for chat in range(6):
            at.receive(chat, *(f"{chat}-{n}" for n in range(3)))
        at.fixture.proxy.faults.set("*", Fault(status=status))
        at.nursery.start_soon(at.delivery.run)
        await trio.sleep(6 * PAUSE)
        assert at.fixture.proxy.store.requests["inbound"] > 6
        assert {state for state, _, _ in at.inbox()} == {"pending"}
        at.fixture.proxy.faults.clear()
        await at.all_delivered()
        assert {state for state, _, _ in at.inbox()} == {"posted"}
        assert len(at.fixture.proxy.store.inbound()) == 18


@pytest.mark.parametrize("status", [422, 409])
async def test_a_lonely_chat_is_judged_beside_its_own_next_message(tmp_path: Path, status: int) -> None:
    async with open_delivery(tmp_path) as at:
        at.receive(1, "refused", "behind it", "and the next")
        at.fixture.proxy.faults.set("inbound", Fault(status=status, only='"refused"'))
        at.nursery.start_soon(at.delivery.run)
        await at.all_delivered()
        assert [state for state, _, _ in at.inbox()] == ["dead" if status == 422 else "posted", "posted", "posted"]
        assert [row.body for row in at.fixture.proxy.store.inbound()] == ["behind it", "and the next"]


async def test_a_message_that_is_alone_in_being_refused_waits_for_a_witness(tmp_path: Path) -> None:
    async with open_delivery(tmp_path) as at:
        at.receive(1, "refused")
        at.fixture.proxy.faults.set("inbound", Fault(status=422, only='"refused"'))
        at.nursery.start_soon(at.delivery.run)
        await trio.sleep(8 * PAUSE)
        assert at.inbox()[0][0] == "pending", "nobody has been accepted: it may be the proxy"
        at.receive(2, "accepted")
        await until(lambda: at.inbox()[1][0] == "posted")
        at.fixture.proxy.faults.clear()
        await at.all_delivered()


async def test_behind_one_that_is_refused_its_chat_waits(tmp_path: Path) -> None:
    """One word is not final: it may be accepted at the next try, and must not be overtaken until then."""
    async with open_delivery(tmp_path) as at:
        at.receive(1, "first", "second")
        at.fixture.proxy.faults.set("inbound", Fault(status=422, times=1))
        at.nursery.start_soon(at.delivery.run)
        await at.all_delivered()
        assert [row.body for row in at.fixture.proxy.store.inbound()] == ["first", "second"]


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
    """After a try that may have got through, and with a proxy that lists instances well."""
    async with open_delivery(tmp_path) as at:
        at.receive(1, "known")
        at.fixture.proxy.faults.set("inbound", Fault(status=500, after_apply=True, times=1))
        at.nursery.start_soon(at.delivery.run)
        await until(lambda: at.fixture.proxy.store.requests["inbound"])
        at.fixture.proxy.faults.set("inbound", Fault(status=409))
        await trio.sleep(2 * PAUSE)
        assert at.inbox()[0][0] == "pending", "the proxy has said nothing else"
        await at.fixture.edge.disconnected_instances()
        await at.all_delivered()
        assert [state for state, _, _ in at.inbox()] == ["posted"]


async def test_one_that_cannot_be_there_is_not_believed_to_be(tmp_path: Path) -> None:
    async with open_delivery(tmp_path) as at:
        at.nursery.start_soon(at.delivery.run)
        await until(lambda: at.delivery.wakeup)
        at.receive(1, "new")
        at.fixture.proxy.faults.set("inbound", Fault(status=409))
        await until(lambda: at.fixture.proxy.store.requests["inbound"])
        await at.fixture.edge.disconnected_instances()
        await until(lambda: at.fixture.proxy.store.requests["inbound"] >= 2)
        assert at.inbox()[0][0] == "pending"
        at.fixture.proxy.faults.clear()
        await at.all_delivered()
        assert [row.body for row in at.fixture.proxy.store.inbound()] == ["new"]


PORTAL = [
    Fault(body=b"<!DOCTYPE html><title>Sign in</title>", content_type="text/html"),
    Fault(status=404, body=b"<html>no such app</html>"),
    Fault(body=b"please sign in", content_type="text/plain"),
    Fault(body=b'{"message":"sign in"}'),
    Fault(body=b""),
    Fault(status=302, headers={"Location": "https://portal.example/"}),
]


@pytest.mark.parametrize("portal", PORTAL, ids=lambda fault: f"{fault.status} {fault.body}")
async def test_what_a_portal_takes_is_not_delivered(tmp_path: Path, portal: Fault) -> None:
    """It answers everything alike; the lists are asked for all the time."""
    async with open_delivery(tmp_path) as at:
        at.fixture.proxy.faults.set("*", portal)
        with pytest.raises(EdgeUnavailable):
            await at.fixture.edge.disconnected_instances()
        at.receive(1, "dear")
        at.nursery.start_soon(at.delivery.run)
        await until(lambda: at.fixture.proxy.store.requests["inbound"] >= 2)
        assert at.inbox()[0][0] == "pending"
        at.fixture.proxy.faults.clear()
        await at.fixture.edge.disconnected_instances()
        await at.all_delivered()
        assert [row.body for row in at.fixture.proxy.store.inbound()] == ["dear"]


@pytest.mark.parametrize("portal", PORTAL[2:5], ids=lambda fault: f"{fault.status} {fault.body}")
async def test_what_a_portal_took_before_a_poll_showed_it_is_posted_again(tmp_path: Path, portal: Fault) -> None:
    async with open_delivery(tmp_path) as at:
        at.nursery.start_soon(at.delivery.run)
        await at.fixture.edge.disconnected_instances()
        at.receive(1, "for the proxy")
        await at.all_delivered()
        at.fixture.proxy.faults.set("*", portal)
        at.receive(1, "first", "second")
        at.receive(2, "another chat's")
        await until(lambda: {state for state, _, _ in at.inbox()} == {"posted"})
        with pytest.raises(EdgeUnavailable):
            await at.fixture.edge.disconnected_instances()
        await until(lambda: [state for state, _, _ in at.inbox()] == ["posted"] + ["pending"] * 3)
        at.fixture.proxy.faults.clear()
        await at.fixture.edge.disconnected_instances()
        await at.all_delivered()
        said = [row.body for row in at.fixture.proxy.store.inbound()]
        assert [body for body in said if not body.startswith("another")] == ["for the proxy", "first", "second"]
        assert sorted(said) == sorted(set(said))
        assert len(said) == 4


async def test_what_was_accepted_before_a_good_poll_began_is_proven(tmp_path: Path) -> None:
    async with open_delivery(tmp_path) as at:
        at.nursery.start_soon(at.delivery.run)
        at.receive(1, "proven")
        await at.all_delivered()
        answer = at.fixture.proxy.store.inbound()
        await at.fixture.edge.disconnected_instances()
        at.fixture.proxy.faults.set("*", Fault(body=b'{"ok":true,"duplicate":false}'))
        with pytest.raises(EdgeUnavailable):
            await at.fixture.edge.disconnected_instances()
        await trio.sleep(0.2)
        assert [state for state, _, _ in at.inbox()] == ["posted"]
        assert at.fixture.proxy.store.inbound() == answer


async def test_all_go_on_when_the_proxy_lists_instances_again(tmp_path: Path) -> None:
    async with open_delivery(tmp_path) as at:
        for chat in range(OUTAGE + 4):
            at.receive(chat, "patient")
        at.fixture.proxy.faults.set("*", Fault(status=503))
        at.nursery.start_soon(at.delivery.run)
        await until(lambda: at.fixture.proxy.store.requests["inbound"] >= OUTAGE + 4)
        with pytest.raises(EdgeUnavailable):
            await at.fixture.edge.disconnected_instances()
        at.fixture.proxy.faults.set("inbound", Fault(status=503))
        at.fixture.proxy.faults.clear("*")
        calls = at.fixture.proxy.store.requests["inbound"]
        await at.fixture.edge.disconnected_instances()
        await until(lambda: at.fixture.proxy.store.requests["inbound"] >= calls + OUTAGE + 4)
        at.fixture.proxy.faults.clear()
        await at.all_delivered()


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
