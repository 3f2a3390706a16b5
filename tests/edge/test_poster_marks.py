"""Marks on their way to the proxy in version 2: one goes at once, of many each waits for a moment, for one call."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
import trio.testing

from tests.edge.test_poster import calls, message, open_two
from tests.proxy_fixture import PATIENCE, SHOP, ProxyFixture, until
from wa_worker.edge.events import Event, failed_event, sent_event
from wa_worker.edge.poster import MOST_EVENTS, EventPoster
from wa_worker.errors import Failure
from wa_worker.models import WaMessageId

LONG = 3600.0
"""Seconds between calls with marks: what is not waited for goes in a test's time, what is does not."""


@asynccontextmanager
async def open_marked(marks_apart: float) -> AsyncIterator[tuple[ProxyFixture, EventPoster, list[Event]]]:
    """Yields a poster, and marks for it: of messages that the proxy has queued."""
    with trio.fail_after(PATIENCE):
        async with _open_marked(marks_apart) as opened:
            yield opened


@asynccontextmanager
async def _open_marked(marks_apart: float) -> AsyncIterator[tuple[ProxyFixture, EventPoster, list[Event]]]:
    async with open_two() as fixture:
        marks: list[Event] = []
        for n in range(2 * MOST_EVENTS):
            row = fixture.proxy.store.queue(SHOP, "5511988887777", f"{n}")
            marks.append(sent_event(SHOP, row, WaMessageId(f"W{n}"), None))
        yield fixture, EventPoster(fixture.edge, fixture.edge.version, 4, marks_apart=marks_apart), marks


def sent(fixture: ProxyFixture) -> int:
    return fixture.proxy.store.count_messages("sent")


async def test_a_mark_after_a_pause_goes_at_once_and_those_behind_it_go_together() -> None:
    async with open_marked(marks_apart=1.0) as (fixture, poster, marks):
        await poster.tell(marks[0])
        assert calls(fixture) == 1
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            for mark in marks[1:30]:
                nursery.start_soon(poster.tell, mark)
                await trio.testing.wait_all_tasks_blocked()
        assert trio.current_time() - began > 0.5
        assert (calls(fixture), sent(fixture)) == (2, 30)


async def test_marks_go_with_whatever_else_is_told() -> None:
    async with open_marked(LONG) as (fixture, poster, marks):
        await poster.tell(marks[0])
        async with trio.open_nursery() as nursery:
            for mark in marks[1:10]:
                nursery.start_soon(poster.tell, mark)
                await trio.testing.wait_all_tasks_blocked()
            assert calls(fixture) == 1
            await poster.tell(message(1, "hello"))
        assert (calls(fixture), sent(fixture)) == (2, 10)


async def test_marks_that_fill_a_call_wait_no_longer() -> None:
    async with open_marked(LONG) as (fixture, poster, marks):
        await poster.tell(marks[0])
        async with trio.open_nursery() as nursery:
            for mark in marks[1:MOST_EVENTS]:
                nursery.start_soon(poster.tell, mark)
            await trio.testing.wait_all_tasks_blocked()
            assert calls(fixture) == 1
            nursery.start_soon(poster.tell, marks[MOST_EVENTS])
        assert (calls(fixture), sent(fixture)) == (2, MOST_EVENTS + 1)


async def test_a_mark_that_goes_alone_and_the_first_of_a_failure_do_not_wait() -> None:
    async with open_marked(LONG) as (fixture, poster, marks):
        await poster.tell(marks[0])
        await poster.tell(marks[1], alone=True)
        assert sent(fixture) == 2
        async with trio.open_nursery() as nursery:  # a failure is a mark, too
            nursery.start_soon(poster.tell, failed_event(SHOP, marks[2].body["messageId"], Failure.NO_TO))
            await trio.testing.wait_all_tasks_blocked()
            assert calls(fixture) == 2
            await poster.tell(message(1, "hello"))
        assert fixture.proxy.store.count_messages("failed") == 1


async def test_one_who_is_cancelled_while_its_mark_waits_leaves_none() -> None:
    async with open_marked(LONG) as (fixture, poster, marks):
        await poster.tell(marks[0])
        with trio.move_on_after(0.1):
            await poster.tell(marks[1])
        await poster.tell(message(1, "hello"))
        assert sent(fixture) == 1
        await until(lambda: calls(fixture) == 2)


async def test_one_who_is_cancelled_does_not_leave_the_others_waiting() -> None:
    async with open_marked(marks_apart=0.5) as (fixture, poster, marks):
        await poster.tell(marks[0])
        async with trio.open_nursery() as nursery:
            first = trio.CancelScope()
            nursery.start_soon(_tell_within, poster, marks[1], first)
            await trio.testing.wait_all_tasks_blocked()
            for mark in marks[2:5]:
                nursery.start_soon(poster.tell, mark)
            await trio.testing.wait_all_tasks_blocked()
            first.cancel()
        assert (calls(fixture), sent(fixture)) == (2, 4)


async def _tell_within(poster: EventPoster, mark: Event, scope: trio.CancelScope) -> None:
    with scope:
        await poster.tell(mark)


async def test_in_version_1_no_mark_waits() -> None:
    async with open_marked(LONG) as (fixture, poster, marks):
        fixture.edge.version.is_one()
        for mark in marks[:3]:
            await poster.tell(mark)
        assert sent(fixture) == 3
        assert calls(fixture, "mark-sent") == 3
