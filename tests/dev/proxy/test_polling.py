"""POST /poll: what it lists, in which order and how much of it, when it is held, and what ends that."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import attrs
import httpx
import pytest
import trio
import trio.testing

from tests.proxy_fixture import until
from wa_worker.dev.proxy import Fault, ReferenceProxy, open_proxy
from wa_worker.dev.proxy.polling import PAGE_BYTES, PAGE_ROWS

from .conftest import SECRET, open_client

NUMBER = "5511988887777"


def asked(wait: float = 0, **states: str) -> dict[str, Any]:
    """The body of a call that asks for these instances."""
    return asked_for(states, wait)


def asked_for(states: dict[str, str], wait: float = 0) -> dict[str, Any]:
    return {"worker": "w-1", "instances": [{"id": id_, "state": state} for id_, state in states.items()], "wait": wait}


async def test_it_lists_both_and_only_what_may_be_sent(proxy: ReferenceProxy, client: httpx.AsyncClient) -> None:
    proxy.store.add_instance("pairing", "CONNECTING")
    for instance in ("up", "busy", "others", "gone"):
        proxy.store.add_instance(instance, "CONNECTED")
        proxy.store.queue(instance, NUMBER, f"of {instance}")
    id_ = proxy.store.messages("up")[0].id
    proxy.store.queue("shop", NUMBER, "it is not connected")
    proxy.store.remove_instance("gone")
    body = asked(up="CONNECTED", busy="SENDING", shop="DISCONNECTED", gone="CONNECTED", pairing="ONE_DAY")
    answer = await client.post("/poll", json=body)
    assert answer.status_code == 200
    assert answer.json() == {
        "instances": [{"id": "pairing"}, {"id": "shop"}],
        "messages": [{"instanceId": "up", "id": id_, "to": NUMBER, "body": "of up"}],
    }


async def test_a_page_is_fair_and_each_instances_own_are_in_order(
    proxy: ReferenceProxy, client: httpx.AsyncClient
) -> None:
    for instance in ("a", "b", "c"):
        proxy.store.add_instance(instance, "CONNECTED")
    proxy.store.queue_many("c", [(NUMBER, f"c{n}") for n in range(300)])
    proxy.store.queue_many("a", [(NUMBER, f"a{n}") for n in range(3)])
    proxy.store.queue_many("b", [(NUMBER, "b0")])
    body = asked(a="CONNECTED", b="CONNECTED", c="CONNECTED")
    messages = (await client.post("/poll", json=body)).json()["messages"]
    assert [row["body"] for row in messages[:7]] == ["c0", "a0", "b0", "c1", "a1", "c2", "a2"]
    assert [row["body"] for row in messages[7:]] == [f"c{n}" for n in range(3, PAGE_ROWS - 4)]


async def test_of_many_instances_those_whose_first_waits_longest_are_listed(
    proxy: ReferenceProxy, client: httpx.AsyncClient
) -> None:
    names = [f"i{n:03}" for n in range(PAGE_ROWS + 5)]
    for name in names:
        proxy.store.add_instance(name, "CONNECTED")
    for name in reversed(names):
        proxy.store.queue(name, NUMBER, "Oi")
    listed = (await client.post("/poll", json=asked_for(dict.fromkeys(names, "CONNECTED")))).json()["messages"]
    assert [row["instanceId"] for row in listed] == names[:4:-1]


async def test_a_page_ends_before_a_mebibyte_and_has_a_row_at_least(
    proxy: ReferenceProxy, client: httpx.AsyncClient
) -> None:
    proxy.store.set_status("shop", "CONNECTED")
    proxy.store.queue_many("shop", [(NUMBER, "x" * 65_000)] * 20)
    answer = await client.post("/poll", json=asked(shop="CONNECTED"))
    rows = answer.json()["messages"]
    assert PAGE_BYTES - 2 * 65_000 < len(answer.content) <= PAGE_BYTES
    assert [row["id"] for row in rows] == [row.id for row in proxy.store.messages("shop")][: len(rows)]
    proxy.store.add_instance("wordy", "CONNECTED")
    proxy.store.queue_many("wordy", [(NUMBER, "é" * PAGE_BYTES), (NUMBER, "short")])
    assert len((await client.post("/poll", json=asked(wordy="CONNECTED"))).json()["messages"]) == 1


async def test_a_message_is_listed_until_it_is_marked(proxy: ReferenceProxy, client: httpx.AsyncClient) -> None:
    proxy.store.set_status("shop", "CONNECTED")
    first, second = proxy.store.queue_many("shop", [(NUMBER, "a"), (NUMBER, "b")])

    async def listed() -> list[object]:
        messages = (await client.post("/poll", json=asked(shop="CONNECTED"))).json()["messages"]
        return [row["id"] for row in messages]

    assert [await listed(), await listed()] == [[first, second]] * 2
    await client.post("/mark-sent", json={"messageId": first, "wa_message_id": "W"})
    assert await listed() == [second]


@attrs.frozen
class Event:
    """What happens while an answer is held, for a worker that runs "up" (CONNECTED) and "shop" (DISCONNECTED)."""

    name: str
    happens: Callable[[ReferenceProxy], object]
    instances: tuple[str, ...] = ("shop",)
    messages: int = 0


EVENTS = [
    Event("a message is queued", lambda proxy: proxy.store.queue("up", NUMBER, "Oi"), messages=1),
    Event("an instance is added", lambda proxy: proxy.store.add_instance("new"), ("new", "shop")),
    Event("one is switched off", lambda proxy: proxy.store.remove_instance("shop"), ()),
    Event("one is called connected", lambda proxy: proxy.store.set_status("shop", "CONNECTED"), ()),
    Event("one is called disconnected", lambda proxy: proxy.store.set_status("up", "DISCONNECTED"), ("shop", "up")),
    Event("a connected one is parked", lambda proxy: proxy.store.park_instance("up"), ("shop", "up")),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.name)
async def test_a_held_answer_ends_at_once_when(
    proxy: ReferenceProxy, client: httpx.AsyncClient, nursery: trio.Nursery, event: Event
) -> None:
    proxy.store.add_instance("up", "CONNECTED")
    answers: list[httpx.Response] = []

    async def poll() -> None:
        answers.append(await client.post("/poll", json=asked(60, up="CONNECTED", shop="DISCONNECTED"), timeout=None))

    nursery.start_soon(poll)
    await held(proxy)
    proxy.store.add_instance("others", "CONNECTED")
    proxy.store.queue("others", NUMBER, "not of this worker")
    await trio.testing.wait_all_tasks_blocked(0.05)
    assert answers == []
    event.happens(proxy)
    await until(lambda: answers)
    data = answers[0].json()
    assert [row["id"] for row in data["instances"]] == list(event.instances)
    assert len(data["messages"]) == event.messages


async def held(proxy: ReferenceProxy, many: int = 1) -> None:
    """Waits until so many calls have come and are held."""
    with trio.fail_after(20):
        await proxy.wait_for(lambda store: store.requests["poll"] == many)
        await trio.testing.wait_all_tasks_blocked(0.05)


@pytest.mark.parametrize(
    ("states", "status"),
    [
        ({}, "DISCONNECTED"),  # new to the worker
        ({"shop": "CONNECTED"}, "DISCONNECTED"),  # its CONNECTED was lost
        ({"shop": "SENDING"}, "CONNECTING"),
        ({"shop": "DISCONNECTED"}, "CONNECTED"),  # its DISCONNECTED was lost
        ({"shop": "CONNECTING", "gone": "CONNECTING"}, "CONNECTING"),
    ],
)
async def test_it_holds_nothing_where_the_two_see_an_instance_differently(
    proxy: ReferenceProxy, client: httpx.AsyncClient, states: dict[str, str], status: Any
) -> None:
    proxy.store.set_status("shop", status)
    with trio.fail_after(20):
        assert (await client.post("/poll", json=asked_for(states, 60), timeout=None)).status_code == 200


@pytest.mark.parametrize(
    ("states", "status"),
    [
        ({"shop": "DISCONNECTED"}, "CONNECTING"),
        ({"shop": "CONNECTED"}, "CONNECTED"),
        ({"shop": "SENDING"}, "CONNECTED"),
        ({"shop": "ONE_DAY"}, "CONNECTED"),
        ({"shop": "ONE_DAY"}, "DISCONNECTED"),
    ],
)
async def test_it_holds_for_as_long_as_it_may_where_there_is_nothing(
    proxy: ReferenceProxy, client: httpx.AsyncClient, states: dict[str, str], status: Any
) -> None:
    proxy.store.set_status("shop", status)
    proxy.store.queue("shop", NUMBER, "for when it is connected")
    if "CONNECTED" in states.values():
        await client.post("/mark-failed", json={"messageId": proxy.store.messages()[0].id, "error": "x"})
    for longest, wait, least in ((0.3, 60, 0.3), (60, 1, 1), (60, 0, 0), (0, 60, 0)):
        proxy.longest_hold = longest
        begun = trio.current_time()
        assert (await client.post("/poll", json=asked_for(states, wait), timeout=None)).json()["messages"] == []
        assert least <= trio.current_time() - begun < 20


async def test_a_held_answer_ends_with_its_client(proxy: ReferenceProxy) -> None:
    proxy.store.set_status("shop", "CONNECTED")
    async with open_client(proxy) as client:
        with trio.move_on_after(0.2):
            await client.post("/poll", json=asked(60), timeout=None)
        assert proxy.connections_open == 1
    with trio.fail_after(20):
        await proxy.wait_for(lambda _: proxy.connections_open == 0)


@pytest.mark.parametrize("fault", [None, Fault(delay=0.01)], ids=["", "with a fault in force"])
async def test_held_answers_do_not_keep_the_proxy(nursery: trio.Nursery, fault: Fault | None) -> None:
    async with open_proxy(secret=SECRET) as proxy, open_client(proxy) as client:
        proxy.faults.replace({} if fault is None else {"poll": fault})

        async def poll() -> None:
            with pytest.raises(httpx.TransportError):
                await client.post("/poll", json=asked(60), timeout=None)

        for _ in range(20):
            nursery.start_soon(poll)
        await held(proxy, 20)
        begun = trio.current_time()
        await proxy.down()
        await proxy.up()
        nursery.start_soon(poll)
        await held(proxy, 21)
    assert trio.current_time() - begun < 5


async def test_a_proxy_of_version_1_has_neither_call(
    proxy: ReferenceProxy, client: httpx.AsyncClient, nursery: trio.Nursery
) -> None:
    unknown = await client.post("/no-such-call", json={})
    assert (await client.get("/poll")).status_code == 405
    answers: list[httpx.Response] = []

    async def poll() -> None:
        answers.append(await client.post("/poll", json=asked(60, shop="DISCONNECTED"), timeout=None))

    nursery.start_soon(poll)
    await held(proxy, 2)
    assert (await client.put("/admin/contract", json={"contract": 1})).json() == {"contract": 1}
    await until(lambda: answers)
    answers += [
        await client.post("/poll", json=asked()),
        await client.get("/poll"),
        await client.post("/events", json={"events": []}),
    ]
    assert {(answer.status_code, answer.text) for answer in answers} == {(404, unknown.text)}
    assert (await client.get("/disconnected-instances")).json() == [{"id": "shop"}]

    proxy.contract = 2
    assert (await client.get("/admin/contract")).json() == {"contract": 2}
    assert (await client.post("/poll", json=asked())).status_code == 200
    for wrong in (3, "2", None, True):
        assert (await client.put("/admin/contract", json={"contract": wrong})).status_code == 400


@pytest.mark.parametrize(
    "fault",
    [Fault(delay=0.4), Fault(status=404), Fault(body=b"[]"), Fault(body=b'{"instances": []}'), Fault(hang=True)],
    ids=["held too long", "no such call", "of another shape", "half of it", "never"],
)
async def test_faults(proxy: ReferenceProxy, client: httpx.AsyncClient, fault: Fault) -> None:
    proxy.faults.set("poll", fault)
    begun = trio.current_time()
    try:
        answer = await client.post("/poll", json=asked(), timeout=0.5 if fault.hang else 20)
    except httpx.ReadTimeout:
        assert fault.hang
        return
    assert trio.current_time() - begun >= fault.delay
    assert answer.status_code == (fault.status or 200)
    if fault.body is not None:
        assert answer.content == fault.body


GOOD = asked(shop="CONNECTED")

BAD: dict[str, Any] = {
    "a list": [GOOD],
    "no worker": {key: GOOD[key] for key in ("instances", "wait")},
    "a worker with a slash": {**GOOD, "worker": "a/b"},
    "a worker with a line": {**GOOD, "worker": "a\n"},
    "a worker of 65 characters": {**GOOD, "worker": "a" * 65},
    "no instances": {**GOOD, "instances": None},
    "an instance is a text": {**GOOD, "instances": ["shop"]},
    "an instance without a state": {**GOOD, "instances": [{"id": "shop"}]},
    "an id is a number": {**GOOD, "instances": [{"id": 7, "state": "CONNECTED"}]},
    "an id of half a pair": {**GOOD, "instances": [{"id": "\ud83d", "state": "CONNECTED"}]},
    "no wait": {**GOOD, "wait": None},
    "half a second": {**GOOD, "wait": 0.5},
    "true": {**GOOD, "wait": True},
    "61 seconds": {**GOOD, "wait": 61},
    "less than none": {**GOOD, "wait": -1},
}


@pytest.mark.parametrize("body", BAD.values(), ids=BAD)
async def test_a_bad_call_is_refused_with_a_reason(proxy: ReferenceProxy, client: httpx.AsyncClient, body: Any) -> None:
    answer = await client.post("/poll", content=json.dumps(body).encode())
    assert answer.status_code == 400
    assert answer.json()["error"]


async def test_how_much_may_be_asked(proxy: ReferenceProxy, client: httpx.AsyncClient) -> None:
    ask = partial(client.post, "/poll")
    many = dict.fromkeys((f"{n:0128}" for n in range(10_000)), "DISCONNECTED")
    assert (await ask(json=asked_for(many))).status_code == 200
    answer = await ask(json=asked_for({**many, "shop": "DISCONNECTED"}))
    assert (answer.status_code, answer.json()) == (413, {"error": "more than 10000 instances"})
    assert (await ask(content=b" " * (2 * PAGE_BYTES + 1))).status_code == 413
    # the other calls take as much as they did
    assert (await client.post("/inbound", content=b" " * (PAGE_BYTES + 1))).status_code == 413
    assert (await client.post("/inbound", content=b" " * PAGE_BYTES)).status_code == 400
