"""The inbox to `/events`: order per chat, what becomes of each message of a call, and how few calls it takes."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from pathlib import Path

import pytest
import trio

from tests.delivery.test_inbound import PAUSE, Delivering, open_delivery, others_write
from tests.proxy_fixture import until
from wa_worker.delivery.inbound import BATCH
from wa_worker.delivery.refusals import REJECTIONS
from wa_worker.dev.proxy import Fault
from wa_worker.edge.evidence import LIST


def bodies(at: Delivering) -> list[str]:
    return [row.body for row in at.fixture.proxy.store.inbound()]


def states(at: Delivering) -> list[str]:
    return [state for state, _, _ in at.inbox()]


def calls(at: Delivering, endpoint: str = "events") -> int:
    return at.fixture.proxy.store.requests[endpoint]


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=500, probability=0.3, after_apply=True),
        Fault(refuse=503, share=0.2),
        Fault(refuse=422, share=0.2),
        Fault(results=-1, probability=0.3),
        Fault(cut=True, probability=0.3, after_apply=True),
        Fault(status=404, times=1),
    ],
    ids=["applied, 500", "some 503", "some 422", "short", "cut", "404"],
)
async def test_each_chat_arrives_in_its_order_whatever_fails(tmp_path: Path, fault: Fault) -> None:
    async with open_delivery(tmp_path, contract=2) as at:
        for number in range(BATCH + 8):
            for chat in range(5):
                at.receive(chat, f"{chat}:{number}")
        at.fixture.proxy.faults.set("events", fault)
        at.nursery.start_soon(at.delivery.run)
        await trio.sleep(1)
        at.fixture.proxy.faults.clear()
        await at.all_delivered()
        order = defaultdict(list)
        for body in bodies(at):
            name, _, place = body.partition(":")
            order[name].append(int(place))
        assert order == {str(chat): list(range(BATCH + 8)) for chat in range(5)}


async def test_a_burst_takes_few_calls_and_few_transactions(tmp_path: Path) -> None:
    async with open_delivery(tmp_path, contract=2) as at:
        at.fixture.proxy.faults.set("events", Fault(delay=0.1))
        for number in range(30):
            for chat in range(10):
                at.receive(chat, f"{chat}:{number}")
        statements: list[str] = []
        with at.journal.database.reading() as sql:
            assert isinstance(sql, sqlite3.Connection)
            sql.set_trace_callback(statements.append)
        at.nursery.start_soon(at.delivery.run)
        await at.all_delivered()
        assert len(bodies(at)) == 300
        assert calls(at) <= 8
        assert calls(at, "inbound") == 0
        assert statements.count("COMMIT") <= 20


async def test_one_that_is_refused_for_long_is_set_aside_and_those_behind_it_go_on(tmp_path: Path) -> None:
    async with open_delivery(tmp_path, contract=2) as at:
        at.receive(1, "before it", "refused", "behind it", "and the next")
        at.fixture.proxy.faults.set("events", Fault(refuse=422, only='"refused"'))
        at.nursery.start_soon(at.delivery.run)
        at.nursery.start_soon(others_write, at)
        await until(lambda: states(at)[:4] == ["posted", "dead", "posted", "posted"])
        _, rejections, error = at.inbox()[1]
        assert rejections >= REJECTIONS
        assert "answered 422" in str(error)
        assert [body for body in bodies(at) if not body.startswith("other")] == [
            "before it",
            "behind it",
            "and the next",
        ]
        assert trio.current_time() - at.began >= (REJECTIONS - 1) * PAUSE / 2


async def test_behind_one_that_is_refused_its_chat_waits(tmp_path: Path) -> None:
    async with open_delivery(tmp_path, contract=2) as at:
        at.receive(1, "first", "second")
        at.fixture.proxy.faults.set("events", Fault(refuse=422, only='"first"', times=2))
        at.nursery.start_soon(at.delivery.run)
        await at.all_delivered()
        assert bodies(at) == ["first", "second"]


@pytest.mark.parametrize("fault", [Fault(refuse=422), Fault(refuse=409), Fault(status=422), Fault(status=413)])
async def test_what_refuses_everything_speaks_of_no_message(tmp_path: Path, fault: Fault) -> None:
    async with open_delivery(tmp_path, contract=2) as at:
        for chat in range(6):
            at.receive(chat, *(f"{chat}-{n}" for n in range(3)))
        at.fixture.proxy.faults.set("events", fault)
        at.nursery.start_soon(at.delivery.run)
        await trio.sleep(8 * PAUSE)
        assert calls(at) > 4
        assert set(states(at)) == {"pending"}
        at.fixture.proxy.faults.clear()
        await at.all_delivered()
        assert set(states(at)) == {"posted"}
        assert len(bodies(at)) == 18


async def test_what_makes_its_call_fail_holds_up_only_what_is_behind_it(tmp_path: Path) -> None:
    async with open_delivery(tmp_path, contract=2) as at:
        at.fixture.proxy.faults.set("events", Fault(status=500, only='"poison"'))
        at.receive(1, "before 1", "before 2", "poison", "behind")
        for chat in range(2, 8):
            at.receive(chat, f"another {chat}")
        at.nursery.start_soon(at.delivery.run)
        at.nursery.start_soon(others_write, at)
        await until(lambda: {"before 1", "before 2"} <= set(bodies(at)))
        await until(lambda: len([body for body in bodies(at) if body.startswith("another")]) == 6)
        assert "behind" not in bodies(at)
        at.fixture.proxy.faults.clear()
        await until(lambda: "behind" in bodies(at))


async def test_of_chats_that_have_failed_each_has_a_call_of_its_own(tmp_path: Path) -> None:
    """One of them may be why; the others must not share its call again, also when all try in the same moment."""
    async with open_delivery(tmp_path, contract=2) as at:
        at.receive(1, "before")
        at.nursery.start_soon(at.delivery.run)
        await at.all_delivered()
        at.fixture.proxy.faults.set("events", Fault(status=500, only='"stuck'))
        for chat in range(1, 13):
            at.receive(chat, f"stuck {'for good' if chat % 4 == 0 else 'a while'} {chat}")
        queue = at.delivery._queue
        stuck = at.journal.inbox.keys(0, 12)
        assert len(stuck) == 12
        at.nursery.start_soon(others_write, at)
        await until(lambda: not queue.breaker.is_open and all(map(queue.is_alone, stuck)))
        at.fixture.proxy.faults.set("events", Fault(hang=True, only='"stuck for good'))
        evidence = at.fixture.edge.evidence
        evidence.failed(LIST)
        evidence.poll_accepted(LIST, "", trio.current_time())  # an outage ends: all try at once
        await until(lambda: len([body for body in bodies(at) if body.startswith("stuck a while")]) == 9)


async def test_a_call_that_is_too_large_for_the_proxy_goes_one_by_one(tmp_path: Path) -> None:
    """It answers 413 to a call with several, and says so of none of them."""
    async with open_delivery(tmp_path, contract=2) as at:
        at.fixture.proxy.faults.set("events", Fault(status=413, only="},{"))
        at.receive(1, "one", "two", "three")
        at.nursery.start_soon(at.delivery.run)
        at.nursery.start_soon(others_write, at)
        await until(lambda: "three" in bodies(at))
        assert [body for body in bodies(at) if not body.startswith("other")] == ["one", "two", "three"]
        assert "dead" not in states(at)


async def test_all_of_a_call_that_was_not_answered_may_be_there(tmp_path: Path) -> None:
    """A proxy that answers 409 to a repeat, in an account to which nobody else writes."""
    async with open_delivery(tmp_path, contract=2, pause=60) as at:
        at.nursery.start_soon(at.delivery.run)
        at.fixture.proxy.faults.set("events", Fault(status=500, after_apply=True))
        at.receive(1, "one", "two", "three")
        await until(lambda: len(bodies(at)) == 3)
        at.fixture.proxy.faults.set("events", Fault(refuse=409))
        with trio.fail_after(30):
            while states(at) != ["posted"] * 3:
                await at.fixture.edge.disconnected_instances()
                await trio.sleep(0.2)


async def test_what_was_accepted_beside_one_that_was_refused_is_not_posted_again(tmp_path: Path) -> None:
    """By a proxy that does not hold back what is behind a refused one."""
    async with open_delivery(tmp_path, contract=2) as at:
        answer = b'{"results": [{"status": 503}, {"status": 200}, {"status": 503}]}'
        at.fixture.proxy.faults.set("events", Fault(body=answer, times=1))
        at.receive(1, "first", "second", "third")
        at.nursery.start_soon(at.delivery.run)
        await at.all_delivered()
        assert bodies(at) == ["first", "third"], "the second was said to be there"
