"""Changes of groups to `/event` and `/events`: in order with the messages, dropped where the proxy has no such call."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import trio

from tests.delivery.test_inbound import ME, PAUSE, Delivering, open_delivery
from tests.proxy_fixture import SHOP, until
from wa_worker.delivery import optional_call
from wa_worker.dev.proxy import Contract, Fault
from wa_worker.journal import EventKind
from wa_worker.messages import GROUP_CHANGE, ChatType, Group, GroupAction, GroupChange, InboundMessage
from wa_worker.models import Jid, WaMessageId

GROUP = Jid("120363041234567890@g.us")
_numbers = itertools.count()


def write(at: Delivering, *texts: str, group: Jid = GROUP) -> None:
    """Texts come to a group; one in brackets is its new name."""
    for text in texts:
        change = None
        if text.startswith("["):
            change = GroupChange(GroupAction.SUBJECT, (), ME)
        message = InboundMessage(
            WaMessageId(f"{next(_numbers)}"),
            group,
            ChatType.GROUP,
            ME,
            ME,
            None,
            None,
            "" if change else text,
            GROUP_CHANGE if change else "text",
            1_790_000_000,
            group=Group(group, text.strip("[]")),
            group_change=change,
        )
        kind = EventKind.GROUP_CHANGE if change else EventKind.MESSAGE
        assert at.journal.inbox.record(SHOP, message, kind=kind)
    at.delivery.wakeup.ring()


def subjects(at: Delivering) -> list[str]:
    return [row.payload["group"]["subject"] for row in at.fixture.proxy.store.group_events()]


def bodies(at: Delivering) -> list[str]:
    return [row.body for row in at.fixture.proxy.store.inbound()]


async def polled(at: Delivering) -> None:
    """Asks for the list now and then, as discovery does."""
    while True:
        await trio.sleep(0.2)
        if at.fixture.edge.version.two:
            await at.fixture.edge.poll("w", {}, 0)
        else:
            await at.fixture.edge.disconnected_instances()


@pytest.mark.parametrize("contract", [1, 2])
async def test_changes_and_messages_keep_their_order(tmp_path: Path, contract: Contract) -> None:
    async with open_delivery(tmp_path, contract=contract) as at:
        write(at, "a", "[b]", "[c]", "d", "[e]")
        at.nursery.start_soon(at.delivery.run)
        await at.all_delivered()
        assert (bodies(at), subjects(at)) == (["a", "d"], ["b", "c", "e"])
        store = at.fixture.proxy.store
        times = {row.body: row.received_at for row in store.inbound()}
        told = {row.payload["group"]["subject"]: row.received_at for row in store.group_events()}
        times |= told
        assert sorted(times, key=lambda name: times[name]) == ["a", "b", "c", "d", "e"] or contract == 2


@pytest.mark.parametrize("contract", [1, 2])
async def test_a_proxy_without_the_call_is_asked_twice_and_then_not(tmp_path: Path, contract: Contract) -> None:
    async with open_delivery(tmp_path, contract=contract) as at:
        at.fixture.proxy.store.has_event = False
        at.nursery.start_soon(polled, at)
        write(at, "a", "[b]", "c", "[d]", "e")
        at.nursery.start_soon(at.delivery.run)
        await at.all_delivered()
        assert (bodies(at), subjects(at)) == (["a", "c", "e"], [])
        endpoint = "event" if contract == 1 else "events"
        asked = at.fixture.proxy.store.requests[endpoint]
        write(at, "[f]", "[g]")
        await at.all_delivered()
        write(at, "h")
        await at.all_delivered()
        assert bodies(at) == ["a", "c", "e", "h"]
        assert at.fixture.proxy.store.requests[endpoint] - asked == (0 if contract == 1 else 1), "only for the message"
        assert {state for state, _, _ in at.inbox()} == {"posted"}


async def test_a_router_that_has_no_call_at_all_drops_no_change(tmp_path: Path) -> None:
    async with open_delivery(tmp_path) as at:
        write(at, "[a]", "b")
        at.fixture.proxy.faults.set("*", Fault(status=404))
        at.nursery.start_soon(at.delivery.run)
        await trio.sleep(optional_call.ASK_AGAIN + 1.5)
        assert at.fixture.proxy.store.requests["event"] > 1
        assert {state for state, _, _ in at.inbox()} == {"pending"}
        at.fixture.proxy.faults.clear()
        await at.all_delivered()
        assert (bodies(at), subjects(at)) == (["b"], ["a"])


async def test_one_that_the_proxy_took_before_is_not_dropped_for_a_404(tmp_path: Path) -> None:
    async with open_delivery(tmp_path) as at:
        at.nursery.start_soon(polled, at)
        at.nursery.start_soon(at.delivery.run)
        write(at, "[a]")
        await at.all_delivered()
        at.fixture.proxy.faults.set("event", Fault(status=404))
        write(at, "[b]", "c")
        await until(lambda: at.fixture.proxy.store.requests["event"] > 3)
        assert [state for state, _, _ in at.inbox()] == ["posted", "pending", "pending"]
        at.fixture.proxy.faults.clear()
        await at.all_delivered()
        assert (bodies(at), subjects(at)) == (["c"], ["a", "b"])


async def test_what_is_dropped_says_nothing_of_an_outage(tmp_path: Path) -> None:
    async with open_delivery(tmp_path) as at:
        at.fixture.proxy.store.has_event = False
        at.nursery.start_soon(polled, at)
        at.nursery.start_soon(at.delivery.run)
        for body in ("[a]", "[b]"):  # of two it is believed that there is no such call
            write(at, body)
            await at.all_delivered()
        at.fixture.proxy.faults.set("inbound", Fault(status=503))
        for number in range(6):
            write(at, "x", group=Jid(f"12036304123456780{number}@g.us"))
        await until(lambda: at.delivery._queue.breaker.is_open)
        last = at.delivery._queue._last_success
        write(at, "[c]", "[d]")
        await until(lambda: [state for state, _, _ in at.inbox()].count("posted") == 4)
        await until(lambda: not at.delivery._queue._busy)
        assert at.delivery._queue._last_success == last
        assert at.delivery._queue.breaker.is_open
        at.fixture.proxy.faults.clear()
        await at.all_delivered()


async def test_a_change_that_is_refused_holds_up_its_group_no_longer_than_a_message(tmp_path: Path) -> None:
    async with open_delivery(tmp_path) as at:
        write(at, "[refused]", "behind it")
        at.fixture.proxy.faults.set("event", Fault(status=422))
        at.nursery.start_soon(at.delivery.run)
        began = trio.current_time()
        while at.inbox()[1][0] != "posted":
            write(at, "y", group=Jid(f"1203630{next(_numbers):011}@g.us"))
            await trio.sleep(PAUSE / 4)
            assert trio.current_time() - began < 20
        assert at.inbox()[0][0] == "dead"
