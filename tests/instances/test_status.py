"""The status publisher against a real proxy over a real socket: a slot, not a queue."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from tests.proxy_fixture import PATIENCE, SHOP, ProxyFixture, open_proxy_fixture, until
from wa_worker.dev.proxy import Fault
from wa_worker.errors import EdgeError
from wa_worker.instances.status import GONE_AFTER, SETTLING, InstanceGone, StatusPublisher
from wa_worker.models import Account, InstanceId, Jid, NextStep, ProxyStatus, Reason, Status, Why

CONNECTED = Status(ProxyStatus.CONNECTED)
OTHER = InstanceId("other")


def waiting(code: str) -> Status:
    return Status(ProxyStatus.CONNECTING, f"data:image/png;base64,{code}")


async def test_what_was_overtaken_is_never_posted() -> None:
    async with open_proxy_fixture(SHOP) as fixture, trio.open_nursery() as nursery:
        publisher = StatusPublisher(SHOP, fixture.edge)
        fixture.proxy.faults.set("update-status", Fault(status=503))
        nursery.start_soon(publisher.run)
        for code in ("AAAA", "BBBB", "CCCC"):
            publisher.announce(waiting(code))
            await trio.sleep(0.05)
        publisher.announce(CONNECTED)
        fixture.proxy.faults.clear()
        with trio.fail_after(10):
            await publisher.wait_settled()
        assert [(c.status, c.qr_code) for c in fixture.proxy.store.statuses(SHOP)] == [("CONNECTED", None)]
        nursery.cancel_scope.cancel()


async def test_an_unchanged_status_is_posted_again_after_a_while() -> None:
    async with open_proxy_fixture(SHOP) as fixture, trio.open_nursery() as nursery:
        publisher = StatusPublisher(SHOP, fixture.edge, heartbeat=0.1)
        nursery.start_soon(publisher.run)
        publisher.announce(CONNECTED)
        with trio.fail_after(10):
            await fixture.proxy.wait_for(lambda s: len(s.statuses(SHOP)) >= 3)
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def unknown(*, others: bool = False) -> AsyncIterator[tuple[ProxyFixture, StatusPublisher, trio.Nursery]]:
    """Gives the publisher of an instance that the proxy does not know."""
    async with open_proxy_fixture(OTHER) as fixture, trio.open_nursery() as nursery:
        publisher = StatusPublisher(SHOP, fixture.edge, ask_others=lambda _instance: others)
        publisher.announce(CONNECTED)
        yield fixture, publisher, nursery
        nursery.cancel_scope.cancel()


async def listing(fixture: ProxyFixture) -> None:
    while True:
        await fixture.edge.disconnected_instances()
        await trio.sleep(0.1)


async def test_an_instance_that_the_proxy_does_not_know_is_gone() -> None:
    async with unknown() as (fixture, publisher, nursery):
        nursery.start_soon(listing, fixture)
        with trio.fail_after(PATIENCE), pytest.raises(InstanceGone):
            await publisher.run()
        assert fixture.proxy.store.requests["update-status"] >= GONE_AFTER + 1


async def stays(publisher: StatusPublisher, fixture: ProxyFixture, answers: int = GONE_AFTER + 3) -> None:
    """Runs until there were more answers than one that is believed needs; raises InstanceGone if one was."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(publisher.run)
        await until(lambda: fixture.proxy.store.requests["update-status"] >= answers)
        nursery.cancel_scope.cancel()


async def test_unless_the_proxy_has_listed_nothing_meanwhile() -> None:
    """Then it may be away, and its place taken: a router answers 404 on every path."""
    async with unknown() as (fixture, publisher, _):
        await fixture.edge.disconnected_instances()
        await stays(publisher, fixture)


async def test_nor_if_a_page_says_so() -> None:
    async with unknown() as (fixture, publisher, nursery):
        nursery.start_soon(listing, fixture)
        fixture.proxy.faults.set("update-status", Fault(status=404, body=b"<html>no such app</html>"))
        await stays(publisher, fixture)


async def test_nor_while_the_proxy_takes_the_status_of_nobody() -> None:
    async with unknown(others=True) as (fixture, publisher, nursery):
        nursery.start_soon(listing, fixture)
        await stays(publisher, fixture)
        await fixture.edge.update_status(OTHER, CONNECTED)
        with trio.fail_after(PATIENCE), pytest.raises(InstanceGone):
            await publisher.run()


