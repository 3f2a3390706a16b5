"""Version 2 of the contract through the real process: two calls for all, and back to version 1 at any time."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
import trio

from tests.e2e.world import World, open_world
from wa_worker.dev.proxy import Fault, Store

CONTACT = "5511988880002"
SLOW = {"INSTANCE_POLL_MS": "60000", "MSG_POLL_MS": "60000"}
"""Poll intervals that no test waits for: what happens all the same is told by an answer that was held."""

VERSION_1 = ("disconnected-instances", "update-status", "queued-messages", "mark-sent", "mark-failed", "inbound")


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[World]:
    """A world whose proxy speaks version 2."""
    async with open_world(tmp_path, contract=2) as opened:
        yield opened


def texts(count: int, prefix: str = "m") -> list[str]:
    return [f"{prefix}{n}" for n in range(count)]


def all_sent(store: Store) -> bool:
    return bool(store.messages()) and all(row.status == "sent" for row in store.messages())


async def test_all_goes_by_two_calls(two: World) -> None:
    await two.start_worker(**SLOW)
    jid = await two.pair("shop", "5511999990001")
    await two.pair("bakery", "5511999990003")
    contact = two.simulator.contact(CONTACT)
    two.proxy.store.queue_many("shop", [(CONTACT, text) for text in texts(30)])
    two.proxy.store.queue("bakery", CONTACT, "pão")
    two.proxy.store.queue("shop", "12", "to nobody")
    await two.until(lambda s: [row.status for row in s.messages()].count("sent") == 31)
    await two.until(lambda s: "failed" in [row.status for row in s.messages()])
    for text in texts(30, "answer "):
        await contact.send(jid, text)
    await two.until(lambda s: len(s.inbound("shop")) == 30)
    assert [row.body for row in two.proxy.store.inbound("shop")] == texts(30, "answer ")
    assert sorted(m.text for m in contact.received) == sorted([*texts(30), "pão"])
    assert [m.text for m in contact.received if m.text != "pão"] == texts(30)
    assert {endpoint: two.proxy.store.requests[endpoint] for endpoint in VERSION_1} == dict.fromkeys(VERSION_1, 0)


async def test_a_message_goes_out_though_no_poll_is_due(two: World) -> None:
    await two.start_worker(**SLOW)
    await two.pair("shop", "5511999990001")
    contact = two.simulator.contact(CONTACT)
    for count in range(1, 4):
        two.proxy.store.queue("shop", CONTACT, f"now {count}")
        with trio.fail_after(10):
            await contact.wait_received(count)


async def test_idle_it_asks_as_often_as_answers_are_held(two: World) -> None:
    two.proxy.longest_hold = 2.0
    await two.start_worker(MSG_POLL_MS="100", INSTANCE_POLL_MS="100")
    for number in range(3):
        await two.pair(f"shop{number}", f"551199999000{number}")
    await two.until(lambda s: all(row.status == "CONNECTED" for row in s.instances()))
    before = two.proxy.store.requests.total()
    await trio.sleep(6.5)
    assert 2 <= two.proxy.store.requests.total() - before <= 5


async def test_an_id_that_no_instance_can_have_costs_no_calls(two: World) -> None:
    two.proxy.store.add_instance("ção")
    worker = await two.start_worker(MSG_POLL_MS="100", INSTANCE_POLL_MS="100")
    await worker.logged("a listed instance is refused")
    await two.until(lambda s: s.requests["poll"] >= 2)
    await trio.sleep(2)
    assert two.proxy.store.requests["poll"] <= 3


async def test_an_instance_that_is_switched_off_is_let_go_of(two: World) -> None:
    worker = await two.start_worker(MSG_POLL_MS="200")
    two.proxy.store.add_instance("shop")
    await two.qr("shop")
    two.proxy.store.remove_instance("shop")
    await worker.logged("instance released: the proxy no longer lists it", instance="shop")


async def test_one_that_was_connected_is_let_go_of_though_polls_are_held(two: World) -> None:
    worker = await two.start_worker(**SLOW)
    await two.pair("shop", "5511999990001")
    await two.pair("bakery", "5511999990003")
    await two.until(lambda s: all(row.status == "CONNECTED" for row in s.instances()))
    two.proxy.store.remove_instance("shop", call_back=True)
    await worker.logged("instance let go: the proxy does not know it", instance="shop")
    assert not two.simulator.connected(two.jids["shop"])
    assert two.simulator.connected(two.jids["bakery"])


async def flip(world: World, times: int) -> None:
    """Changes the version so often, each time once the worker has followed. Of version 2 it hears as of a deploy, by a
    call that fails: else it asks ten minutes later."""
    requests = world.proxy.store.requests
    for _ in range(times):
        world.proxy.contract = 1 if world.proxy.contract == 2 else 2
        if world.proxy.contract == 2:
            world.proxy.faults.set("disconnected-instances", Fault(status=503, times=1))
        asked_by = "poll" if world.proxy.contract == 2 else "disconnected-instances"
        enough = requests[asked_by] + 2
        await world.until(partial(lambda name, count, _: requests[name] >= count, asked_by, enough))


async def test_the_proxy_may_go_back_and_forth_under_traffic(two: World) -> None:
    await two.start_worker()
    jid = await two.pair("shop", "5511999990001")
    contact = two.simulator.contact(CONTACT)
    written, flipped = 0, trio.Event()
    async with trio.open_nursery() as nursery:

        async def write() -> None:
            nonlocal written
            while not flipped.is_set():
                two.proxy.store.queue("shop", CONTACT, f"m{written}")
                await contact.send(jid, f"in {written}")
                written += 1
                await trio.sleep(0.05)

        nursery.start_soon(write)
        await flip(two, 8)
        flipped.set()
    await two.until(all_sent)
    await two.until(lambda s: len(s.inbound("shop")) == written)
    assert written > 8
    assert [m.text for m in contact.received] == texts(written)
    assert [row.body for row in two.proxy.store.inbound("shop")] == texts(written, "in ")


@pytest.mark.parametrize(
    "fault",
    [
        Fault(results=-1, times=8),
        Fault(results=1, times=8),
        Fault(refuse=503, share=0.5, times=20),
        Fault(refuse=500, share=0.5, after_apply=True, times=20),
        Fault(status=500, after_apply=True, times=8),
        Fault(status=503, times=8),
        Fault(status=404, times=2),
        Fault(body=b'{"ok": true}', times=4),
        Fault(body=b"<html>", times=4),
        Fault(cut=True, after_apply=True, times=4),
    ],
    ids=["short", "long", "mixed", "mixed, applied", "applied, 500", "503", "404", "no results", "HTML", "cut"],
)
async def test_whatever_events_are_answered_nothing_is_lost_or_sent_again(two: World, fault: Fault) -> None:
    await two.start_worker()
    jid = await two.pair("shop", "5511999990001")
    contact = two.simulator.contact(CONTACT)
    two.proxy.faults.set("events", fault)
    two.proxy.store.queue_many("shop", [(CONTACT, text) for text in texts(10)])
    for text in texts(10, "in "):
        await contact.send(jid, text)
    await two.until(all_sent)
    await two.until(lambda s: len(s.inbound("shop")) == 10)
    assert [m.text for m in contact.received] == texts(10)
    assert [row.body for row in two.proxy.store.inbound("shop")] == texts(10, "in ")


async def test_kill_9_with_marks_and_messages_on_their_way(two: World) -> None:
    worker = await two.start_worker()
    jid = await two.pair("shop", "5511999990001")
    contact = two.simulator.contact(CONTACT)
    two.proxy.faults.set("events", Fault(status=503))
    two.proxy.store.queue_many("shop", [(CONTACT, text) for text in texts(10)])
    await contact.wait_received(10)
    for text in texts(5, "in "):
        await contact.send(jid, text)
    before = two.proxy.store.requests["events"]
    await two.until(lambda s: s.requests["events"] > before + 2)
    await worker.stop(signal.SIGKILL)
    two.proxy.faults.clear()
    await two.start_worker()
    await two.until(all_sent)
    await two.until(lambda s: len(s.inbound("shop")) == 5)
    assert [m.text for m in contact.received] == texts(10)
    assert [row.body for row in two.proxy.store.inbound("shop")] == texts(5, "in ")


async def test_a_stop_is_told_of_all_instances_though_a_poll_is_held(two: World) -> None:
    worker = await two.start_worker(**SLOW)
    for number in range(3):
        await two.pair(f"shop{number}", f"551199999000{number}")
    await two.until(lambda s: all(row.status == "CONNECTED" for row in s.instances()))
    assert await worker.stop(signal.SIGTERM) < 8
    assert worker.process.returncode == 0
    assert {row.status for row in two.proxy.store.instances()} == {"DISCONNECTED"}
    assert {row.reason for row in two.proxy.store.instances()} == {"worker_stopping"}


async def good_ones_arrive_beside(two: World, text: str, fault: Fault) -> None:
    """A message that meets this fault, and those of six other chats, which do not wait for it."""
    await two.start_worker()
    jid = await two.pair("shop", "5511999990001")
    two.proxy.faults.set("events", fault)
    await two.simulator.contact(CONTACT).send(jid, text)
    for number in range(3, 9):
        await two.simulator.contact(f"551198888000{number}").send(jid, f"good {number}")
    await two.until(lambda s: len(s.inbound("shop")) == 6)


async def test_one_chat_that_the_proxy_refuses_holds_up_no_other(two: World) -> None:
    await good_ones_arrive_beside(two, "bad", Fault(refuse=422, only='"bad"'))
    two.proxy.faults.clear()
    await two.until(lambda s: len(s.inbound("shop")) == 7)


async def test_an_event_that_makes_each_call_fail_holds_up_no_other(two: World) -> None:
    await good_ones_arrive_beside(two, "poison", Fault(status=500, only='"poison"'))
    two.proxy.store.queue("shop", CONTACT, "and out")
    await two.until(all_sent)
