"""The door from one state to another: who is told of a move, and what becomes of the pauses."""

from __future__ import annotations

from collections.abc import AsyncIterator

import attrs
import pytest
import trio
from structlog.testing import capture_logs
from trio.testing import wait_all_tasks_blocked

from tests.proxy_fixture import PATIENCE, SHOP, open_proxy_fixture
from tests.test_metrics import scrape
from wa_worker.edge.client import open_edge_client
from wa_worker.instances.registry import Registry
from wa_worker.instances.state import InstanceState
from wa_worker.instances.status import StatusPublisher
from wa_worker.metrics import Metrics
from wa_worker.models import Secret
from wa_worker.states import PROVEN, QUICK, TABLE, Event, IllegalMove, State

WAY = {
    State.RETRYING: (),
    State.PAIRING: (Event.UNPAIRED,),
    State.OPENING: (Event.PAIRED,),
    State.CONNECTED: (Event.PAIRED, Event.CONNECTED),
    State.RECONNECTING: (Event.PAIRED, Event.CONNECTED, Event.DISCONNECTED),
    State.LOGGED_OUT: (Event.PAIRED, Event.LOGGED_OUT),
    State.HELD: (Event.PAIRED, Event.REPLACED),
}
"""The events that lead to each state from the first."""


@attrs.frozen
class Under:
    """A state under test, and those who are told of its moves."""

    state: InstanceState
    registry: Registry
    metrics: Metrics

    def go(self, *events: Event) -> None:
        for event in events:
            self.state.apply(event)


@pytest.fixture
async def under() -> AsyncIterator[Under]:
    """Nobody runs the publisher: the proxy is not there."""
    registry, metrics = Registry(), Metrics()
    async with open_edge_client("http://127.0.0.1:1", Secret("s"), longest_poll=1, metrics=metrics) as edge:
        yield Under(InstanceState(SHOP, StatusPublisher(SHOP, edge), registry, metrics), registry, metrics)


def named(value: object) -> str:
    return value.name if isinstance(value, State | Event) else repr(value)


@pytest.mark.parametrize(("before", "event"), list(TABLE), ids=named)
async def test_a_move_is_known_to_everybody(
    under: Under, before: State, event: Event, autojump_clock: trio.abc.Clock
) -> None:
    under.go(*WAY[before])
    counted = scrape(under.metrics)
    await trio.sleep(7)
    code = "data:x" if event is Event.QR else None
    move = under.state.apply(event, "the detail", qr_code=code)

    assert move == TABLE[before, event]
    assert under.state.current is move.to
    snapshot = under.registry.all()[SHOP]
    assert (snapshot.state, snapshot.because, snapshot.detail) == (move.to, event, "the detail")
    assert not under.state.publisher.settled, "the proxy is to hear of it"
    changed = f"wa_worker_state_changes_total{{because={event.name.lower()},to={move.to.name.lower()}}}"
    now = scrape(under.metrics)
    assert now.get(changed, 0) - counted.get(changed, 0) == (move.to is not before)
    fresh = move.to is not before or event is Event.QR
    assert trio.current_time() - under.state.entered == (0 if fresh else 7)


@pytest.mark.parametrize("before", list(State), ids=named)
async def test_a_move_that_is_none_changes_nothing(under: Under, before: State) -> None:
    under.go(*WAY[before])
    snapshot = under.registry.all().get(SHOP)
    for event in Event:
        if (before, event) not in TABLE:
            with pytest.raises(IllegalMove):
                under.state.apply(event)
            assert under.state.current is before
            assert under.registry.all().get(SHOP) == snapshot


STATUSES = [
    (State.PAIRING, "CONNECTING"),
    (State.OPENING, "CONNECTING"),
    (State.CONNECTED, "CONNECTED"),
    (State.RECONNECTING, "CONNECTING"),
    (State.LOGGED_OUT, "DISCONNECTED"),
    (State.HELD, "DISCONNECTED"),
]