async def test_an_answer_between_that_it_is_known_starts_the_counting_anew() -> None:
    async with unknown() as (fixture, publisher, nursery):
        nursery.start_soon(listing, fixture)
        async with trio.open_nursery() as running:
            running.start_soon(publisher.run)
            await until(lambda: fixture.proxy.store.requests["update-status"] >= GONE_AFTER)
            fixture.proxy.store.add_instance(SHOP)
            await until(lambda: publisher.settled)
            fixture.proxy.store.remove_instance(SHOP)
            calls = fixture.proxy.store.requests["update-status"]
            publisher.announce_again()
            await until(lambda: fixture.proxy.store.requests["update-status"] >= calls + GONE_AFTER)
            running.cancel_scope.cancel()


async def test_what_it_may_have_heard() -> None:
    async with open_proxy_fixture(SHOP) as fixture, trio.open_nursery() as nursery:
        publisher = StatusPublisher(SHOP, fixture.edge)
        assert not publisher.may_have_heard
        fixture.proxy.faults.set("update-status", Fault(status=500, after_apply=True))
        publisher.announce(CONNECTED)
        nursery.start_soon(publisher.run)
        await until(lambda: fixture.proxy.store.statuses(SHOP))
        publisher.announce(Status(ProxyStatus.CONNECTING))
        await until(lambda: fixture.proxy.store.statuses(SHOP)[-1].status == "CONNECTING")
        assert publisher.may_have_heard == {ProxyStatus.CONNECTED, ProxyStatus.CONNECTING}
        fixture.proxy.faults.clear()
        await until(lambda: publisher.settled)
        assert publisher.may_have_heard == {ProxyStatus.CONNECTING}
        nursery.cancel_scope.cancel()


async def test_what_was_taken_in_the_proxys_place_is_posted_again() -> None:
    async with open_proxy_fixture(SHOP) as fixture, trio.open_nursery() as nursery:
        publisher = StatusPublisher(SHOP, fixture.edge)
        nursery.start_soon(publisher.run)
        seen = trio.current_time()
        publisher.announce(CONNECTED)
        await until(lambda: publisher.settled)
        publisher.try_again(doubt_since=trio.current_time())
        await trio.sleep(0.1)
        assert len(fixture.proxy.store.statuses(SHOP)) == 1, "it was taken before"
        publisher.try_again(doubt_since=seen)
        await until(lambda: len(fixture.proxy.store.statuses(SHOP)) == 2)
        nursery.cancel_scope.cancel()


async def test_what_waits_is_posted_when_the_proxy_is_back() -> None:
    async with open_proxy_fixture(SHOP) as fixture, trio.open_nursery() as nursery:
        publisher = StatusPublisher(SHOP, fixture.edge)
        fixture.proxy.faults.set("update-status", Fault(status=503))
        publisher.announce(CONNECTED)
        nursery.start_soon(publisher.run)
        await until(lambda: fixture.proxy.store.requests["update-status"])
        fixture.proxy.faults.clear()
        for _ in range(20):  # its pause has not begun with the call's arrival
            publisher.try_again(doubt_since=0.0)
            await trio.sleep(0.01)
        assert publisher.settled, "a pause is 0.37 s at least"
        nursery.cancel_scope.cancel()


async def test_it_waits_as_long_as_it_is_asked_to() -> None:
    async with open_proxy_fixture(SHOP) as fixture, trio.open_nursery() as nursery:
        publisher = StatusPublisher(SHOP, fixture.edge)
        fixture.proxy.faults.set("update-status", Fault(status=429, headers={"Retry-After": "2"}, times=1))
        publisher.announce(CONNECTED)
        nursery.start_soon(publisher.run)
        await until(lambda: fixture.proxy.store.requests["update-status"])
        publisher.announce(Status(ProxyStatus.CONNECTING))
        await trio.sleep(1.5)
        assert fixture.proxy.store.requests["update-status"] == 1
        await until(lambda: publisher.settled)
        nursery.cancel_scope.cancel()


async def test_an_answer_that_lies_does_not_leave_a_status_behind() -> None:
    """The proxy stored CONNECTED and answered 500: then CONNECTING is news to it, though it confirmed that before."""
    async with open_proxy_fixture(SHOP) as fixture, trio.open_nursery() as nursery:
        publisher = StatusPublisher(SHOP, fixture.edge)
        nursery.start_soon(publisher.run)
        publisher.announce(Status(ProxyStatus.CONNECTING))
        with trio.fail_after(10):
            await publisher.wait_settled()
            fixture.proxy.faults.set("update-status", Fault(status=500, after_apply=True, times=1))
            publisher.announce(CONNECTED)
            await fixture.proxy.wait_for(lambda s: s.statuses(SHOP)[-1].status == "CONNECTED")
            publisher.announce(Status(ProxyStatus.CONNECTING))
            await fixture.proxy.wait_for(lambda s: s.statuses(SHOP)[-1].status == "CONNECTING")
        nursery.cancel_scope.cancel()


