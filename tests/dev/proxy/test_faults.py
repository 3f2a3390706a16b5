"""Each fault does to a real client what it says, and to the store no more than it says."""

from __future__ import annotations

import random
from typing import Any

import attrs
import httpx
import pytest
import trio

from wa_worker.dev.proxy import Fault, Faults, ReferenceProxy, open_proxy

from .conftest import SECRET, open_client

SENT = {"messageId": 1, "wa_message_id": "W"}


@attrs.frozen
class Case:
    name: str
    fault: Fault
    applied: bool
    status: int | None = 200  # None: no answer
    body: bytes = b'{"ok":true}'
    headers: dict[str, str] = attrs.field(factory=dict)


CASES = [
    Case("a delay alone", Fault(delay=0.05), True),
    Case("a status", Fault(status=503), False, 503, b'{"error": "fault 503"}'),
    Case("a status after applying", Fault(status=500, after_apply=True), True, 500, b'{"error": "fault 500"}'),
    Case("a body", Fault(body=b'{"error":"no"}'), False, 200, b'{"error":"no"}'),
    Case("a body after applying", Fault(body=b"[", after_apply=True), True, 200, b"["),
    Case(
        "an HTML page",
        Fault(status=502, body=b"<html>", content_type="text/html"),
        False,
        502,
        b"<html>",
        {"content-type": "text/html"},
    ),
    Case(
        "a redirect",
        Fault(status=302, body=b"", headers={"Location": "/login"}),
        False,
        302,
        b"",
        {"location": "/login"},
    ),
    Case(
        "a rate limit",
        Fault(status=429, headers={"Retry-After": "3"}),
        False,
        429,
        b'{"error": "fault 429"}',
        {"retry-after": "3"},
    ),
    Case("a header alone", Fault(headers={"X-Served-By": "edge"}), True, headers={"x-served-by": "edge"}),
    Case("no content", Fault(status=204, body=b""), False, 204, b""),
    Case("trickle", Fault(trickle=0.005), True),
    Case("trickle of another body", Fault(trickle=0.005, body=b"{}"), False, 200, b"{}"),
    Case("cut", Fault(cut=True), False, None),
    Case("cut after applying", Fault(cut=True, after_apply=True), True, None),
    Case("cut within the body", Fault(cut=True, status=200, after_apply=True), True, None),
    Case("hang", Fault(hang=True), False, None),
    Case("hang after applying", Fault(hang=True, after_apply=True), True, None),
    Case("probability 0", Fault(status=500, probability=0), True),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("endpoint", ["mark-sent", "*"])
async def test_a_fault(proxy: ReferenceProxy, client: httpx.AsyncClient, case: Case, endpoint: str) -> None:
    proxy.store.queue("shop", "5511988887777", "Oi")
    proxy.faults.set(endpoint, case.fault)
    answer: httpx.Response | None = None
    with trio.move_on_after(0.3 if case.fault.hang else 10) as scope:
        try:
            answer = await client.post("/mark-sent", json=SENT)
        except httpx.RemoteProtocolError:
            assert case.fault.cut
    assert scope.cancelled_caught == case.fault.hang
    if case.status is None:
        assert answer is None
    else:
        assert answer is not None
        assert (answer.status_code, answer.content) == (case.status, case.body)
        assert case.headers.items() <= dict(answer.headers).items()
    assert proxy.store.messages()[0].marks == case.applied
    assert proxy.store.requests["mark-sent"] == 1

    proxy.faults.clear(endpoint)
    assert (await client.post("/mark-sent", json=SENT)).json() == {"ok": True}


async def test_delay_and_trickle_take_their_time(proxy: ReferenceProxy, client: httpx.AsyncClient) -> None:
    proxy.faults.set("disconnected-instances", Fault(delay=0.1, trickle=0.01))
    start = trio.current_time()
    assert (await client.get("/disconnected-instances")).json() == [{"id": "shop"}]
    assert 0.1 + 14 * 0.01 < trio.current_time() - start < 10


async def test_times_and_the_fault_behind_it(proxy: ReferenceProxy, client: httpx.AsyncClient) -> None:
    proxy.faults.set("inbound", Fault(status=401, times=2))
    proxy.faults.set("*", Fault(status=503, times=1))
    statuses = [(await client.post("/inbound", json={})).status_code for _ in range(4)]
    assert statuses == [401, 401, 503, 400]
    assert proxy.faults.in_force() == {}


async def test_chance_is_seeded() -> None:
    def play(seed: int) -> list[bool]:
        faults = Faults(random.Random(seed))
        faults.set("*", Fault(status=500, probability=0.5))
        return [faults.take("inbound") is not None for _ in range(50)]

    assert play(7) == play(7) != play(8)
    assert 10 < sum(play(7)) < 40


async def test_the_admin_side_has_no_faults(proxy: ReferenceProxy, client: httpx.AsyncClient) -> None:
    proxy.faults.set("*", Fault(cut=True))
    assert (await client.get("/admin/instances")).status_code == 200


async def test_faults_are_for_callers_without_the_secret_too(proxy: ReferenceProxy) -> None:
    # A gateway fails before the function behind it can look at the token.
    proxy.faults.set("inbound", Fault(status=502))
    async with httpx.AsyncClient(base_url=proxy.url) as stranger:
        assert (await stranger.post("/inbound")).status_code == 502


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": 99},
        {"delay": -1},
        {"delay": float("nan")},
        {"times": 0},
        {"probability": 1.1},
        {"trickle": -0.1},
    ],
)
async def test_a_fault_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Fault(**wrong)


async def test_a_fault_for_no_endpoint_is_refused() -> None:
    faults = Faults()
    faults.set("inbound", Fault(status=500))
    with pytest.raises(ValueError, match="mark-read"):
        faults.replace({"inbound": Fault(), "mark-read": Fault()})
    assert faults.in_force() == {"inbound": Fault(status=500)}


async def test_a_fault_ends_when_its_client_leaves() -> None:
    async with open_proxy(secret=SECRET) as proxy:
        proxy.faults.set("*", Fault(hang=True))
        async with open_client(proxy) as client:
            with trio.move_on_after(0.1):
                await client.get("/disconnected-instances")
            assert proxy.connections_open == 1
        with trio.fail_after(10):
            await proxy.wait_for(lambda _: proxy.connections_open == 0)