@pytest.mark.parametrize(("state", "status"), STATUSES, ids=named)
async def test_the_status_that_the_proxy_hears(state: State, status: str, nursery: trio.Nursery) -> None:
    async with open_proxy_fixture(SHOP) as fixture:
        publisher = StatusPublisher(SHOP, fixture.edge)
        under = Under(InstanceState(SHOP, publisher, Registry(), fixture.metrics), Registry(), fixture.metrics)
        under.go(*WAY[state])
        nursery.start_soon(publisher.run)
        with trio.fail_after(PATIENCE):
            await publisher.wait_settled()
        assert [change.status for change in fixture.proxy.store.statuses(SHOP)] == [status]
        nursery.cancel_scope.cancel()


async def test_who_waits_for_connected_waits_for_as_long_as_it_is_not(under: Under, nursery: trio.Nursery) -> None:
    woken = 0

    async def wait() -> None:
        nonlocal woken
        await under.state.wait_connected()
        woken += 1

    nursery.start_soon(wait)
    under.go(Event.PAIRED)
    await wait_all_tasks_blocked()
    assert woken == 0
    under.go(Event.CONNECTED, Event.DISCONNECTED)
    await wait_all_tasks_blocked()
    assert woken == 0, "it was gone again before its turn"
    under.go(Event.CONNECTED)
    await wait_all_tasks_blocked()
    assert woken == 1
    under.go(Event.CONNECTED)
    with trio.fail_after(10):
        await under.state.wait_connected()


async def test_pauses_grow_until_success_is_proven(under: Under, autojump_clock: trio.abc.Clock) -> None:
    def pause() -> float:
        move = under.state.apply(Event.OPEN_FAILED)
        assert move.pause is QUICK
        return under.state.pause(move)

    under.go(Event.PAIRED)
    for whole in (1, 2, 4, 8):
        assert whole / 2 <= pause() <= whole
    under.go(Event.PAIRED, Event.CONNECTED)
    await trio.sleep(PROVEN - 1)
    under.go(Event.DISCONNECTED)
    assert not under.state.proven
    assert 8 <= pause() <= 16, "an attempt that worked for a moment is none"
    under.go(Event.PAIRED, Event.CONNECTED)
    await trio.sleep(PROVEN - 1)
    under.go(Event.CONNECTED)  # WhatsApp says so again: the time goes on
    await trio.sleep(1)
    under.go(Event.DISCONNECTED)
    assert under.state.proven
    assert 0.5 <= pause() <= 1


async def test_each_policy_grows_by_itself(under: Under, autojump_clock: trio.abc.Clock) -> None:
    def pause(event: Event) -> float:
        under.go(Event.PAIRED)
        return under.state.pause(under.state.apply(event))

    assert 0.5 <= pause(Event.OPEN_FAILED) <= 1
    assert 0.1 <= pause(Event.LOOP_ENDED) <= 0.2
    assert 1 <= pause(Event.OPEN_FAILED) <= 2
    under.state.pauses.reset()
    assert 0.5 <= pause(Event.OPEN_FAILED) <= 1
    assert 0.1 <= pause(Event.LOOP_ENDED) <= 0.2


async def test_what_a_person_should_know_is_a_warning(under: Under) -> None:
    under.go(Event.PAIRED)
    with capture_logs() as lines:
        under.state.apply(Event.REPLACED, "conflict")
    (line,) = lines
    assert (line["log_level"], line["instance"], line["state"], line["reason"]) == (
        "warning",
        SHOP,
        "held",
        "conflict",
    )


async def test_the_log_says_each_move_once_and_nothing_of_a_code(under: Under) -> None:
    with capture_logs() as lines:
        under.go(Event.UNPAIRED)
        under.state.apply(Event.QR, qr_code="data:secret")
        under.state.apply(Event.QR, qr_code="data:secret")
        under.go(Event.CRASHED)  # whoever caught it says so
    assert [line["event"] for line in lines] == ["pairing"]


async def test_the_start_has_had_its_turn(under: Under, autojump_clock: trio.abc.Clock) -> None:
    under.go(Event.PAIRED)
    await trio.sleep(30)
    under.state.started()
    assert under.state.entered == trio.current_time()
