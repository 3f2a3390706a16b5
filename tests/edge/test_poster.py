"""Events on their way to the proxy: what goes in one call, what becomes of each, and what a cancelled one leaves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio
import trio.testing

from tests.proxy_fixture import PATIENCE, SHOP, ProxyFixture, open_proxy_fixture, until
from wa_worker.dev.proxy import Fault
from wa_worker.edge.events import Event, Outcome, inbound_event, status_event
from wa_worker.edge.poster import MOST_BYTES, MOST_EVENTS, SINGLE_AT_ONCE
from wa_worker.errors import EdgeError, EdgeRejected, EdgeUnavailable
from wa_worker.messages import ChatType, InboundMessage
from wa_worker.models import Jid, ProxyStatus, Status, WaMessageId

ME = Jid("5511999990001@s.whatsapp.net")
AT_ONCE = 4


def message(chat: int, body: str) -> Event:
    jid = Jid(f"55119888{chat:05}@s.whatsapp.net")
    return inbound_event(
        SHOP,
        InboundMessage(WaMessageId(body[:60]), jid, ChatType.DIRECT, ME, jid, None, None, body, "text", 1_790_000_000),
    )


@asynccontextmanager
async def open_two() -> AsyncIterator[ProxyFixture]:
    """A proxy of version 2 that is known to be one."""
    async with open_proxy_fixture(SHOP, contract=2) as fixture:
        fixture.edge.version.is_two()
        yield fixture


def calls(fixture: ProxyFixture, endpoint: str = "events") -> int:
    return fixture.proxy.store.requests[endpoint]


def bodies(fixture: ProxyFixture) -> list[str]:
    return [row.body for row in fixture.proxy.store.inbound()]


async def post_all(fixture: ProxyFixture, *groups: list[Event], alone: bool = False) -> list[list[Outcome]]:
    """Each group is told by a task of its own, all in the same moment."""
    outcomes: list[list[Outcome]] = [[] for _ in groups]

    async def tell(place: int) -> None:
        outcomes[place] = await fixture.edge.poster.post(groups[place], alone=alone)

    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            for place in range(len(groups)):
                nursery.start_soon(tell, place)
    return outcomes


async def test_what_is_told_in_the_same_moment_is_one_call() -> None:
    async with open_two() as fixture:
        outcomes = await post_all(fixture, *([message(n, f"{n}.{k}") for k in range(3)] for n in range(20)))
        assert calls(fixture) == 1
        assert outcomes == [[Outcome()] * 3] * 20
        assert sorted(bodies(fixture)) == sorted(f"{n}.{k}" for n in range(20) for k in range(3))


async def test_a_single_event_does_not_wait() -> None:
    async with open_two() as fixture:
        fixture.proxy.faults.set("events", Fault(delay=5.0, times=1))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fixture.edge.poster.tell, message(1, "slow"))
            await until(lambda: calls(fixture) == 1)
            with trio.fail_after(2):
                await fixture.edge.poster.tell(message(2, "quick"))
            nursery.cancel_scope.cancel()


async def tell_more_than_fit(fixture: ProxyFixture) -> None:
    async with trio.open_nursery() as nursery:
        for n in range(AT_ONCE):
            nursery.start_soon(fixture.edge.poster.tell, message(n, f"first {n}"))
            await until(lambda n=n: calls(fixture) == n + 1)  # type: ignore[misc]
        for n in range(30):
            nursery.start_soon(fixture.edge.poster.tell, message(50 + n, f"next {n}"))
        await trio.sleep(0.05)
        assert calls(fixture) == AT_ONCE


async def test_what_comes_meanwhile_is_the_next_call_and_few_are_under_way() -> None:
    async with open_two() as fixture:
        fixture.proxy.faults.set("events", Fault(delay=0.3))
        with trio.fail_after(PATIENCE):
            await tell_more_than_fit(fixture)
        assert calls(fixture) == AT_ONCE + 1
        assert len(bodies(fixture)) == AT_ONCE + 30


async def test_a_call_holds_so_many_events() -> None:
    async with open_two() as fixture:
        await post_all(fixture, *([message(n, str(n))] for n in range(MOST_EVENTS + 1)))
        assert calls(fixture) == 2
        outcomes = await fixture.edge.poster.post([message(1, f"more {n}") for n in range(MOST_EVENTS + 5)])
        assert len(outcomes) == MOST_EVENTS, "the first ones, in their order"


async def test_a_call_holds_so_many_bytes() -> None:
    async with open_two() as fixture:
        large = MOST_BYTES // 5
        await post_all(fixture, *([message(n, f"{n}" + "x" * large)] for n in range(6)))
        assert calls(fixture) == 2
        outcomes = await fixture.edge.poster.post([message(9, f"{n}" + "y" * large) for n in range(6)])
        assert len(outcomes) == 4
        (outcome,) = await fixture.edge.poster.post([message(10, "z" * (MOST_BYTES + 10))])
        assert outcome == Outcome(), "one that is larger goes by itself"


async def test_each_event_is_judged_as_its_call_of_version_1_is() -> None:
    async with open_two() as fixture:
        fixture.proxy.faults.set("events", Fault(refuse=422, only='"refused"'))
        refused, taken = await post_all(
            fixture, [message(1, "refused"), message(1, "behind it")], [message(2, "another")]
        )
        assert [type(outcome.error) for outcome in refused] == [EdgeRejected, EdgeUnavailable]
        assert refused[0].error is not None
        assert (refused[0].error.endpoint, refused[0].error.status) == ("inbound", 422)
        assert taken == [Outcome()]
        assert bodies(fixture) == ["another"]
        evidence = fixture.edge.evidence
        assert evidence.of_others_since("inbound", message(1, "refused").key, 0.0), "another was accepted"


@pytest.mark.parametrize("results", [-1, 1, -2])
async def test_of_an_answer_with_too_few_or_too_many_results_nothing_counts(results: int) -> None:
    async with open_two() as fixture:
        fixture.proxy.faults.set("events", Fault(results=results))
        (outcomes,) = await post_all(fixture, [message(1, "a"), message(1, "b")])
        assert [type(outcome.error) for outcome in outcomes] == [EdgeUnavailable] * 2
        assert "2 events: none of them counts" in str(outcomes[0].error)
        assert not fixture.edge.evidence.since("inbound", 0.0)


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_a_refusal_of_a_whole_call_is_no_word_about_its_events(status: int) -> None:
    async with open_two() as fixture:
        fixture.proxy.faults.set("events", Fault(status=status))
        outcomes = await post_all(fixture, [message(1, "a")], [message(2, "b")])
        assert {type(outcome.error) for (outcome,) in outcomes} == {EdgeUnavailable}
        ((alone,),) = await post_all(fixture, [message(1, "a")])
        assert isinstance(alone.error, EdgeRejected), "but of one that is alone in it"


async def test_who_asks_for_it_has_a_call_of_his_own() -> None:
    async with open_two() as fixture:
        fixture.proxy.faults.set("events", Fault(status=500, only='"poison"'))
        for number in range(6):  # who comes first is chance
            async with trio.open_nursery() as nursery:
                nursery.start_soon(partial(fixture.edge.poster.post, [message(1, "poison")], alone=True))
                nursery.start_soon(fixture.edge.poster.tell, message(2, f"another {number}"))
        fixture.proxy.faults.clear()
        fixture.proxy.store.requests["events"] = 0
        await post_all(fixture, *([message(n, str(n))] for n in range(6)), alone=True)
        assert calls(fixture) == 6


@pytest.mark.parametrize("status", [404, 405, 501])
async def test_without_the_call_events_go_by_version_1_at_once(status: int) -> None:
    async with open_two() as fixture:
        fixture.proxy.faults.set("events", Fault(status=status))
        outcomes = await post_all(fixture, [message(1, "a"), message(1, "b")], [message(2, "c")])
        assert all(outcome.error is None for group in outcomes for outcome in group)
        assert calls(fixture, "inbound") == 3
        assert [body for body in bodies(fixture) if body in "ab"] == ["a", "b"]
        assert not fixture.edge.poster.batches
        await fixture.edge.poster.tell(message(3, "d"))
        assert calls(fixture) == 1, "it is not asked each time"


async def test_by_version_1_too_what_follows_a_failure_stays_behind_it() -> None:
    async with open_two() as fixture:
        fixture.proxy.faults.set("events", Fault(status=404))
        fixture.proxy.faults.set("inbound", Fault(status=503, only='"a"'))
        ((first, second),) = await post_all(fixture, [message(1, "a"), message(1, "b")])
        assert isinstance(first.error, EdgeUnavailable)
        assert second.error is first.error
        assert bodies(fixture) == []


async def test_in_version_1_an_event_is_a_call() -> None:
    async with open_proxy_fixture(SHOP, contract=1) as fixture:
        outcomes = await fixture.edge.poster.post([message(1, "a"), message(1, "b")])
        assert len(outcomes) == 1
        assert outcomes[0].error is None
        assert outcomes[0].answer is not None, "anything might have answered so"
        assert bodies(fixture) == ["a"]


async def tell_within(fixture: ProxyFixture, event: Event, scope: trio.CancelScope, ended: trio.Event) -> None:
    with scope:
        await fixture.edge.poster.tell(event)
    ended.set()


async def test_of_what_was_meant_for_batches_few_are_under_way_in_version_1() -> None:
    """A proxy that goes back while hundreds of chats have something: it is not called for all of them at once."""
    async with open_two() as fixture:
        fixture.edge.version.is_one()
        fixture.proxy.faults.set("inbound", Fault(hang=True))
        async with trio.open_nursery() as nursery:
            for n in range(100):
                nursery.start_soon(fixture.edge.poster.tell, message(n, f"m{n}"))
            await until(lambda: calls(fixture, "inbound") == SINGLE_AT_ONCE)
            with trio.fail_after(2):  # statuses do not wait for them
                await fixture.edge.poster.tell(status_event(SHOP, Status(ProxyStatus.DISCONNECTED)))
            assert calls(fixture, "inbound") == SINGLE_AT_ONCE
            fixture.proxy.faults.clear()
            fixture.proxy.close_connections()
            nursery.cancel_scope.cancel()


async def test_who_is_cancelled_takes_nobody_elses_event_along() -> None:
    async with open_two() as fixture, trio.open_nursery() as nursery:
        fixture.proxy.faults.set("events", Fault(hang=True, times=1))
        leader, ended = trio.CancelScope(), trio.Event()
        nursery.start_soon(tell_within, fixture, message(1, "given up"), leader, ended)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(fixture.edge.poster.tell, message(2, "told all the same"))
        await until(lambda: calls(fixture) == 1)
        leader.cancel()
        await until(lambda: "told all the same" in bodies(fixture))


async def test_what_nobody_waits_for_any_more_is_not_told() -> None:
    async with open_two() as fixture:
        fixture.proxy.faults.set("events", Fault(hang=True, times=AT_ONCE))
        async with trio.open_nursery() as nursery:
            for n in range(AT_ONCE):
                nursery.start_soon(fixture.edge.poster.tell, message(n, f"busy {n}"))
                await until(lambda n=n: calls(fixture) == n + 1)  # type: ignore[misc]
            with trio.move_on_after(0.2):
                await fixture.edge.poster.tell(status_event(SHOP, Status(ProxyStatus.CONNECTED)))
            nursery.cancel_scope.cancel()
        await fixture.edge.poster.tell(message(9, "the last"))
        assert fixture.proxy.store.statuses(SHOP) == []


async def test_what_is_told_in_the_moment_of_a_cancel_is_not_left_for_others_to_tell() -> None:
    """Else an old status is told after the last one, by whoever makes the next call."""
    async with open_two() as fixture:
        with trio.CancelScope() as scope:
            scope.cancel()
            await fixture.edge.poster.tell(message(1, "left"))
        assert scope.cancelled_caught
        with trio.fail_after(PATIENCE):
            await fixture.edge.poster.tell(message(2, "told"))
        assert bodies(fixture) == ["told"]


async def test_what_was_under_way_for_one_who_is_cancelled_is_not_overtaken() -> None:
    async with open_two() as fixture:
        for number in range(8):  # which of the tasks makes the call is chance
            before = calls(fixture)
            fixture.proxy.faults.set("events", Fault(delay=0.3, times=1))
            cancelled, ended = trio.CancelScope(), trio.Event()
            told = status_event(SHOP, Status(ProxyStatus.CONNECTED))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(fixture.edge.poster.tell, message(number, f"{number}"))
                nursery.start_soon(tell_within, fixture, told, cancelled, ended)
                await until(lambda before=before: calls(fixture) > before)  # type: ignore[misc]
                cancelled.cancel()
                await ended.wait()
                await fixture.edge.poster.tell(status_event(SHOP, Status(ProxyStatus.DISCONNECTED)))
            assert fixture.proxy.store.statuses(SHOP)[-1].status == "DISCONNECTED"


async def test_who_is_cancelled_before_the_call_leaves_nothing_that_is_told_later() -> None:
    async with open_two() as fixture:
        with trio.CancelScope() as scope:
            scope.cancel()
            await fixture.edge.poster.tell(message(1, "given up"))
        await fixture.edge.poster.tell(message(2, "the next"))
        assert bodies(fixture) == ["the next"]


async def test_who_is_cancelled_in_calls_of_version_1_leaves_nothing_that_is_told_later() -> None:
    async with open_two() as fixture, trio.open_nursery() as nursery:
        fixture.proxy.faults.set("events", Fault(status=404, times=1))
        fixture.proxy.faults.set("inbound", Fault(hang=True, times=1))
        scope, ended = trio.CancelScope(), trio.Event()
        nursery.start_soon(tell_within, fixture, message(1, "given up"), scope, ended)
        await until(lambda: calls(fixture, "inbound") == 1)
        scope.cancel()
        await ended.wait()
        fixture.edge.version.proxy_is_back()
        await fixture.edge.poster.tell(message(2, "the next"))
        assert bodies(fixture) == ["the next"]


async def test_what_was_given_up_during_a_call_is_not_told_again_when_that_call_is_cut() -> None:
    async with open_two() as fixture:
        for number in range(4):  # which of the two makes the call is chance
            before = calls(fixture)
            fixture.proxy.faults.set("events", Fault(hang=True, times=1))
            scopes, ended = [trio.CancelScope(), trio.CancelScope()], [trio.Event(), trio.Event()]
            async with trio.open_nursery() as nursery:
                for n in range(2):
                    nursery.start_soon(tell_within, fixture, message(n, f"given up {number}"), scopes[n], ended[n])
                await until(lambda before=before: calls(fixture) > before)  # type: ignore[misc]
                scopes[0].cancel()
                await ended[0].wait()
                scopes[1].cancel()
            await fixture.edge.poster.tell(message(2, "the next"))
            assert set(bodies(fixture)) == {"the next"}


async def test_nobody_waits_behind_a_call_that_has_only_what_others_tell() -> None:
    async with open_two() as fixture:
        fixture.proxy.faults.set("events", Fault(hang=True, only='"slow'))
        slow = [message(1, f"slow {n}") for n in range(MOST_EVENTS)]
        for number in range(16):  # which task comes first is chance
            async with trio.open_nursery() as nursery:
                ended = trio.Event()
                nursery.start_soon(fixture.edge.poster.post, slow)
                nursery.start_soon(tell_within, fixture, message(2, f"quick {number}"), trio.CancelScope(), ended)
                with trio.fail_after(5):
                    await ended.wait()
                nursery.cancel_scope.cancel()


async def test_what_waits_does_not_ask_again_for_a_call_that_is_not_there() -> None:
    async with open_two() as fixture:
        fixture.proxy.faults.set("events", Fault(status=404, delay=0.3))
        async with trio.open_nursery() as nursery:
            for n in range(AT_ONCE):
                nursery.start_soon(fixture.edge.poster.tell, message(n, f"first {n}"))
                await until(lambda n=n: calls(fixture) == n + 1)  # type: ignore[misc]
            nursery.start_soon(fixture.edge.poster.tell, message(9, "next"))
        assert calls(fixture) == AT_ONCE
        assert len(bodies(fixture)) == AT_ONCE + 1


async def test_an_event_has_the_same_id_in_each_try_but_a_status() -> None:
    assert message(1, "a").id == message(1, "a").id != message(2, "a").id
    status = Status(ProxyStatus.CONNECTED)
    assert status_event(SHOP, status).id != status_event(SHOP, status).id


async def test_an_error_of_the_proxys_is_raised_by_who_tells_one() -> None:
    async with open_two() as fixture:
        fixture.proxy.store.remove_instance(SHOP)
        with pytest.raises(EdgeError, match="answered 404") as caught:
            await fixture.edge.poster.tell(status_event(SHOP, Status(ProxyStatus.CONNECTED)))
        assert (caught.value.endpoint, caught.value.status) == ("update-status", 404)
