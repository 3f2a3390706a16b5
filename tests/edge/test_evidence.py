"""What the proxy has accepted, as a witness against answers that may be somebody else's."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from wa_worker.edge.evidence import LIST, Evidence


async def test_of_others_since(autojump_clock: MockClock) -> None:
    evidence = Evidence()
    assert not evidence.of_others_since("inbound", "a", -1)
    await trio.sleep(1)
    evidence.accepted("inbound", "a")
    assert not evidence.of_others_since("inbound", "a", 0), "it is no witness for itself"
    assert evidence.of_others_since("inbound", "b", 0)
    assert not evidence.of_others_since("mark-sent", "b", 0), "nor for another endpoint"
    await trio.sleep(1)
    moment = trio.current_time()
    evidence.accepted("inbound", "b")
    assert not evidence.of_others_since("inbound", "a", moment), "what was accepted before says nothing"
    await trio.sleep(1)
    evidence.accepted("inbound", "a")
    assert evidence.of_others_since("inbound", "a", 0), "the latest is its own, the one before is another's"


async def test_since(autojump_clock: MockClock) -> None:
    evidence = Evidence()
    assert not evidence.since(LIST, -1)
    await trio.sleep(1)
    evidence.accepted(LIST, "")
    assert evidence.since(LIST, 0)
    assert not evidence.since(LIST, trio.current_time())


async def test_recovery_is_a_good_list_after_one_that_failed(autojump_clock: MockClock) -> None:
    evidence = Evidence()
    recovered = 0

    async def count() -> None:
        nonlocal recovered
        while True:
            await evidence.recovery()
            recovered += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(count)
        await trio.sleep(1)
        evidence.accepted(LIST, "")
        evidence.failed("inbound")
        evidence.accepted("inbound", "a")
        await trio.sleep(1)
        assert recovered == 0
        evidence.failed(LIST)
        evidence.accepted("inbound", "a")
        await trio.sleep(1)
        assert recovered == 0
        for _ in range(2):
            evidence.accepted(LIST, "")
            await trio.sleep(1)
        assert recovered == 1
        nursery.cancel_scope.cancel()


async def test_who_listens_hears_of_each_poll_and_what_is_strange_is_known() -> None:
    heard: list[tuple[float, int | None]] = []
    evidence = Evidence()
    assert not evidence.is_strange(7)
    evidence.on_poll.append(lambda began, strange: heard.append((began, strange)))
    evidence.poll_strange(LIST, 7, 1.0)
    evidence.poll_accepted("queued-messages", "", 2.0)
    assert evidence.is_strange(7)
    assert not evidence.is_strange(8)
    evidence.poll_accepted(LIST, "", 3.0)
    assert not evidence.is_strange(7), "it has answered well since"
    assert heard == [(1.0, 7), (2.0, None), (3.0, None)]
