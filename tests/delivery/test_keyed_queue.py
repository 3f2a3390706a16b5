"""KeyedQueue side by side, against a real journal and a real proxy: nobody waits for what is not theirs."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest
import trio
from trio.abc import Clock
from trio.testing import MockClock

from wa_worker.delivery.group_commit import GroupCommit
from wa_worker.delivery.inbound import CHATS_AT_ONCE, InboundDelivery
from wa_worker.delivery.keyed_queue import OUTAGE, RETRY, KeyedQueue
from wa_worker.dev.proxy import Fault, ReferenceProxy, open_proxy
from wa_worker.edge.client import EdgeClient, open_edge_client
from wa_worker.errors import EdgeUnavailable
from wa_worker.journal import Journal, open_journal
from wa_worker.messages import ChatType, InboundMessage
from wa_worker.metrics import Metrics
from wa_worker.models import InstanceId, Jid, Secret, WaMessageId

SHOP = InstanceId("shop")
ME = Jid("5511999990001@s.whatsapp.net")


@attrs.frozen
class Stage:
    proxy: ReferenceProxy
    edge: EdgeClient
    journal: Journal
    courier: InboundDelivery

    def receive(self, chat: int, *bodies: str) -> None:
        jid = Jid(f"55119888{chat:05}@s.whatsapp.net")
        for body in bodies:
            wa_id = WaMessageId(body)
            message = InboundMessage(wa_id, jid, ChatType.DIRECT, ME, jid, None, None, body, "text", 1_790_000_000)
            self.journal.inbox.record(SHOP, message)
        self.courier.wakeup.ring()

    async def all_delivered(self) -> None:
        """So that no call is cut off by the end of a test."""
        with trio.fail_after(30):
            while self.journal.inbox.keys(0, 1):  # noqa: ASYNC110 - nothing tells
                await trio.sleep(0.05)


@asynccontextmanager
async def stage(folder: Path) -> AsyncIterator[Stage]:
    metrics = Metrics()
    async with (
        open_proxy(secret="s") as proxy,
        open_edge_client(proxy.url, Secret("s"), longest_poll=1, metrics=metrics) as edge,
        trio.open_nursery() as nursery,
    ):
        proxy.store.add_instance(SHOP)
        with open_journal(folder / "journal.db") as journal:
            courier = InboundDelivery(journal.inbox, edge, metrics)
            yield Stage(proxy, edge, journal, courier)
            nursery.cancel_scope.cancel()


async def test_chats_with_a_backlog_do_not_hold_up_the_others(tmp_path: Path, nursery: trio.Nursery) -> None:
    async with stage(tmp_path) as on:
        for chat in range(CHATS_AT_ONCE):
            on.receive(chat, *(f"{chat}-{n}" for n in range(80)))
        on.proxy.faults.set("inbound", Fault(delay=0.02))
        nursery.start_soon(on.courier.run)
        with trio.fail_after(30):
            await on.proxy.wait_for(lambda s: len(s.inbound()) >= CHATS_AT_ONCE)
            on.receive(99, "at last")
            await on.proxy.wait_for(lambda s: any(row.body == "at last" for row in s.inbound()))
        assert len(on.proxy.store.inbound()) < CHATS_AT_ONCE * 80 * 0.7, "it had its turn long before they were done"
        on.proxy.faults.clear()
        await on.all_delivered()
        nursery.cancel_scope.cancel()


async def test_the_first_success_after_an_outage_sets_all_lanes_free(tmp_path: Path, nursery: trio.Nursery) -> None:
    async with stage(tmp_path) as on:
        on.proxy.faults.set("inbound", Fault(status=503))
        for chat in range(OUTAGE + 4):
            on.receive(chat, *(f"{chat}-{n}" for n in range(60)))
        nursery.start_soon(on.courier.run)
        await trio.sleep(1.5)
        on.proxy.faults.set("inbound", Fault(delay=0.05))
        with trio.fail_after(30):
            await on.proxy.wait_for(lambda s: len(s.inbound()) >= 10)
            await trio.sleep(0.5)
        chats = {row.payload["chat_id"] for row in on.proxy.store.inbound()}
        assert len(chats) > 1, "one chat's backlog does not keep the others waiting"
        on.proxy.faults.clear()
        await on.all_delivered()
        nursery.cancel_scope.cancel()


async def test_who_commits_for_the_others_does_not_wait_for_them(nursery: trio.Nursery) -> None:
    """Else a chat stands still for as long as the others have a backlog."""

    def slow_disk(_items: list[int]) -> None:
        time.sleep(0.02)

    group = GroupCommit(slow_disk)
    done = dict.fromkeys(range(6), 0)

    async def key(number: int) -> None:
        while True:
            await group.add(number)
            done[number] += 1
            await trio.sleep(0.015)  # the proxy's answer to the next one

    for number in done:
        nursery.start_soon(key, number)
        await trio.sleep(0.01)  # not all in step
    await trio.sleep(2)
    nursery.cancel_scope.cancel()
    assert min(done.values()) > 5, done


async def test_items_are_on_disk_though_who_adds_them_is_cancelled() -> None:
    """What the proxy has accepted is recorded when the worker stops, or it would be posted again."""
    kept: list[int] = []

    def slow_disk(items: list[int]) -> None:
        time.sleep(0.05)
        kept.extend(items)

    group = GroupCommit(slow_disk)
    async with trio.open_nursery() as nursery:
        for number in range(5):
            nursery.start_soon(group.add, number)
        await trio.sleep(0.01)
        nursery.cancel_scope.cancel()
    assert sorted(kept) == [0, 1, 2, 3, 4]


@pytest.fixture
def fast() -> Clock:
    """A second takes 5 ms on this clock. pytest-trio runs the test by the clock that is among its arguments."""
    return MockClock(rate=200.0)


@attrs.frozen
class Hopeless:
    """Rows that the proxy answers with `later` for ever, after an outage of `outage` seconds."""

    later: int
    outage: float


@pytest.mark.parametrize("hopeless", [Hopeless(500, 0), Hopeless(404, 60)])
async def test_rows_that_never_succeed_do_not_hold_up_one_that_would(
    nursery: trio.Nursery, hopeless: Hopeless, fast: Clock
) -> None:
    bad, good = range(1, 13), 99
    rows = set(bad)
    up_at = trio.current_time() + hopeless.outage
    done = trio.Event()

    async def work(key: int) -> None:
        await trio.sleep(0.1)
        if trio.current_time() < up_at:
            raise EdgeUnavailable("inbound", "answered 503", 503)
        if key != good:
            raise EdgeUnavailable("inbound", f"answered {hopeless.later}", is_outage=hopeless.later >= 500)
        rows.discard(good)
        done.set()

    drained = KeyedQueue("test", lambda after, limit: sorted(r for r in rows if r > after)[:limit], work, width=4)
    nursery.start_soon(drained.run)
    await trio.sleep(hopeless.outage + 300)
    for _ in range(3):
        done = trio.Event()
        rows.add(good)
        drained.wakeup.ring()
        with trio.fail_after(2 * RETRY.ceiling):
            await done.wait()
    nursery.cancel_scope.cancel()
