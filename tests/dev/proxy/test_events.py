"""POST /events: each event does what its call of version 1 does, and is judged by itself."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import attrs
import httpx
import pytest

from wa_worker.dev.proxy import Fault, ReferenceProxy

from .test_endpoints import INBOUND, QR

NUMBER = "5511988887777"


def event(type_: str, **fields: Any) -> dict[str, Any]:
    return {"event_id": f"e-{type_}", "type": type_, "instanceId": "shop", **fields}


def inbound(wa_message_id: str, **changes: Any) -> dict[str, Any]:
    return {**event("inbound", **INBOUND), "wa_message_id": wa_message_id, **changes}


async def post(client: httpx.AsyncClient, *events: Any) -> list[dict[str, Any]]:
    """The results of the call."""
    answer = await client.post("/events", content=json.dumps({"events": events}).encode())
    assert answer.status_code == 200
    data = answer.json()
    assert list(data) == ["results"]
    results: list[dict[str, Any]] = data["results"]
    return results


def statuses(results: Iterable[dict[str, Any]]) -> list[int]:
    """And an error is said where there is one, nowhere else."""
    for result in results:
        assert isinstance(result.get("error"), str) == (result["status"] != 200)
    return [result["status"] for result in results]


async def test_each_type_does_what_its_call_does(proxy: ReferenceProxy, client: httpx.AsyncClient) -> None:
    first, second, third = proxy.store.queue_many("shop", [(NUMBER, "a"), (NUMBER, "b"), (NUMBER, "c")])
    results = await post(
        client,
        event("status", status="CONNECTING", qr_code=QR),
        event("sent", messageId=first, wa_message_id="W1", to="553188887777@s.whatsapp.net"),
        event("failed", messageId=second, error="the number is not on WhatsApp"),
        inbound("3A01"),
        event("sent", messageId=third, wa_message_id="W3"),
    )
    assert statuses(results) == [200] * 5
    row = proxy.store.instance("shop")
    assert row is not None
    assert (row.status, row.qr_code) == ("CONNECTING", QR)
    assert [(row.status, row.wa_message_id, row.error) for row in proxy.store.messages("shop")] == [
        ("sent", "W1", None),
        ("failed", None, "the number is not on WhatsApp"),
        ("sent", "W3", None),
    ]
    assert [row.sent_to for row in proxy.store.messages("shop")] == ["553188887777@s.whatsapp.net", None, None]
    (arrived,) = proxy.store.inbound("shop")
    assert (arrived.wa_message_id, arrived.body) == ("3A01", INBOUND["body"])


async def test_what_is_kept_of_an_inbound_is_the_body_of_its_call(
    proxy: ReferenceProxy, client: httpx.AsyncClient
) -> None:
    await post(client, inbound("3A01"))
    await client.post("/inbound", json={**INBOUND, "wa_message_id": "3A02"})
    by_event, by_call = (row.payload for row in proxy.store.inbound("shop"))
    assert {**by_event, "wa_message_id": "3A02"} == by_call
    assert proxy.store.requests == {"events": 1, "inbound": 1}
    assert proxy.store.events == {"inbound": 1}


async def test_the_last_status_wins(proxy: ReferenceProxy, client: httpx.AsyncClient) -> None:
    assert statuses(
        await post(
            client,
            event("status", status="CONNECTING", qr_code=QR),
            event("status", status="CONNECTED", qr_code=None),
            event("status", status="DISCONNECTED", qr_code=None),
        )
    ) == [200, 200, 200]
    row = proxy.store.instance("shop")
    assert row is not None
    assert (row.status, row.qr_code) == ("DISCONNECTED", None)


async def test_a_repeat_changes_nothing(proxy: ReferenceProxy, client: httpx.AsyncClient) -> None:
    sent, failed = proxy.store.queue_many("shop", [(NUMBER, "a"), (NUMBER, "b")])
    events = [
        event("sent", messageId=sent, wa_message_id="W"),
        event("failed", messageId=failed, error="x"),
        event("failed", messageId=sent, error="x"),
        inbound("3A01"),
        inbound("3A01"),
    ]
    for _ in range(2):
        assert statuses(await post(client, *events)) == [200] * 5
    assert [row.status for row in proxy.store.messages("shop")] == ["sent", "failed"]
    assert len(proxy.store.inbound("shop")) == 1
    # what one version has told, the other may tell again
    assert (await client.post("/inbound", json={**INBOUND, "wa_message_id": "3A01"})).status_code == 200
    assert len(proxy.store.inbound("shop")) == 1


@attrs.frozen
class Bad:
    name: str
    event: Any
    status: int = 400


BAD = [
    Bad("no object", "sent"),
    Bad("null", None),
    Bad("no type", {"event_id": "e", "instanceId": "shop"}),
    Bad("an unknown type", event("read")),
    Bad("a type that is a list", {**event("sent"), "type": ["sent"]}),
    Bad("no event_id", {key: value for key, value in inbound("X").items() if key != "event_id"}),
    Bad("an event_id of 129 characters", {**inbound("X"), "event_id": "e" * 129}),
    Bad("an event_id of half a pair", {**inbound("X"), "event_id": "\ud83d"}),
    Bad("a status without a QR code", event("status", status="CONNECTED")),
    Bad("an unknown status", event("status", status="ONLINE", qr_code=None)),
    Bad("a status of nobody", event("status", status="CONNECTED", qr_code=None, instanceId="gone"), 404),
    Bad("a mark without an id", event("sent", wa_message_id="W")),
    Bad("a mark without an instance", {**event("sent", messageId=1, wa_message_id="W"), "instanceId": None}),
    Bad("a mark of another instance's", event("sent", messageId=1, wa_message_id="W", instanceId="pub"), 404),
    Bad("a mark of no message", event("sent", messageId=10**30, wa_message_id="W"), 404),
    Bad("a failure without a reason", event("failed", messageId=1)),
    Bad("a failure of another instance's", event("failed", messageId=1, error="x", instanceId="pub"), 404),
    Bad("an inbound without a body", {**inbound("X"), "body": None}),
    Bad("an inbound with half a pair", inbound("X", body="\ud83d")),
    Bad("an inbound without a chat", {**inbound("X"), "from": ["1@lid"]}),
    Bad("an inbound of nobody", inbound("X", instanceId="gone"), 404),
]


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
async def test_a_bad_event_is_refused_and_the_others_are_taken(
    proxy: ReferenceProxy, client: httpx.AsyncClient, bad: Bad
) -> None:
    proxy.store.add_instance("pub")
    proxy.store.queue("shop", NUMBER, "a")
    good = inbound("3A01", **{"from": "1@lid", "chat_id": None})
    status = event("status", status="CONNECTING", qr_code=None)
    assert statuses(await post(client, good, bad.event, status)) == [200, bad.status, 200]
    assert [row.wa_message_id for row in proxy.store.inbound()] == ["3A01"]
    assert [row.status for row in proxy.store.messages()] == ["queued"]
    row = proxy.store.instance("shop")
    assert row is not None
    assert row.status == "CONNECTING"


async def test_what_changes_in_a_group_keeps_its_place_among_the_messages(
    proxy: ReferenceProxy, client: httpx.AsyncClient
) -> None:
    group = "12036304@g.us"
    message = {"from": group, "chat_id": group}
    change = event("event", event_type="group", chat_id=group, action="subject", timestamp=1_790_000_000)
    assert statuses(await post(client, inbound("3A01", body=None, **message), change, inbound("3A02"))) == [
        400,
        503,
        200,
    ]
    assert statuses(await post(client, {**change, "event_type": None}, inbound("3A03", **message))) == [400, 503]
    assert statuses(await post(client, change, inbound("3A03", **message))) == [200, 200]
    assert len(proxy.store.group_events()) == 1


async def test_after_a_refusal_no_other_of_the_chat_is_taken(proxy: ReferenceProxy, client: httpx.AsyncClient) -> None:
    proxy.store.add_instance("pub")
    other = {"from": "1@lid", "chat_id": None}
    results = await post(
        client,
        inbound("3A01"),
        inbound("3A02", body=None),
        inbound("3A03"),
        inbound("3A04", **other),
        inbound("3A05", instanceId="pub"),
        event("status", status="CONNECTED", qr_code=None),
        inbound("3A06"),
        inbound("3A01"),
    )
    assert statuses(results) == [200, 400, 503, 200, 200, 200, 503, 503]
    assert [row.wa_message_id for row in proxy.store.inbound()] == ["3A01", "3A04", "3A05"]
    # a new call begins anew
    assert statuses(await post(client, inbound("3A02"), inbound("3A03"))) == [200, 200]


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"events": null}', b'{"events": {"0": {}}}', b'{"events": [NaN]}']
)
async def test_a_body_that_holds_no_events_is_refused_as_a_whole(
    proxy: ReferenceProxy, client: httpx.AsyncClient, body: bytes
) -> None:
    answer = await client.post("/events", content=body)
    assert answer.status_code == 400
    assert answer.json()["error"]


async def test_how_much_may_be_posted(proxy: ReferenceProxy, client: httpx.AsyncClient) -> None:
    assert await post(client) == []
    many = [inbound(f"3A{n}") for n in range(200)]
    assert statuses(await post(client, *many)) == [200] * 200
    answer = await client.post("/events", json={"events": [*many, inbound("3B")]})
    assert (answer.status_code, answer.json()) == (413, {"error": "more than 200 events"})
    assert len(proxy.store.inbound()) == 200
    large = [inbound(f"3C{n}", body="x" * 65_536) for n in range(30)]
    assert statuses(await post(client, *large)) == [200] * 30
    assert (await client.post("/events", json={"events": large[:20] * 2})).status_code == 413


async def test_a_proxy_without_mark_failed_says_so_of_the_event(
    proxy: ReferenceProxy, client: httpx.AsyncClient
) -> None:
    proxy.store.has_mark_failed = False
    id_ = proxy.store.queue("shop", NUMBER, "Oi")
    assert statuses(await post(client, event("failed", messageId=id_, error="x"))) == [404]
    assert proxy.store.count_messages("queued") == 1


async def test_an_answer_that_is_too_short_or_too_long(proxy: ReferenceProxy, client: httpx.AsyncClient) -> None:
    for results, expected in ((-1, [200]), (-9, []), (2, [200, 400, 200, 200]), (0, [200, 400])):
        proxy.faults.set("events", Fault(results=results))
        assert [row["status"] for row in await post(client, inbound("3A01"), None)] == expected
    assert [row.times_posted for row in proxy.store.inbound()] == [4]


async def test_applied_and_then_500(proxy: ReferenceProxy, client: httpx.AsyncClient) -> None:
    proxy.faults.set("events", Fault(status=500, after_apply=True, times=1))
    assert (await client.post("/events", json={"events": [inbound("3A01")]})).status_code == 500
    assert [row.wa_message_id for row in proxy.store.inbound()] == ["3A01"]
    assert statuses(await post(client, inbound("3A01"))) == [200]


@pytest.mark.parametrize("after_apply", [False, True])
async def test_some_events_are_refused(proxy: ReferenceProxy, client: httpx.AsyncClient, after_apply: bool) -> None:
    """And what it says of the rest of their chat is the truth: it is not stored."""
    body = {"events": {"refuse": 429, "only": "text 3A02", "after_apply": after_apply}}
    assert (await client.put("/admin/faults", json=body)).status_code == 200
    other = {"from": "1@lid", "chat_id": None}
    results = await post(
        client,
        inbound("3A01", body="text 3A01"),
        inbound("3A02", body="text 3A02"),
        inbound("3A03", body="text 3A03"),
        inbound("3A04", body="text 3A04", **other),
    )
    assert statuses(results) == [200, 429, 503, 200]
    stored = ["3A01", "3A02", "3A04"] if after_apply else ["3A01", "3A04"]
    assert [row.wa_message_id for row in proxy.store.inbound()] == stored


async def test_a_share_of_the_events_is_refused_as_the_seed_says(
    proxy: ReferenceProxy, client: httpx.AsyncClient
) -> None:
    proxy.faults.set("events", Fault(refuse=500, share=0.3))
    chats = [inbound("3A01", **{"from": f"{n}@lid", "chat_id": None}) for n in range(100)]
    played = []
    for _ in range(2):
        proxy.faults.rng.seed(7)
        played.append(statuses(await post(client, *chats)))
    assert played[0] == played[1]
    assert 15 < played[0].count(500) < 45
    assert len(proxy.store.inbound()) == played[0].count(200)
