"""P1-P4 through the real process: the cases that every known worker gets wrong."""

from __future__ import annotations

import signal
from collections import Counter

import pytest
import trio

from tests.e2e.world import World
from wa_worker.dev.proxy import Fault, MessageRow, Store

CONTACT = "5511988880002"


def _texts(count: int) -> list[str]:
    return [f"m{n}" for n in range(count)]


def _all_marked(store: Store) -> list[MessageRow]:
    rows = store.messages("shop")
    return rows if all(row.status == "sent" for row in rows) else []


def _none_queued(store: Store) -> list[MessageRow]:
    rows = store.messages("shop")
    return [] if any(row.status == "queued" for row in rows) else rows


async def _more_requests(world: World, endpoint: str, count: int) -> None:
    """Waits until the proxy has got so many more."""
    before = world.proxy.store.requests[endpoint]
    await world.until(lambda s: s.requests[endpoint] >= before + count)


async def test_mark_sent_failing_for_a_while_sends_no_copies(world: World) -> None:
    await world.start_worker()
    await world.pair("shop", "5511999990001")
    contact = world.simulator.contact(CONTACT)
    world.proxy.faults.set("mark-sent", Fault(status=500))
    world.proxy.store.queue_many("shop", [(CONTACT, text) for text in _texts(20)])
    await contact.wait_received(20)
    await _more_requests(world, "queued-messages", 5)  # which list all of them
    world.proxy.faults.clear()
    await world.until(_all_marked)
    assert [m.text for m in contact.received] == _texts(20)


async def test_mark_sent_that_applied_and_answered_500_sends_no_copies(world: World) -> None:
    await world.start_worker()
    await world.pair("shop", "5511999990001")
    contact = world.simulator.contact(CONTACT)
    world.proxy.faults.set("mark-sent", Fault(status=500, after_apply=True, probability=0.7))
    world.proxy.store.queue_many("shop", [(CONTACT, text) for text in _texts(20)])
    await world.until(_all_marked)
    assert [m.text for m in contact.received] == _texts(20)


async def test_kill_9_between_send_and_mark_sends_no_copies(world: World) -> None:
    worker = await world.start_worker()
    await world.pair("shop", "5511999990001")
    contact = world.simulator.contact(CONTACT)
    world.proxy.faults.set("mark-sent", Fault(status=503))
    world.proxy.store.queue_many("shop", [(CONTACT, text) for text in _texts(10)])
    await contact.wait_received(10)
    await _more_requests(world, "mark-sent", 1)
    await worker.stop(signal.SIGKILL)
    worker = await world.start_worker()
    await worker.logged("connected", instance="shop")
    await _more_requests(world, "queued-messages", 5)  # which list what was sent but is not marked
    world.proxy.faults.clear()
    await world.until(_all_marked)
    assert [m.text for m in contact.received] == _texts(10)


async def test_kill_9_in_the_middle_of_a_send_is_one_doubt_at_the_most(world: World) -> None:
    worker = await world.start_worker()
    await world.pair("shop", "5511999990001")
    contact = world.simulator.contact(CONTACT)
    world.simulator.answer_delay = 0.3
    world.proxy.store.queue_many("shop", [(CONTACT, text) for text in _texts(6)])
    await contact.wait_received(3)
    await worker.stop(signal.SIGKILL)
    world.simulator.answer_delay = 0
    worker = await world.start_worker()
    await worker.logged("sends were cut off by the last stop: they may or may not have left", messages=1)
    await world.until(_all_marked)
    texts = [m.text for m in contact.received]
    assert list(dict.fromkeys(texts)) == _texts(6)
    assert len(texts) <= 7


async def test_two_hundred_at_once_with_a_slow_proxy(world: World) -> None:
    await world.start_worker()
    await world.pair("shop", "5511999990001")
    contact = world.simulator.contact(CONTACT)
    world.proxy.faults.set("*", Fault(delay=0.1))
    world.proxy.store.queue_many("shop", [(CONTACT, text) for text in _texts(200)])
    started = trio.current_time()
    await world.until(_all_marked)
    print(f"200 sent and marked in {trio.current_time() - started:.1f} s")
    assert [m.text for m in contact.received] == _texts(200)