async def test_a_call_that_is_cancelled_does_not_leave_a_status_behind() -> None:
    """As when the instance crashes and starts again: its publisher goes on with what it knew."""
    async with open_proxy_fixture(SHOP) as fixture:
        publisher = StatusPublisher(SHOP, fixture.edge)
        publisher.announce(Status(ProxyStatus.CONNECTING))
        with trio.fail_after(10):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(publisher.run)
                await publisher.wait_settled()
                fixture.proxy.faults.set("update-status", Fault(hang=True, after_apply=True, times=1))
                publisher.announce(CONNECTED)
                await fixture.proxy.wait_for(lambda s: s.statuses(SHOP)[-1].status == "CONNECTED")
                nursery.cancel_scope.cancel()
            publisher.announce(Status(ProxyStatus.CONNECTING))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(publisher.run)
                await fixture.proxy.wait_for(lambda s: s.statuses(SHOP)[-1].status == "CONNECTING")
                nursery.cancel_scope.cancel()


def connecting(reason: Reason, since: int = 0) -> Status:
    return Status(ProxyStatus.CONNECTING, why=Why(reason, NextStep.WAIT), since=since)


async def run_until_settled(publisher: StatusPublisher, nursery: trio.Nursery) -> None:
    nursery.start_soon(publisher.run)
    with trio.fail_after(PATIENCE):
        await publisher.wait_settled()


@asynccontextmanager
async def announced(status: Status) -> AsyncIterator[tuple[ProxyFixture, StatusPublisher]]:
    """Gives a publisher whose status the proxy has acknowledged."""
    async with open_proxy_fixture(SHOP) as fixture, trio.open_nursery() as nursery:
        publisher = StatusPublisher(SHOP, fixture.edge)
        publisher.announce(status)
        await run_until_settled(publisher, nursery)
        yield fixture, publisher
        nursery.cancel_scope.cancel()


def reasons(fixture: ProxyFixture) -> list[str | None]:
    return [change.reason for change in fixture.proxy.store.statuses(SHOP)]


async def test_a_reason_that_changes_alone_is_posted_too_but_not_each_one_in_between() -> None:
    async with announced(connecting(Reason.RETRYING)) as (fixture, publisher):
        began = trio.current_time()
        for number in range(5):
            publisher.announce(connecting(Reason.OPENING, number))
            await trio.sleep(0.02)
            publisher.announce(connecting(Reason.RETRYING, number + 1))
            await trio.sleep(0.02)
        assert publisher.settled, "the status itself is what the proxy has acknowledged"
        assert publisher.changes == 1
        await until(lambda: len(reasons(fixture)) == 2)
        assert trio.current_time() - began >= SETTLING * 0.9
        assert fixture.proxy.store.statuses(SHOP)[-1].since == 5
        await trio.sleep(SETTLING * 1.5)
        assert reasons(fixture) == ["retrying", "retrying"]


async def test_a_reason_that_comes_back_in_a_moment_is_posted_not_at_all() -> None:
    async with announced(connecting(Reason.OPENING)) as (fixture, publisher):
        publisher.announce(connecting(Reason.RETRYING))
        await trio.sleep(0.1)
        publisher.announce(connecting(Reason.OPENING))
        await trio.sleep(SETTLING * 1.5)
        assert reasons(fixture) == ["opening"]


async def test_a_status_does_not_wait_for_a_reason_to_settle() -> None:
    async with announced(connecting(Reason.OPENING)) as (fixture, publisher):
        publisher.announce(connecting(Reason.RETRYING))
        await trio.sleep(0.1)
        began = trio.current_time()
        publisher.announce(CONNECTED)
        await until(lambda: reasons(fixture) == ["opening", "connected"])
        assert trio.current_time() - began < SETTLING / 2
        assert publisher.changes == 2


async def test_nor_does_what_the_proxy_has_lost() -> None:
    async with announced(connecting(Reason.OPENING)) as (fixture, publisher):
        publisher.announce(connecting(Reason.RETRYING))
        await trio.sleep(0.1)
        publisher.announce_again()
        await until(lambda: reasons(fixture) == ["opening", "retrying"])


