"""Cancelled at each of its waits: what owns something leaves nothing open, locked, lost or done twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import trio

import tests.whatsapp.conftest  # noqa: F401 - it imports neonize
from tests.cancelling import Unchanged, at_each_wait, threads
from tests.delivery.sessions import Steady, preparing, words
from tests.instances.bed import open_bed
from tests.journal.rows import ANA, inbound_message
from tests.proxy_fixture import PATIENCE, SHOP, open_proxy_fixture, until
from tests.whatsapp.scripted_host import script
from wa_worker.delivery.group_commit import GroupCommit
from wa_worker.delivery.group_read import GroupRead
from wa_worker.delivery.inbound import InboundDelivery
from wa_worker.delivery.marks import MarkReporter
from wa_worker.delivery.poll_timer import PollTimer
from wa_worker.delivery.polled import PolledMessages
from wa_worker.delivery.sending import MessageSender
from wa_worker.dev.proxy import Fault
from wa_worker.edge.transport import open_transport
from wa_worker.instances.fleet import InstanceFleet
from wa_worker.instances.registry import Registry
from wa_worker.instances.status import StatusPublisher
from wa_worker.journal import open_journal
from wa_worker.messages import Accepted, OutgoingMessage
from wa_worker.metrics import Metrics
from wa_worker.models import InstanceId, ProxyStatus, Status, WaMessageId
from wa_worker.monitoring.health import listen, run_health
from wa_worker.monitoring.readiness import Readiness
from wa_worker.ownership.volume import hold_volume
from wa_worker.wakeup import Wakeup
from wa_worker.whatsapp.folder_store import FolderStore
from wa_worker.whatsapp.gate import StartGate
from wa_worker.whatsapp.pairing import PairingHosts


async def test_hold_volume_leaves_the_volume_free(tmp_path: Path) -> None:
    async def hold() -> None:
        async with hold_volume(tmp_path):
            await trio.lowlevel.checkpoint()

    with Unchanged():
        async for _ in at_each_wait(hold):
            with trio.fail_after(5):
                async with hold_volume(tmp_path):
                    pass


async def test_waiting_for_the_volume_ends(tmp_path: Path) -> None:
    async with hold_volume(tmp_path):
        with Unchanged(), trio.move_on_after(0.7) as waiting:
            async with hold_volume(tmp_path):
                raise AssertionError
    assert waiting.cancelled_caught


async def test_open_transport_closes_what_it_has_opened() -> None:
    async def once() -> None:
        async with open_transport("https://127.0.0.1:1", keep=60):
            await trio.lowlevel.checkpoint()

    with Unchanged():
        async for _ in at_each_wait(once):
            pass


async def test_a_call_leaves_no_connection_open_that_is_not_used_again() -> None:
    """Each call of the client, the first on a new connection and the second on one that is kept."""
    async with open_proxy_fixture(SHOP, contract=2) as fixture:
        calls = {
            "list": fixture.edge.disconnected_instances,
            "queued": lambda: fixture.edge.queued_messages(SHOP),
            "status": lambda: fixture.edge.update_status(SHOP, Status(ProxyStatus.CONNECTING)),
            "poll": lambda: fixture.edge.poll("w", {}, 0),
        }
        await fixture.edge.disconnected_instances()  # a connection that is kept
        for name, call in calls.items():
            with Unchanged():
                async for _ in at_each_wait(call):
                    await until(lambda: fixture.proxy.connections_open <= 1)
                    assert (await fixture.edge.disconnected_instances()).good == (SHOP,), name


async def test_an_event_in_a_batch_is_told_or_not_and_never_later() -> None:
    """Cancelled at each wait of who tells it: what is told after it is told once, and nothing comes behind."""
    async with open_proxy_fixture(SHOP, contract=2) as fixture:
        fixture.edge.version.is_two()
        number = 0

        async def tell() -> None:
            await fixture.edge.update_status(SHOP, Status(ProxyStatus.CONNECTED))

        async for _ in at_each_wait(tell):
            number += 1
            with trio.fail_after(PATIENCE):
                await fixture.edge.update_status(SHOP, Status(ProxyStatus.DISCONNECTED))
            assert fixture.proxy.store.statuses(SHOP)[-1].status == "DISCONNECTED", number
        assert number >= 2


async def test_who_waits_for_polled_messages_leaves_his_place() -> None:
    polled = PolledMessages()

    async def take() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(polled.take, SHOP)
            while not polled.ready:
                await trio.lowlevel.checkpoint()
            polled.end()

    async for _ in at_each_wait(take):
        assert polled.ready == frozenset()

    async def wait() -> None:
        with trio.move_on_after(0.01):
            await polled.done([SHOP])
        await trio.lowlevel.checkpoint()

    async for _ in at_each_wait(wait):
        pass


async def test_reading_for_several_goes_on_whoever_is_cancelled() -> None:
    group = GroupRead(lambda keys: {key: key for key in keys})

    async def get() -> None:
        await group.get(1)

    async for _ in at_each_wait(get):
        with trio.fail_after(5):
            assert await group.get(2) == 2


async def test_a_wakeup_that_nobody_waits_for_any_more_still_wakes_the_others() -> None:
    bell, woken = Wakeup(), 0

    async def wait() -> None:
        nonlocal woken
        await bell.wait()
        woken += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        with trio.move_on_after(0.05):
            await bell.wait()
        bell.ring()
    assert woken == 1


async def test_a_start_or_stop_gives_its_turn_back() -> None:
    gate = StartGate()

    async def start() -> None:
        gate.pass_through()  # so that it waits for this one to settle
        async with gate.exclusive():
            await trio.lowlevel.checkpoint()

    async for _ in at_each_wait(start):
        with trio.fail_after(5):
            await trio.to_thread.run_sync(gate.pass_through, abandon_on_cancel=True)
            async with gate.exclusive():
                pass


async def test_items_are_committed_once_whenever_who_adds_them_is_cancelled() -> None:
    kept: list[int] = []
    group, number = GroupCommit(kept.extend), 0

    async def add() -> None:
        nonlocal number
        number += 1
        await group.add(number)

    async for _ in at_each_wait(add):
        assert kept == list(range(1, number + 1))
    assert kept == list(range(1, number + 1))


async def test_a_status_is_posted_by_the_next_run() -> None:
    async with open_proxy_fixture(SHOP) as fixture:
        publisher, codes = StatusPublisher(SHOP, fixture.edge), 0

        async def post() -> None:
            nonlocal codes
            codes += 1
            publisher.announce(Status(ProxyStatus.CONNECTING, f"data:image/png;base64,{codes:04}"))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(publisher.run)
                await publisher.wait_settled()
                nursery.cancel_scope.cancel()

        async for _ in at_each_wait(post):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(publisher.run)
                with trio.fail_after(PATIENCE):
                    await publisher.wait_settled()
                nursery.cancel_scope.cancel()
            assert fixture.proxy.store.statuses(SHOP)[-1].qr_code == f"data:image/png;base64,{codes:04}"


@pytest.mark.parametrize("moment", [0.0, 0.01, 0.03, 0.06, 0.1, 0.2])
async def test_a_queue_that_is_cancelled_leaves_its_rows_to_the_next(tmp_path: Path, moment: float) -> None:
    """What the proxy took is recorded, or posted again: never lost, and in its order."""
    async with open_proxy_fixture(SHOP) as fixture:
        fixture.proxy.faults.set("inbound", Fault(delay=0.01))
        with open_journal(tmp_path / "journal.db") as journal:
            for n in range(8):
                journal.inbox.record(SHOP, inbound_message(f"{n}", body=f"{n}"))
            with trio.move_on_after(moment):
                await InboundDelivery(journal.inbox, fixture.edge, fixture.metrics).run()
            fixture.proxy.faults.clear()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(InboundDelivery(journal.inbox, fixture.edge, fixture.metrics).run)
                await until(lambda: not journal.inbox.keys(0, 1))
                nursery.cancel_scope.cancel()
        assert [row.body for row in fixture.proxy.store.inbound()] == [str(n) for n in range(8)]
        assert sum(row.times_posted for row in fixture.proxy.store.inbound()) <= 9


async def test_a_send_is_made_once_whenever_the_sender_is_cancelled(tmp_path: Path) -> None:
    """Each round is cut off after a while; what was queued goes out once, and is marked."""
    texts: list[str] = []

    class Session(Steady):
        def send(self, message: OutgoingMessage) -> Accepted:
            texts.append(words(message))
            return Accepted(WaMessageId(f"W{len(texts)}"), 0)

    async with open_proxy_fixture(SHOP) as fixture, trio.open_nursery() as threads:
        with open_journal(tmp_path / "journal.db") as journal:
            marks = MarkReporter(journal.ledger, fixture.edge)
            sender = MessageSender(fixture.edge, journal, marks, fixture.metrics, threads, preparing(tmp_path))
            for cut in (0.0, 0.01, 0.02, 0.03, 0.05, 0.08, 0.12):
                fixture.proxy.store.queue_many(SHOP, [(ANA, f"{cut} {n}") for n in range(5)])
                with trio.move_on_after(cut):
                    await sender.run(SHOP, Session(), PollTimer(0.01, 0.0), trio.lowlevel.checkpoint)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(sender.run, SHOP, Session(), PollTimer(0.01, 0.0), trio.lowlevel.checkpoint)
                nursery.start_soon(marks.run)
                await until(lambda: not fixture.proxy.store.queued(SHOP))
                nursery.cancel_scope.cancel()
        threads.cancel_scope.cancel()
    assert len(texts) == len(set(texts)) == 35


async def test_a_pairing_that_is_cancelled_is_none_to_its_host(tmp_path: Path) -> None:
    """The host is shared: it shows the code of another instance, and goes with that."""
    heard = tmp_path / "heard"
    async with trio.open_nursery() as nursery:
        hosts = PairingHosts(nursery, script(heard, {"is": "qr", "code": "2@"}))

        async def pair() -> None:
            async with hosts.pair(SHOP, FolderStore.of(tmp_path, SHOP), "n") as events:
                await events.receive()

        with Unchanged():
            async with hosts.pair(InstanceId("other"), FolderStore.of(tmp_path, SHOP), "n") as other:
                await other.receive()
                async for _ in at_each_wait(pair):
                    pass
            await until(lambda: not nursery.child_tasks)
        nursery.cancel_scope.cancel()
    commands = [json.loads(line) for line in heard.read_text().splitlines()]
    assert len({command["pid"] for command in commands}) == 1


async def test_health_leaves_its_port(tmp_path: Path) -> None:
    registry, listener = Registry(), listen("127.0.0.1", 0)
    port = listener.getsockname()[1]
    with Unchanged(), trio.move_on_after(0.5):
        await run_health(registry, Readiness(registry, 10.0), Metrics(), listener)
    listen("127.0.0.1", port).close()


async def test_a_fleet_that_is_cancelled_has_let_go_of_everything(tmp_path: Path) -> None:
    instances = [InstanceId(str(n)) for n in range(5)]
    before = threads()
    async with open_bed(tmp_path, script(None, {"is": "qr", "code": "2@"})) as bed:
        for instance in instances:
            bed.fixture.proxy.store.add_instance(instance)
        for moment in (0.0, 0.02, 0.1, 0.3):
            async with trio.open_nursery() as nursery:
                fleet = InstanceFleet(bed.services, nursery, stopping=lambda: True)
                for instance in instances:
                    fleet.start(instance)
                await trio.sleep(moment)
                nursery.cancel_scope.cancel()
            assert not fleet.running()
            assert not bed.services.registry.all()
            last = [bed.fixture.proxy.store.statuses(instance)[-1].status for instance in instances]
            assert last == ["DISCONNECTED"] * len(instances)
    assert threads() <= before