async def test_inbound_outage_with_a_kill_9_inside_loses_and_doubles_nothing(world: World) -> None:
    worker = await world.start_worker()
    jid = await world.pair("shop", "5511999990001")
    contacts = [world.simulator.contact(f"551198888000{n}") for n in range(3)]
    world.proxy.faults.set("inbound", Fault(status=503))
    for n in range(10):
        for contact in contacts:
            await contact.send(jid, f"{contact.phone} {n}")
    await world.until(lambda s: s.requests["inbound"] >= 4)
    await worker.stop(signal.SIGKILL)
    before = world.proxy.store.requests["inbound"]
    await world.start_worker()
    await world.until(lambda s: s.requests["inbound"] > before)
    world.proxy.faults.clear()
    rows = await world.until(lambda s: rows if len(rows := s.inbound("shop")) == 30 else [])
    for contact in contacts:
        assert [row.body for row in rows if row.from_ == contact.jid] == [f"{contact.phone} {n}" for n in range(10)]
    assert Counter(row.times_posted for row in rows) == {1: 30}


async def test_inbound_is_retried_whatever_the_passing_trouble(world: World) -> None:
    await world.start_worker()
    jid = await world.pair("shop", "5511999990001")
    contact = world.simulator.contact(CONTACT)
    troubles = (401, 403, 404, 408, 409, 425, 429, 500, 503)
    for n, status in enumerate(troubles):
        # 409 means that it is there already: the proxy takes it and says so. It cannot be there, so it is asked again
        world.proxy.faults.set("inbound", Fault(status=status, times=1, after_apply=status == 409))
        await contact.send(jid, f"through {status}")
        await world.until(lambda s, count=n + 1: s.count_inbound("shop") >= count)  # type: ignore[misc]
    rows = world.proxy.store.inbound("shop")
    assert [row.body for row in rows] == [f"through {status}" for status in troubles]
    assert [row.times_posted for row in rows] == [2 if status == 409 else 1 for status in troubles]


async def test_a_message_that_the_proxy_refuses_holds_up_no_other_chat(world: World) -> None:
    """It is set aside in the end, after minutes: tests/delivery/test_inbound.py."""
    worker = await world.start_worker()
    jid = await world.pair("shop", "5511999990001")
    world.proxy.faults.set("inbound", Fault(status=422, only='"poison"'))
    await world.simulator.contact(CONTACT).send(jid, "poison")
    await worker.logged("not handed to the proxy, will retry")
    for number in range(6):
        await world.simulator.contact(f"551198888111{number}").send(jid, f"fine {number}")
    await world.until(lambda s: len(s.inbound("shop")) == 6)
    world.proxy.faults.clear()
    assert not [line for line in worker.lines if "set aside" in line["event"]], "not within a second"


async def test_bad_rows_do_not_hold_up_good_ones(world: World) -> None:
    worker = await world.start_worker()
    await world.pair("shop", "5511999990001")
    contact = world.simulator.contact(CONTACT)
    world.proxy.faults.set(
        "queued-messages",
        Fault(
            times=1,
            body=b'[{"id": 1}, 7, {"id": 2, "to": "hello", "body": "x"}, {"id": 3, "to": "'
            + CONTACT.encode()
            + b'", "body": "good"}, {"id": 3, "to": "'
            + CONTACT.encode()
            + b'", "body": "good"}, null]',
        ),
    )
    await worker.logged("a message cannot be sent")
    assert [m.text for m in await contact.wait_received(1)] == ["good"]


async def test_a_refused_destination_is_marked_failed_and_others_go_on(world: World) -> None:
    await world.start_worker()
    await world.pair("shop", "5511999990001")
    contact = world.simulator.contact(CONTACT)
    bad = world.proxy.store.queue("shop", "not a number", "x")
    refused = world.proxy.store.queue("shop", "5511900000404", "x")
    world.simulator.message_error["5511900000404"] = 400
    good = world.proxy.store.queue("shop", CONTACT, "good")
    rows = await world.until(_none_queued)
    assert {row.id: row.status for row in rows} == {bad: "failed", refused: "failed", good: "sent"}
    assert [m.text for m in contact.received] == ["good"]


@pytest.mark.parametrize("policy", ["resend", "hold"])
async def test_a_cut_before_the_answer_is_uncertain(world: World, policy: str) -> None:
    worker = await world.start_worker(ON_UNCERTAIN_SEND=policy)
    await world.pair("shop", "5511999990001")
    contact = world.simulator.contact(CONTACT)
    world.simulator.swallow_acks = 2  # whatsmeow tries once more by itself, with the same id
    world.proxy.store.queue("shop", CONTACT, "maybe")
    line = await worker.logged("a message may or may not have left")
    if policy == "resend":
        await world.until(_all_marked)
        assert {m.text for m in contact.received} == {"maybe"}
        assert 1 <= len(contact.received) <= 2
    else:
        assert line["then"] == "uncertain"
        world.proxy.store.queue("shop", "5511988880003", "next")
        await world.simulator.contact("5511988880003").wait_received(1)
        assert len(contact.received) <= 1
