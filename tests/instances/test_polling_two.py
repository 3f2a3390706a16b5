"""Polling in version 2 of the contract: how long an answer may be held, what ends it, and back to version 1."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from functools import partial

import pytest
import trio
import trio.testing
from structlog.testing import capture_logs
from trio.abc import Clock
from trio.testing import MockClock

from tests.instances.polls import PollingBed, open_polling
from tests.proxy_fixture import SHOP, until
from wa_worker.delivery.polled import Listed
from wa_worker.dev.proxy import Fault
from wa_worker.instances.discovery import Running
from wa_worker.instances.polling import CUT_AFTER, CUTS, GO_BACK_AFTER, MARKS_WAIT, WAIT
from wa_worker.messages import Text
from wa_worker.models import InstanceId, ProxyStatus

PUB = InstanceId("pub")
CONNECTED = Running(connected=True, announced=True, status=ProxyStatus.CONNECTED)
CONTACT = "5511988880002"


@pytest.fixture
def twenty() -> Clock:
    """A clock on which a second takes 50 ms: what the constants say is waited for, and the network is in time."""
    return MockClock(rate=20.0)


async def settled(bed: PollingBed) -> None:
    """Returns when the second poll, which the proxy holds, is under way."""
    bed.run()
    await bed.held(2)


async def test_the_first_is_answered_at_once_and_the_next_may_be_held() -> None:
    async with open_polling() as bed:
        bed.instances.now[SHOP] = CONNECTED
        await settled(bed)
        await trio.sleep(0.5)
        assert [poll.wait for poll in bed.polls] == [0, WAIT]
        assert {poll.worker for poll in bed.polls} == {bed.polls[0].worker}
        assert bed.polls[0].worker
        assert bed.lists == 0


async def test_after_a_failure_the_next_is_answered_at_once() -> None:
    async with open_polling(hold=0.3) as bed:
        await settled(bed)
        bed.proxy.faults.set("poll", Fault(status=503, times=1))
        await until(lambda: [poll.wait for poll in bed.polls][-2:] == [0, WAIT] and len(bed.polls) > 3)
        assert bed.edge.version.two
        assert bed.lists == 0
        assert len(bed.instances.back) == 1


async def test_what_each_instance_is_asked_as() -> None:
    async with open_polling() as bed:
        ready, busy, pairing = SHOP, InstanceId("busy"), InstanceId("pairing")
        bed.instances.now = {
            ready: CONNECTED,
            busy: CONNECTED,
            pairing: Running(connected=False, announced=True, status=ProxyStatus.CONNECTING),
            PUB: Running(connected=False, announced=True),
        }
        bed.takes(ready, [])
        bed.takes(pairing, [])
        await trio.testing.wait_all_tasks_blocked()
        bed.run()
        asked = await bed.held(1)
        assert asked.states == {ready: "CONNECTED", busy: "SENDING", pairing: "CONNECTING", PUB: "DISCONNECTED"}


async def test_who_asks_and_gets_nothing_is_told_so() -> None:
    async with open_polling() as bed:
        other = InstanceId("other")
        bed.instances.now = {SHOP: CONNECTED, other: CONNECTED, PUB: CONNECTED}
        bed.takes(SHOP, [])
        bed.takes(other, [])
        bed.proxy.store.add_instance(SHOP)
        bed.proxy.store.queue(SHOP, CONTACT, "hello")
        nothing: list[frozenset[InstanceId]] = []
        bed.polled.on_nothing.append(nothing.append)
        await trio.testing.wait_all_tasks_blocked()
        bed.run()
        await bed.held(2)
        assert nothing[0] == {other}


async def test_an_id_that_is_refused_is_asked_for_too() -> None:
    async with open_polling() as bed:
        bed.proxy.store.add_instance("ção")
        bed.run()
        assert (await bed.held(2)).states == {"ção": "DISCONNECTED"}


async def test_after_an_answer_that_was_held_it_asks_again_at_once() -> None:
    async with open_polling(hold=0.5) as bed:
        bed.run(pace=0.4)
        await bed.held(5)
        gaps = [later.at - earlier.at for earlier, later in zip(bed.polls[1:], bed.polls[2:], strict=False)]
        assert max(gaps) < 0.85, "what the answer was held for, and no pause"


async def test_a_proxy_that_holds_no_answers_is_asked_by_the_pace() -> None:
    async with open_polling(hold=0) as bed:
        bed.run(pace=0.4)
        await bed.held(5)
        gaps = [later.at - earlier.at for earlier, later in zip(bed.polls[1:], bed.polls[2:], strict=False)]
        assert min(gaps) > 0.25


async def test_the_pace_is_cut_short_too() -> None:
    async with open_polling(hold=0) as bed:
        bed.run(pace=60)
        began = (await bed.held(2)).at
        await trio.sleep(0.2)
        bed.instances.now[SHOP] = CONNECTED
        bed.takes(SHOP, [])
        assert CUT_AFTER <= (await bed.held(3)).at - began < 10


async def test_what_becomes_ready_before_an_answer_is_dealt_with_is_asked_for_without_a_pause() -> None:
    async with open_polling(hold=0) as bed:

        async def becomes_ready() -> None:
            if len(bed.polls) == 2:
                bed.instances.now[SHOP] = CONNECTED
                bed.takes(SHOP, [])
                await until(lambda: SHOP in bed.polled.ready)

        bed.instances.on_answer = becomes_ready
        bed.run(pace=60)
        with trio.fail_after(10):
            assert (await bed.held(3)).states == {SHOP: "CONNECTED"}


async def ready(bed: PollingBed) -> None:
    bed.takes(SHOP, [])
    await trio.testing.wait_all_tasks_blocked(0.01)


async def connected(bed: PollingBed) -> None:
    bed.instances.connect(PUB)


async def ended(bed: PollingBed) -> None:
    bed.instances.end(SHOP)


@pytest.mark.parametrize(
    ("happens", "states"),
    [(ready, {SHOP: "CONNECTED"}), (connected, {SHOP: "SENDING", PUB: "SENDING"}), (ended, {})],
)
async def test_a_held_answer_is_not_waited_for_when_there_is_something_new_to_ask(
    happens: Callable[[PollingBed], Awaitable[None]], states: dict[str, str]
) -> None:
    async with open_polling() as bed:
        bed.instances.now[SHOP] = CONNECTED
        await settled(bed)
        await trio.sleep(0.2)
        await happens(bed)
        third = await bed.held(3)
        assert CUT_AFTER <= third.at - bed.polls[1].at < CUT_AFTER + 5
        assert third.states == states


async def test_later_than_that_it_is_cut_at_once() -> None:
    async with open_polling() as bed:
        bed.instances.now[SHOP] = CONNECTED
        await settled(bed)
        await trio.sleep(CUT_AFTER + 0.3)
        began = trio.current_time()
        bed.instances.connect(PUB)
        assert (await bed.held(3)).at - began < 0.5


async def test_it_is_not_cut_for_one_that_it_asks_for() -> None:
    async with open_polling() as bed:
        bed.instances.now[SHOP] = CONNECTED
        bed.takes(SHOP, [])
        await trio.testing.wait_all_tasks_blocked()
        await settled(bed)
        bed.instances.connect(SHOP)
        await trio.sleep(CUT_AFTER + 0.5)
        assert len(bed.polls) == 2


async def test_a_slow_proxy_is_heard_while_instances_connect_one_after_another() -> None:
    async with open_polling() as bed:
        bed.proxy.faults.set("poll", Fault(delay=CUT_AFTER + 0.4))
        await settled(bed)
        bed.proxy.store.add_instance(PUB)

        async def connect() -> None:
            for number in range(200):
                bed.instances.connect(InstanceId(f"i{number}"))
                await trio.sleep(0.1)

        bed.nursery.start_soon(connect)
        with trio.fail_after(10):
            while PUB not in bed.instances.started:  # noqa: ASYNC110 - nothing tells
                await trio.sleep(0.05)
        assert [poll.wait for poll in bed.polls][1 : CUTS + 2] == [WAIT] * CUTS + [0]


async def test_messages_go_to_their_instances_and_the_next_poll_asks_for_all() -> None:
    async with open_polling() as bed:
        bed.instances.now[SHOP] = CONNECTED
        taken: list[Listed | None] = []
        bed.takes(SHOP, taken, times=2)
        await trio.testing.wait_all_tasks_blocked()
        await settled(bed)
        began = trio.current_time()
        bed.proxy.store.queue(SHOP, CONTACT, "oi")
        third = await bed.held(3)
        assert third.states == {SHOP: "CONNECTED"}
        assert third.at - began < MARKS_WAIT
        assert taken[0] is not None
        assert [message.content for message in taken[0].rows.good] == [Text("oi")]


async def test_who_is_at_work_for_longer_is_not_waited_for_and_then_asked_for_again() -> None:
    async with open_polling() as bed:
        bed.instances.now[SHOP] = CONNECTED
        taken: list[Listed | None] = []
        bed.takes(SHOP, taken)
        await trio.testing.wait_all_tasks_blocked()
        await settled(bed)
        bed.proxy.store.queue(SHOP, CONTACT, "oi")
        await until(lambda: taken)
        began = trio.current_time()
        third = await bed.held(3)
        assert MARKS_WAIT * 0.9 <= third.at - began < MARKS_WAIT + 3
        assert third.states == {SHOP: "SENDING"}
        bed.takes(SHOP, taken)
        fourth = await bed.held(4)
        assert fourth.states == {SHOP: "CONNECTED"}
        assert fourth.at - third.at < CUT_AFTER + 3
        assert bed.lists == 0


BACK = [Fault(status=status) for status in (400, 404, 405, 501)] + [Fault(body=b'{"ok": true}'), Fault(body=b"[]")]


@pytest.mark.parametrize("fault", BACK, ids=lambda fault: str(fault.status or fault.body))
async def test_a_proxy_that_goes_back_is_followed_by_the_next_poll(fault: Fault) -> None:
    async with open_polling(hold=0.2) as bed:
        bed.instances.now[SHOP] = CONNECTED
        taken: list[Listed | None] = []
        bed.takes(SHOP, taken)
        await settled(bed)
        bed.proxy.faults.set("poll", fault)
        met = len(bed.polls)
        await until(lambda: bed.lists >= 3)
        assert len(bed.polls) <= met + 1, "one poll has told, and none is made for ten minutes"
        assert not bed.edge.version.two
        assert taken == [None], "who waits asks by himself from now on"
        assert not bed.instances.back, "that is no outage"


OF_THE_MOMENT = [Fault(status=status) for status in (401, 403, 408, 429, 500, 503, 302)] + [
    Fault(body=b"<html>"),
    Fault(status=404, body=b"<html>not here</html>"),
    Fault(cut=True),
    Fault(body=b'{"instances": [', cut=True),
]


@pytest.mark.parametrize("fault", OF_THE_MOMENT, ids=lambda fault: f"{fault.status} {fault.body!r} {fault.cut}")
async def test_what_says_nothing_of_the_version_changes_none(fault: Fault) -> None:
    async with open_polling(hold=0.2) as bed:
        bed.instances.now[SHOP] = CONNECTED
        taken: list[Listed | None] = []
        bed.takes(SHOP, taken)
        await settled(bed)
        bed.proxy.faults.set("poll", fault)
        met = len(bed.polls)
        await until(lambda: len(bed.polls) >= met + 4)
        assert bed.edge.version.two
        assert bed.lists == 0
        assert not taken
        assert not bed.instances.released
        bed.proxy.faults.clear()
        before = trio.current_time()
        await until(lambda: bed.instances.back)
        assert trio.current_time() - before < 3
        assert bed.edge.version.two


async def test_a_proxy_unknown_yet_that_answers_an_error_is_asked_in_version_1_meanwhile() -> None:
    async with open_polling() as bed:
        bed.proxy.faults.set("poll", Fault(status=500))
        bed.run()
        await until(lambda: bed.lists >= 3)
        assert len(bed.polls) == 1
        assert not bed.edge.version.two
        bed.proxy.faults.clear()
        await until(lambda: bed.edge.version.two)
        lists = bed.lists
        await bed.held(3)
        assert bed.lists == lists


async def test_after_an_outage_version_2_is_tried_at_once() -> None:
    async with open_polling() as bed:
        bed.proxy.contract = 1
        bed.run()
        await until(lambda: bed.lists >= 2)
        bed.proxy.faults.set("*", Fault(status=503))
        lists = bed.lists
        await until(lambda: bed.lists >= lists + 2)
        bed.proxy.contract = 2
        bed.proxy.faults.clear()
        await until(lambda: bed.edge.version.two)


async def sooner_or_later(holds: Callable[[], object]) -> None:
    """As `until()`, on a clock that is fast."""
    with trio.fail_after(20 * GO_BACK_AFTER):
        while not holds():  # noqa: ASYNC110 - nothing tells
            await trio.sleep(0.1)


async def test_in_a_long_outage_version_1_is_asked_too(twenty: Clock) -> None:
    async with open_polling() as bed:
        bed.instances.now[SHOP] = CONNECTED
        taken: list[Listed | None] = []
        bed.takes(SHOP, taken)
        bed.run(interval=2.0)
        await sooner_or_later(lambda: len(bed.polls) == 2)
        bed.proxy.faults.set("poll", Fault(status=503))
        bed.instances.connect(PUB)  # ends the poll that is held
        await sooner_or_later(lambda: len(bed.polls) >= 3)
        outage = trio.current_time()
        await sooner_or_later(lambda: bed.lists)
        assert trio.current_time() - outage >= GO_BACK_AFTER - 5
        await sooner_or_later(lambda: not bed.edge.version.two)
        assert taken == [None]
        bed.proxy.faults.clear()
        await sooner_or_later(lambda: bed.edge.version.two)


async def test_a_poll_waits_as_long_as_it_is_asked_to() -> None:
    async with open_polling(hold=0.2) as bed:
        await settled(bed)
        bed.proxy.faults.set("poll", Fault(status=503, headers={"Retry-After": "2"}, times=1))
        await until(lambda: bed.proxy.faults.in_force() == {})
        asked = len(bed.polls)
        await trio.sleep(1.5)
        assert len(bed.polls) == asked
        await bed.held(asked + 1)


async def test_a_row_of_no_instance_is_logged_and_holds_up_no_other() -> None:
    async with open_polling(hold=0.2) as bed:
        bed.instances.now[SHOP] = CONNECTED
        rows = [1, {"id": 1}, {"instanceId": "../x", "id": 2}, {"instanceId": "shop", "id": 3, "to": "1", "body": "oi"}]
        answer = json.dumps({"instances": [], "messages": rows}).encode()
        taken: list[Listed | None] = []
        bed.takes(SHOP, taken)
        await trio.testing.wait_all_tasks_blocked()
        bed.proxy.faults.set("poll", Fault(body=answer, times=1))
        with capture_logs() as lines:
            bed.run()
            await until(lambda: taken)
        assert taken[0] is not None
        assert [message.id for message in taken[0].rows.good] == [3]
        assert len([line for line in lines if line["event"] == "a queued row is not a message"]) == 3


async def test_what_is_listed_for_others_makes_no_more_polls_than_the_pace() -> None:
    async with open_polling() as bed:
        answer = json.dumps({"instances": [], "messages": [{"instanceId": "of another", "id": 3}] * 3}).encode()
        bed.proxy.faults.set("poll", Fault(body=answer))
        bed.run(pace=0.4)
        await trio.sleep(2)
        assert len(bed.polls) <= 8


async def test_the_end_of_polling_ends_the_call_that_is_held() -> None:
    async with open_polling() as bed:
        await settled(bed)
        assert bed.proxy.connections_open == 1
        bed.nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await until(partial(lambda proxy: proxy.connections_open == 0, bed.proxy))
