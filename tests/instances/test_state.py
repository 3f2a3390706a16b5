"""The door from one state to another: who is told of a move, and what becomes of the pauses."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import attrs
import pytest
import trio
from structlog.testing import capture_logs
from trio.testing import wait_all_tasks_blocked

from tests.proxy_fixture import PATIENCE, SHOP, open_proxy_fixture
from tests.test_metrics import scrape
from wa_worker.edge.client import open_edge_client
from wa_worker.instances.registry import Registry
from wa_worker.instances.state import RESTRICTION, InstanceState
from wa_worker.instances.status import StatusPublisher
from wa_worker.journal import Hold
from wa_worker.metrics import Metrics
from wa_worker.models import Account, Jid, ProxyStatus, Reason, Secret, Status
from wa_worker.states import CONDITIONS, PROVEN, QUICK, RESTRICTED, TABLE, Event, IllegalMove, State, why

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


class Publisher(StatusPublisher):
    """One that keeps what it was given to post. Nobody runs it."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.announced: list[Status] = []

    def announce(self, status: Status) -> None:
        self.announced.append(status)
        super().announce(status)


@attrs.frozen
class Under:
    """A state under test, and those who are told of its moves."""

    state: InstanceState
    registry: Registry
    metrics: Metrics
    publisher: Publisher

    def said(self) -> Status:
        """What the publisher has to post."""
        return self.publisher.announced[-1]

    def go(self, *events: Event) -> None:
        for event in events:
            self.state.apply(event)


@pytest.fixture
async def under() -> AsyncIterator[Under]:
    """Nobody runs the publisher: the proxy is not there."""
    registry, metrics = Registry(), Metrics()
    async with open_edge_client("http://127.0.0.1:1", Secret("s"), longest_poll=1, metrics=metrics) as edge:
        publisher = Publisher(SHOP, edge)
        yield Under(InstanceState(SHOP, publisher, registry, metrics), registry, metrics, publisher)


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
        publisher, registry = Publisher(SHOP, fixture.edge), Registry()
        under = Under(InstanceState(SHOP, publisher, registry, fixture.metrics), registry, fixture.metrics, publisher)
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


ACCOUNT = Account(Jid("5511999990001@s.whatsapp.net"), "Padaria")


@pytest.mark.parametrize(("before", "event"), list(TABLE), ids=named)
async def test_each_move_is_announced_once_with_its_reason_and_its_end(
    under: Under, before: State, event: Event, autojump_clock: trio.abc.Clock
) -> None:
    under.go(*WAY[before])
    under.publisher.announced.clear()
    started = time.time()
    move = under.state.apply(event, "BANNED", lasts=50.0 if event in (Event.BANNED, Event.STILL_HELD) else None)

    if event is Event.STORE_LOST:
        assert under.publisher.announced == [], "another worker speaks of the instance"
        return
    (status,) = under.publisher.announced
    assert status.status is CONDITIONS[move.to].status
    restricted = (move.to, event) == (State.CONNECTED, Event.RESTRICTED)
    assert status.why == why(move.to, event, "BANNED")
    assert status.since <= time.time()
    assert (status.until is None) == (move.pause is None and not restricted)
    snapshot = under.registry.all()[SHOP]
    assert snapshot.reason is status.why.reason
    assert snapshot.until == status.until
    if status.until is not None:
        away = RESTRICTION if restricted else under.state.away_until - trio.current_time()
        assert started + away <= status.until <= time.time() + away + 1, "a whole second, and not before it is over"
    else:
        assert under.state.away_until < trio.current_time()


async def test_since_is_that_of_the_reason(under: Under) -> None:
    def since(event: Event, code: str | None = None) -> int:
        under.state.apply(event, qr_code=code)
        return under.said().since

    under.state.apply(Event.UNPAIRED)
    early = attrs.evolve(under.said(), since=1000)
    under.state._status = early
    assert since(Event.QUEUED) == 1000, "another event, the same reason"
    first = since(Event.QR, "data:a")
    assert first >= int(time.time()) - 1
    under.state._status = attrs.evolve(under.said(), since=2000)
    assert since(Event.QR, "data:b") == 2000, "a new code is no new reason"
    assert since(Event.PAIRED) > 2000


