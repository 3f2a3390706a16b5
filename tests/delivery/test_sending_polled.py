"""What `/poll` lists, to a session: it is waited for and not asked for, and the marks go in few calls."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from tests.delivery.test_sending import Accepting, Sending, open_sending
from tests.journal.rows import ANA
from tests.proxy_fixture import SHOP, until
from wa_worker.dev.proxy import Fault


@asynccontextmanager
async def open_polled(folder: Path) -> AsyncIterator[Sending]:
    """The proxy is known to speak version 2."""
    async with open_sending(folder, contract=2) as at:
        at.fixture.edge.version.is_two()
        yield at


async def give(at: Sending) -> frozenset[str]:
    """Polls once for those that wait, and hands out what is listed."""
    polled = at.sender.polled
    answer = await at.fixture.edge.poll("w", dict.fromkeys(polled.ready, "CONNECTED"), 0)
    return frozenset(polled.give(answer.messages, 0.0))


def calls(at: Sending, endpoint: str = "events") -> int:
    return at.fixture.proxy.store.requests[endpoint]


async def test_it_waits_for_what_is_listed_and_asks_for_nothing(tmp_path: Path) -> None:
    async with open_polled(tmp_path) as at:
        session = Accepting()
        at.nursery.start_soon(at.run, session)
        await until(lambda: at.sender.polled.ready)
        at.fixture.proxy.faults.set("events", Fault(delay=0.2))
        at.fixture.proxy.store.queue_many(SHOP, [(ANA, str(n)) for n in range(20)])
        assert await give(at) == {SHOP}
        await until(lambda: not at.fixture.proxy.store.queued(SHOP))
        assert session.texts == [str(n) for n in range(20)]
        assert calls(at) <= 8
        assert calls(at, "mark-sent") == 0
        assert at.polls == 0


async def test_it_waits_for_more_when_its_marks_are_told(tmp_path: Path) -> None:
    async with open_polled(tmp_path) as at:
        at.nursery.start_soon(at.run, Accepting())
        await until(lambda: at.sender.polled.ready)
        at.fixture.proxy.faults.set("events", Fault(delay=0.6))
        at.fixture.proxy.store.queue(SHOP, ANA, "one")
        await give(at)
        await trio.sleep(0.3)
        assert not at.sender.polled.ready
        await until(lambda: at.sender.polled.ready)
        assert not at.fixture.proxy.store.queued(SHOP)
        with trio.fail_after(1):
            await at.sender.polled.done([SHOP])


async def test_it_takes_nothing_while_it_is_not_connected(tmp_path: Path) -> None:
    async with open_polled(tmp_path) as at:
        line = trio.Event()
        at.nursery.start_soon(lambda: at.run(Accepting(), connected=line.wait))
        await trio.sleep(0.1)
        assert not at.sender.polled.ready
        line.set()
        await until(lambda: at.sender.polled.ready)


async def test_with_a_proxy_that_goes_back_it_asks_by_itself_and_the_other_way_round(tmp_path: Path) -> None:
    async with open_polled(tmp_path) as at:
        session, version = Accepting(), at.fixture.edge.version
        version.on_change.append(lambda: None if version.two else at.sender.polled.end())
        at.nursery.start_soon(at.run, session)
        await until(lambda: at.sender.polled.ready)
        version.is_one()
        at.fixture.proxy.store.queue(SHOP, ANA, "one")
        await until(lambda: session.texts == ["one"])
        version.is_two()
        await until(lambda: at.sender.polled.ready)
        polls = at.polls
        at.fixture.proxy.store.queue(SHOP, ANA, "two")
        await give(at)
        await until(lambda: session.texts == ["one", "two"])
        assert at.polls == polls


async def test_one_that_ends_at_work_is_at_work_no_more(tmp_path: Path) -> None:
    async with open_polled(tmp_path) as at, trio.open_nursery() as nursery:
        nursery.start_soon(at.run, Accepting(delay=0.3))
        await until(lambda: at.sender.polled.ready)
        at.fixture.proxy.store.queue(SHOP, ANA, "one")
        given = at.sender.polled.ready
        await give(at)
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True), trio.fail_after(5):
            await trio.sleep(0.5)
            await at.sender.polled.done(given)


async def test_a_mark_that_makes_its_call_fail_keeps_no_other_back(tmp_path: Path) -> None:
    async with open_polled(tmp_path) as at:
        at.nursery.start_soon(at.run, Accepting())
        await until(lambda: at.sender.polled.ready)
        ids = at.fixture.proxy.store.queue_many(SHOP, [(ANA, str(n)) for n in range(12)])
        at.fixture.proxy.faults.set("events", Fault(status=500, only=f'"messageId":{ids[3]},'))
        await give(at)
        await until(lambda: len(at.fixture.proxy.store.queued(SHOP)) == 1)
        at.fixture.proxy.faults.clear()
        await until(lambda: not at.fixture.proxy.store.queued(SHOP))


async def test_who_waits_for_marks_hears_of_each_though_others_begin_to_wait(tmp_path: Path) -> None:
    """Many wait at the same time, and begin at any moment: none of them misses what it waits for."""
    async with open_polled(tmp_path) as at:
        marks = at.sender._marks
        at.nursery.start_soon(at.run, Accepting())
        for number in range(20):
            await until(lambda: at.sender.polled.ready)
            at.fixture.proxy.store.queue(SHOP, ANA, str(number))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(give, at)
                with trio.fail_after(3):
                    for _ in range(30):
                        nursery.start_soon(marks.settled, SHOP)
                        await trio.sleep(0.001)
