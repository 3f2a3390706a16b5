"""What `/poll` listed, until the instance takes it."""

from __future__ import annotations

import trio
import trio.testing

from tests.proxy_fixture import SHOP
from wa_worker.delivery.polled import Listed, PolledMessages
from wa_worker.edge.wire import Rows, messages_from
from wa_worker.messages import QueuedMessage
from wa_worker.models import InstanceId

PUB = InstanceId("pub")


def rows(*ids: int) -> Rows[QueuedMessage]:
    return messages_from([{"id": id_, "to": "5511988880002", "body": "oi"} for id_ in ids])


async def take(polled: PolledMessages, instance: InstanceId, taken: list[Listed | None]) -> None:
    taken.append(await polled.take(instance))


async def test_who_waits_is_given_what_is_listed_for_him(nursery: trio.Nursery) -> None:
    polled, taken = PolledMessages(), list[Listed | None]()
    nursery.start_soon(take, polled, SHOP, taken)
    await trio.testing.wait_all_tasks_blocked()
    assert polled.ready == {SHOP}
    assert polled.give({SHOP: rows(1), PUB: rows(2)}, 7.0) == {SHOP}, "nobody waits for the others"
    assert polled.ready == frozenset()
    assert polled.give({SHOP: rows(1)}, 8.0) == frozenset(), "it has some"
    await trio.testing.wait_all_tasks_blocked()
    assert taken == [Listed(rows(1), 7.0)]


async def test_who_begins_to_wait_is_told_of(nursery: trio.Nursery) -> None:
    polled, heard = PolledMessages(), list[tuple[InstanceId, frozenset[InstanceId]]]()
    polled.on_ready.append(lambda instance: heard.append((instance, polled.ready)))
    nursery.start_soon(take, polled, SHOP, [])
    await trio.testing.wait_all_tasks_blocked()
    assert heard == [(SHOP, frozenset({SHOP}))]
    nursery.cancel_scope.cancel()


async def test_one_is_done_when_it_waits_again_or_leaves(nursery: trio.Nursery) -> None:
    polled, taken = PolledMessages(), list[Listed | None]()
    for instance in (SHOP, PUB):
        nursery.start_soon(take, polled, instance, taken)
    await trio.testing.wait_all_tasks_blocked()
    given = polled.give({SHOP: rows(1), PUB: rows(2)}, 0.0)
    done = trio.Event()

    async def wait() -> None:
        await polled.done(given)
        done.set()

    nursery.start_soon(wait)
    await trio.testing.wait_all_tasks_blocked()
    nursery.start_soon(take, polled, SHOP, taken)
    await trio.testing.wait_all_tasks_blocked()
    assert not done.is_set()
    polled.leave(PUB)
    await done.wait()
    polled.end()


async def test_nobody_has_to_be_waited_for_who_was_given_nothing() -> None:
    with trio.fail_after(1):
        await PolledMessages().done([SHOP])


async def test_one_that_is_cancelled_waits_no_more(nursery: trio.Nursery) -> None:
    polled, taken = PolledMessages(), list[Listed | None]()
    with trio.move_on_after(0.05):
        await polled.take(SHOP)
    assert polled.ready == frozenset()
    assert polled.give({SHOP: rows(1)}, 0.0) == frozenset()
    nursery.start_soon(take, polled, SHOP, taken)
    await trio.testing.wait_all_tasks_blocked()
    assert polled.give({SHOP: rows(1)}, 0.0) == {SHOP}


async def test_one_that_ends_late_does_not_take_the_place_of_the_next(nursery: trio.Nursery) -> None:
    polled, taken = PolledMessages(), list[Listed | None]()
    async with trio.open_nursery() as first:
        first.start_soon(take, polled, SHOP, [])
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(take, polled, SHOP, taken)
        await trio.testing.wait_all_tasks_blocked()
        first.cancel_scope.cancel()
    assert polled.ready == {SHOP}
    polled.give({SHOP: rows(1)}, 0.0)
    await trio.testing.wait_all_tasks_blocked()
    assert taken == [Listed(rows(1), 0.0)]


async def test_with_version_1_all_who_wait_are_sent_away(nursery: trio.Nursery) -> None:
    polled, taken = PolledMessages(), list[Listed | None]()
    for instance in (SHOP, PUB):
        nursery.start_soon(take, polled, instance, taken)
    await trio.testing.wait_all_tasks_blocked()
    polled.end()
    await trio.testing.wait_all_tasks_blocked()
    assert taken == [None, None]
    assert polled.ready == frozenset()
