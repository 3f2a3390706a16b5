"""Receipts and events of groups: stored in whatever order they come, once, by both versions."""

from __future__ import annotations

import itertools
import json
from typing import Any

import httpx
import pytest

from wa_worker.dev.proxy import ReferenceProxy

PERSON = "5511988887777@s.whatsapp.net"
GROUP = "120363025246125486@g.us"

STATUS: dict[str, Any] = {
    "instanceId": "shop",
    "wa_message_id": "3EB0",
    "chat_id": PERSON,
    "status": "delivered",
    "timestamp": 1790000001,
    "recipient_id": PERSON,
}

EVENT: dict[str, Any] = {
    "instanceId": "shop",
    "event_type": "group",
    "chat_id": GROUP,
    "group": {"id": GROUP, "subject": "Vizinhos"},
    "action": "add",
    "participants": [PERSON, "1@lid"],
    "by": None,
    "timestamp": 1790000000,
}


async def tell(client: httpx.AsyncClient, version: int, path: str, body: dict[str, Any]) -> int:
    """By the call of version 1, or as an event of version 2. Returns the status that judges it."""
    if version == 1:
        return (await client.post(f"/{path}", content=json.dumps(body).encode())).status_code
    event = {**body, "event_id": "e", "type": path.replace("-", "_")}
    answer = await client.post("/events", content=json.dumps({"events": [event]}).encode())
    (result,) = answer.json()["results"]
    return int(result["status"])


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("order", list(itertools.permutations(["failed", "delivered", "read", "played"], 3)))
async def test_a_status_never_goes_back(
    proxy: ReferenceProxy, client: httpx.AsyncClient, order: tuple[str, ...], version: int
) -> None:
    rank = ["failed", "delivered", "read", "played"]
    for at, status in enumerate([*order, order[0]]):
        body = {**STATUS, "status": status, "timestamp": 1790000000 + at}
        assert await tell(client, version, "message-status", body) == 200
    (row,) = proxy.store.receipts("shop", "3EB0")
    assert row.status == max(order, key=rank.index)
    assert [getattr(row, f"{status}_at") for status in order] == [1790000000, 1790000001, 1790000002]
    assert row.times_posted == 4


async def test_each_recipient_has_a_row_and_each_chat(proxy: ReferenceProxy, client: httpx.AsyncClient) -> None:
    id_ = proxy.store.queue("shop", GROUP, "Oi")
    told = [
        {**STATUS, "chat_id": GROUP, "messageId": id_, "recipient_id": "1@lid"},
        {**STATUS, "chat_id": GROUP, "messageId": id_, "recipient_id": "2@lid", "status": "read"},
        {**STATUS, "status": "failed", "error": "479"},
    ]
    for body in told:
        assert await tell(client, 1, "message-status", body) == 200
    rows = proxy.store.receipts()
    assert [(row.chat, row.recipient_id, row.status, row.message_id, row.error) for row in rows] == [
        (GROUP, "1@lid", "delivered", id_, None),
        (GROUP, "2@lid", "read", id_, None),
        (PERSON, PERSON, "failed", None, "479"),
    ]
    listed = (await client.get("/admin/receipts?instanceId=shop&wa_message_id=3EB0")).json()
    assert [row["status"] for row in listed] == ["delivered", "read", "failed"]


@pytest.mark.parametrize("version", [1, 2])
async def test_an_event_is_there_once(proxy: ReferenceProxy, client: httpx.AsyncClient, version: int) -> None:
    for _ in range(2):
        assert await tell(client, version, "event", EVENT) == 200
    assert await tell(client, 3 - version, "event", EVENT) == 200
    assert await tell(client, version, "event", {**EVENT, "action": "remove"}) == 200
    rows = proxy.store.group_events("shop")
    assert [(row.payload["action"], row.times_posted) for row in rows] == [("add", 3), ("remove", 1)]
    assert rows[0].payload == EVENT
    assert (await client.get("/admin/events")).json()[1]["chat"] == GROUP