async def test_a_hold_of_before_the_start_is_since_then(under: Under) -> None:
    written = time.time() - 500
    under.state.pauses.held = Hold("BANNED", written + 900, 1, written)
    under.state.apply(Event.STILL_HELD, "BANNED", lasts=400.0)
    assert (under.said().why.reason, under.said().since) == (Reason.BANNED, int(written))


async def test_but_never_since_a_moment_to_come(under: Under) -> None:
    """The clock was ahead when it was written."""
    written = time.time() + 5000
    under.state.pauses.held = Hold("BANNED", written + 900, 1, written)
    under.state.apply(Event.STILL_HELD, "BANNED", lasts=400.0)
    assert under.said().since <= time.time()


async def test_whose_session_it_is_goes_with_each_status(under: Under) -> None:
    assert under.state.account is None
    under.go(Event.PAIRED)
    assert under.said().account is None
    under.state.account = ACCOUNT
    for event in (Event.CONNECTED, Event.DISCONNECTED, Event.CONNECTED, Event.LOGGED_OUT):
        under.go(event)
        assert under.said().account == ACCOUNT


async def test_an_end_that_has_passed_is_taken_back(under: Under, autojump_clock: trio.abc.Clock) -> None:
    under.state.end_unknown()  # nothing was said yet
    under.go(Event.PAIRED, Event.OPEN_FAILED)
    before = under.said()
    assert before.until is not None
    await trio.sleep(2)
    under.state.end_unknown()
    assert under.said() == attrs.evolve(before, until=None)
    assert under.registry.all()[SHOP].until is None
    assert under.registry.all()[SHOP].reason is Reason.RETRYING


async def test_a_restriction_outlasts_a_broken_line_and_no_more(under: Under, autojump_clock: trio.abc.Clock) -> None:
    under.go(Event.PAIRED, Event.CONNECTED)
    assert under.said().why.reason is Reason.CONNECTED
    under.go(Event.RESTRICTED)
    first = under.said()
    assert (first.status, first.why) == (ProxyStatus.CONNECTED, RESTRICTED)
    assert under.state.restricted
    await trio.sleep(600)
    under.go(Event.DISCONNECTED)
    assert under.said().why.reason is Reason.RECONNECTING
    assert under.said().until is None
    assert not under.state.restricted, "it is not connected"
    under.go(Event.CONNECTED)
    assert under.said().why == RESTRICTED
    assert under.said().until is not None
    await trio.sleep(RESTRICTION - 601)
    under.go(Event.CONNECTED)
    assert under.said().why == RESTRICTED
    await trio.sleep(1)
    under.go(Event.CONNECTED)
    assert under.said().why.reason is Reason.CONNECTED
    assert under.said().until is None


async def test_a_further_refusal_prolongs_it_and_a_message_that_left_ends_it(
    under: Under, autojump_clock: trio.abc.Clock
) -> None:
    under.go(Event.PAIRED, Event.CONNECTED, Event.RESTRICTED)
    since = under.said().since
    await trio.sleep(RESTRICTION - 1)
    under.go(Event.RESTRICTED)
    await trio.sleep(RESTRICTION - 1)
    under.go(Event.CONNECTED)
    assert (under.said().why, under.said().since) == (RESTRICTED, since)
    under.go(Event.UNRESTRICTED)
    assert (under.said().why.reason, under.said().until) == (Reason.CONNECTED, None)


async def test_another_account_is_not_restricted(under: Under) -> None:
    under.go(Event.PAIRED, Event.CONNECTED, Event.RESTRICTED, Event.LOGGED_OUT, Event.UNPAIRED)
    under.go(Event.PAIRED, Event.CONNECTED)
    assert under.said().why.reason is Reason.CONNECTED