@pytest.mark.parametrize(
    ("reason", "action"), [(Reason.WORKER_STOPPING, NextStep.WAIT), (Reason.RELEASED, None)], ids=str
)
async def test_what_is_said_last(reason: Reason, action: NextStep | None) -> None:
    account = Account(Jid("5511999990001@s.whatsapp.net"), "Padaria")
    async with open_proxy_fixture(SHOP) as fixture:
        publisher = StatusPublisher(SHOP, fixture.edge)
        assert publisher.parting(reason).account is None, "of one that has said nothing yet"
        publisher.announce(Status(ProxyStatus.CONNECTED, account=account, until=7))
        before = int(time.time())
        said = publisher.parting(reason)
    assert (said.status, said.qr_code, said.why) == (ProxyStatus.DISCONNECTED, None, Why(reason, action))
    assert (said.account, said.until) == (account, None)
    assert before <= said.since <= time.time()


async def run_all(fixture: ProxyFixture, nursery: trio.Nursery, count: int) -> list[StatusPublisher]:
    """Runs the publishers of so many instances."""
    fixture.edge.version.is_two()
    publishers = []
    for n in range(count):
        instance = InstanceId(f"i{n}")
        fixture.proxy.store.add_instance(instance)
        publisher = StatusPublisher(instance, fixture.edge)
        publisher.announce(CONNECTED)
        nursery.start_soon(publisher.run)
        publishers.append(publisher)
    return publishers


def told(fixture: ProxyFixture, count: int) -> int:
    return sum(len(fixture.proxy.store.statuses(f"i{n}")) for n in range(count))


async def test_after_an_outage_what_many_have_to_say_is_one_call() -> None:
    async with open_proxy_fixture(contract=2) as fixture, trio.open_nursery() as nursery:
        fixture.proxy.faults.set("*", Fault(status=503))
        with pytest.raises(EdgeError):
            await fixture.edge.poll("w", {}, 0)
        publishers = await run_all(fixture, nursery, 30)
        await until(lambda: fixture.proxy.store.requests["events"] >= 2)
        await trio.sleep(1)
        fixture.proxy.faults.clear()
        await fixture.edge.poll("w", {}, 0)
        before = fixture.proxy.store.requests["events"]
        for publisher in publishers:
            publisher.try_again(doubt_since=trio.current_time())
        await until(lambda: told(fixture, 30) == 30)
        assert fixture.proxy.store.requests["events"] - before <= 8
        nursery.cancel_scope.cancel()


async def test_while_no_poll_is_answered_what_many_have_to_say_goes_together() -> None:
    async with open_proxy_fixture(contract=2) as fixture, trio.open_nursery() as nursery:
        fixture.proxy.faults.set("*", Fault(status=503))
        with pytest.raises(EdgeError):
            await fixture.edge.poll("w", {}, 0)
        await run_all(fixture, nursery, 30)
        await until(lambda: fixture.proxy.store.requests["events"])
        fixture.proxy.faults.set("events", Fault(delay=0.6))
        await until(lambda: told(fixture, 30) == 30)
        assert fixture.proxy.store.requests["events"] <= 15
        nursery.cancel_scope.cancel()


async def test_a_status_that_makes_its_call_fail_keeps_no_other_back() -> None:
    async with open_proxy_fixture(contract=2) as fixture, trio.open_nursery() as nursery:
        await fixture.edge.poll("w", {}, 0)
        fixture.proxy.faults.set("events", Fault(status=500, only='"i3"'))
        await run_all(fixture, nursery, 8)
        await until(lambda: told(fixture, 8) == 7)
        nursery.cancel_scope.cancel()


async def test_statuses_that_have_failed_go_each_alone_though_all_try_in_the_same_moment() -> None:
    async with open_proxy_fixture(contract=2) as fixture, trio.open_nursery() as nursery:
        await fixture.edge.poll("w", {}, 0)
        fixture.proxy.faults.set("events", Fault(status=500))
        publishers = await run_all(fixture, nursery, 6)
        await until(lambda: fixture.proxy.store.requests["events"] >= 6)
        fixture.proxy.faults.set("events", Fault(hang=True, only='"i3"'))
        for publisher in publishers:
            publisher.announce(Status(ProxyStatus.DISCONNECTED))
        statuses = fixture.proxy.store.statuses
        others = [f"i{n}" for n in range(6) if n != 3]
        await until(lambda: all(any(told.status == "DISCONNECTED" for told in statuses(name)) for name in others))
        nursery.cancel_scope.cancel()