BAD: dict[str, tuple[str, dict[str, Any], int]] = {
    "of no instance": ("message-status", {**STATUS, "instanceId": "gone"}, 404),
    "of a message of another's": ("message-status", {**STATUS, "messageId": 1}, 404),
    "of a message beyond all": ("message-status", {**STATUS, "messageId": 10**30}, 404),
    "of a message that is a list": ("message-status", {**STATUS, "messageId": [1]}, 400),
    "of another word": ("message-status", {**STATUS, "status": "seen"}, 400),
    "of no word": ("message-status", {**STATUS, "status": ["read"]}, 400),
    "at no time": ("message-status", {key: STATUS[key] for key in STATUS if key != "timestamp"}, 400),
    "at a time of text": ("message-status", {**STATUS, "timestamp": "1790000000"}, 400),
    "at nobody": ("message-status", {**STATUS, "recipient_id": None}, 400),
    "in no chat": ("message-status", {**STATUS, "chat_id": ""}, 400),
    "of half a pair": ("message-status", {**STATUS, "recipient_id": "\ud83d"}, 400),
    "an event of no instance": ("event", {**EVENT, "instanceId": "gone"}, 404),
    "an event of no type": ("event", {**EVENT, "event_type": None}, 400),
    "an event at no time": ("event", {**EVENT, "timestamp": None}, 400),
    "an event of a nameless group": ("event", {**EVENT, "group": {"subject": "x"}}, 400),
    "an event of a text": ("event", {**EVENT, "participants": PERSON}, 400),
    "an event of nobody": ("event", {**EVENT, "participants": [""]}, 400),
}


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
async def test_what_is_wrong_is_refused(
    proxy: ReferenceProxy, client: httpx.AsyncClient, bad: tuple[str, dict[str, Any], int], version: int
) -> None:
    proxy.store.add_instance("pub")
    proxy.store.queue("pub", "5511988887777", "Oi")
    path, body, status = bad
    assert await tell(client, version, path, body) == status
    assert proxy.store.receipts() == []
    assert proxy.store.group_events() == []


async def test_a_mark_may_say_when(proxy: ReferenceProxy, client: httpx.AsyncClient) -> None:
    first, second = proxy.store.queue_many("shop", [("1", "a"), ("2", "b")])
    mark = {"messageId": first, "wa_message_id": "W", "to": PERSON, "timestamp": 1790000000}
    assert (await client.post("/mark-sent", json=mark)).status_code == 200
    assert (await client.post("/mark-sent", json={**mark, "timestamp": 1790000009})).status_code == 200
    assert (await client.post("/mark-sent", json={"messageId": second, "wa_message_id": "W"})).status_code == 200
    for wrong in ("1790000000", 1.5, -1, True):
        assert (await client.post("/mark-sent", json={**mark, "timestamp": wrong})).status_code == 400
    assert [row.accepted_at for row in proxy.store.messages()] == [1790000000, None]


@pytest.mark.parametrize("version", [1, 2])
async def test_an_older_proxy_knows_neither(proxy: ReferenceProxy, client: httpx.AsyncClient, version: int) -> None:
    proxy.play_older()
    unknown = await client.post("/no-such-call", json={})
    for path, body in (("message-status", STATUS), ("event", EVENT)):
        assert await tell(client, version, path, body) == (404 if version == 1 else 400)
        answer = await client.post(f"/{path}", json=body)
        assert (answer.status_code, answer.text) == (404, unknown.text)
    answer = await client.post("/events", json={"events": [{"event_id": "e", "type": "event"}]})
    assert answer.json()["results"][0]["error"] == "type must be one of status, sent, failed, inbound"
    assert proxy.store.receipts() == []


async def test_the_receipts_of_some_messages(proxy: ReferenceProxy, client: httpx.AsyncClient) -> None:
    for wa_id in ("A", "B", "C"):
        assert await tell(client, 2, "message-status", {**STATUS, "wa_message_id": wa_id}) == 200
    store = proxy.store
    assert {row.wa_message_id for row in store.receipts_of("shop", ["A", "C", "D"])} == {"A", "C"}
    assert store.receipts_of("shop", []) == []
    assert store.receipts_of("else", ["A"]) == []


async def test_the_last_events(proxy: ReferenceProxy, client: httpx.AsyncClient) -> None:
    for at in range(3):
        assert await tell(client, 2, "event", {**EVENT, "timestamp": at}) == 200
    assert [row.payload["timestamp"] for row in proxy.store.group_events("shop", last=2)] == [1, 2]
