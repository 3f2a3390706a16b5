"""The six endpoints: round trips, idempotency, and every way to get a request wrong."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs
import httpx
import pytest
import trio

from wa_worker.dev.proxy import InboundRow, ReferenceProxy, StatusDetails, Store, open_proxy

from .conftest import SECRET, open_client

QR = "data:image/png;base64,iVBORw0KGgo="

INBOUND: dict[str, Any] = {
    "instanceId": "shop",
    "from": "120363025246125486@g.us",
    "to": "5511988887777@s.whatsapp.net",
    "body": "Olá 🎉",
    "wa_message_id": "3A01",
    "chat_id": "120363025246125486@g.us",
    "chat_type": "group",
    "sender_id": "5511988887777@s.whatsapp.net",
    "sender_lid": None,
    "push_name": "Ana",
    "timestamp": 1790000000,
    "message_type": "text",
    "one_day": {"more": ["of", "these"]},
}


async def test_lists_instances_that_are_not_connected(proxy: ReferenceProxy, client: httpx.AsyncClient) -> None:
    proxy.store.add_instance("up", "CONNECTED")
    proxy.store.add_instance("pairing", "CONNECTING")
    answer = await client.get("/disconnected-instances")
    assert answer.status_code == 200
    assert answer.json() == [{"id": "pairing"}, {"id": "shop"}]


async def test_status_is_kept_and_its_history_too(proxy: ReferenceProxy, client: httpx.AsyncClient) -> None:
    posted: list[tuple[str, str | None]] = [("CONNECTING", QR), ("CONNECTED", QR), ("DISCONNECTED", None)]
    shown = []
    for status, qr_code in posted:
        body = {"instanceId": "shop", "status": status, "qr_code": qr_code}
        assert (await client.post("/update-status", json=body)).json() == {"ok": True}
        row = proxy.store.instance("shop")
        assert row is not None
        shown.append((row.status, row.qr_code))
    assert shown == [("CONNECTING", QR), ("CONNECTED", None), ("DISCONNECTED", None)]
    assert [(s.status, s.qr_code) for s in proxy.store.statuses("shop")] == posted


DETAILS: dict[str, Any] = {
    "reason": "banned",
    "until": 1790000600,
    "action": "wait",
    "jid": "5511999990001@s.whatsapp.net",
    "push_name": "Padaria",
    "since": 1790000000,
}


async def test_why_until_when_and_whose_are_kept_as_they_come(proxy: ReferenceProxy, client: httpx.AsyncClient) -> None:
    """Null included; and a worker that knows nothing of them leaves none of an older status behind."""
    posted = [DETAILS, dict.fromkeys(DETAILS), DETAILS, {}]
    for details in posted:
        body = {"instanceId": "shop", "status": "DISCONNECTED", "qr_code": None, **details}
        assert (await client.post("/update-status", json=body)).json() == {"ok": True}
        row = proxy.store.instance("shop")
        assert row is not None
        assert {key: getattr(row, key) for key in DETAILS} == {**dict.fromkeys(DETAILS), **details}
    proxy.store.update_status("shop", "DISCONNECTED", None, StatusDetails(**DETAILS))
    proxy.store.set_status("shop", "CONNECTING")
    assert proxy.store.instances()[0].reason is None, "nobody knows why an operator did so"
    changes = [{key: getattr(change, key) for key in DETAILS} for change in proxy.store.statuses("shop")]
    assert changes == [{**dict.fromkeys(DETAILS), **details} for details in [*posted, DETAILS]]


async def test_a_file_of_an_older_version_gets_the_columns(tmp_path: Path) -> None:
    file = tmp_path / "proxy.db"
    with closing(sqlite3.connect(file)) as sql, sql:
        sql.execute("CREATE TABLE instances (id TEXT PRIMARY KEY, status TEXT NOT NULL, qr_code TEXT, updated_at REAL)")
        sql.execute("CREATE TABLE statuses (seq INTEGER PRIMARY KEY, instance_id, status, qr_code, at REAL)")
        sql.execute("INSERT INTO instances VALUES ('shop', 'CONNECTED', NULL, 1)")
        sql.execute("INSERT INTO statuses VALUES (1, 'shop', 'CONNECTED', NULL, 1)")
    for _ in range(2):
        with closing(Store(file)) as store:
            store.update_status("shop", "DISCONNECTED", None, StatusDetails(**DETAILS))
            row, changes = store.instance("shop"), store.statuses("shop")
            assert row is not None
            assert {key: getattr(row, key) for key in DETAILS} == DETAILS
            assert (changes[0].reason, changes[-1].reason) == (None, "banned")


async def test_status_of_an_unknown_instance_is_404(proxy: ReferenceProxy, client: httpx.AsyncClient) -> None:
    body = {"instanceId": "gone", "status": "CONNECTED", "qr_code": None}
    answer = await client.post("/update-status", json=body)
    assert (answer.status_code, answer.json()) == (404, {"error": "unknown instance"})
    assert proxy.store.statuses("gone") == []


async def test_queue_is_listed_oldest_first_page_by_page(proxy: ReferenceProxy, client: httpx.AsyncClient) -> None:
    ids = proxy.store.queue_many("shop", [(f"551198888000{n}", f"m{n}") for n in range(5)])
    query = {"instanceId": "shop"}
    listed = (await client.get("/queued-messages", params=query)).json()
    assert listed == [{"id": id_, "to": f"551198888000{n}", "body": f"m{n}"} for n, id_ in enumerate(ids)]
    proxy.store.page_size = 2
    assert (await client.get("/queued-messages", params=query)).json() == listed[:2]
    await client.post("/mark-sent", json={"messageId": ids[0], "wa_message_id": "W"})
    assert (await client.get("/queued-messages", params=query)).json() == listed[1:3]


async def test_an_unknown_instance_has_no_queue(proxy: ReferenceProxy, client: httpx.AsyncClient) -> None:
    proxy.store.queue("shop", "5511988887777", "left over")
    proxy.store.remove_instance("shop")
    answer = await client.get("/queued-messages", params={"instanceId": "shop"})
    assert (answer.status_code, answer.json()) == (200, [])
    with pytest.raises(LookupError):
        proxy.store.queue("shop", "5511988887777", "to nobody")


async def test_mark_sent_is_idempotent_and_counted(proxy: ReferenceProxy, client: httpx.AsyncClient) -> None:
    id_ = proxy.store.queue("shop", "5511988887777", "Oi")
    for wa_id in ("W1", "W2"):
        answer = await client.post("/mark-sent", json={"messageId": id_, "wa_message_id": wa_id})
        assert (answer.status_code, answer.json()) == (200, {"ok": True})
    (row,) = proxy.store.messages("shop")
    assert (row.status, row.wa_message_id, row.marks) == ("sent", "W1", 2)
    assert row.sent_at is not None


async def test_mark_failed_is_idempotent_and_never_undoes_a_send(
    proxy: ReferenceProxy, client: httpx.AsyncClient
) -> None:
    sent, failed = proxy.store.queue_many("shop", [("1", "a"), ("2", "b")])
    await client.post("/mark-sent", json={"messageId": sent, "wa_message_id": "W"})
    for id_ in (sent, failed, failed):
        answer = await client.post("/mark-failed", json={"messageId": id_, "error": "not on WhatsApp"})
        assert (answer.status_code, answer.json()) == (200, {"ok": True})
    rows = proxy.store.messages("shop")
    assert [(row.status, row.error) for row in rows] == [("sent", None), ("failed", "not on WhatsApp")]
    assert (await client.get("/queued-messages?instanceId=shop")).json() == []
    # It was sent after all.
    await client.post("/mark-sent", json={"messageId": failed, "wa_message_id": "W2"})
    assert proxy.store.count_messages("sent") == 2


async def test_a_proxy_without_mark_failed(proxy: ReferenceProxy, client: httpx.AsyncClient) -> None:
    id_ = proxy.store.queue("shop", "5511988887777", "Oi")
    proxy.store.has_mark_failed = False
    answer = await client.post("/mark-failed", json={"messageId": id_, "error": "x"})
    assert answer.status_code == 404
    assert proxy.store.count_messages("queued") == 1


async def test_inbound_is_stored_once_and_its_repeats_counted(proxy: ReferenceProxy, client: httpx.AsyncClient) -> None:
    answers = [(await client.post("/inbound", json=INBOUND)).json() for _ in range(3)]
    assert answers == [{"ok": True, "duplicate": repeat} for repeat in (False, True, True)]
    (row,) = proxy.store.inbound("shop")
    assert row == InboundRow(
        seq=1,
        instance_id="shop",
        from_=INBOUND["from"],
        to=INBOUND["to"],
        body=INBOUND["body"],
        wa_message_id="3A01",
        payload=INBOUND,
        times_posted=3,
        received_at=row.received_at,
    )


@attrs.frozen
class Twin:
    name: str
    change: dict[str, Any]
    same: bool


@pytest.mark.parametrize(
    "twin",
    [
        Twin("the body does not matter", {"body": "edited"}, True),
        Twin("nor does from, where chat_id is the same", {"from": "1@lid"}, True),
        Twin("without chat_id the chat is from", {"chat_id": None}, True),
        Twin("another message", {"wa_message_id": "3A02"}, False),
        Twin("the same id in another chat", {"chat_id": "1@s.whatsapp.net"}, False),
        Twin("the same message at another instance", {"instanceId": "pub"}, False),
    ],
    ids=lambda twin: twin.name,
)
async def test_what_makes_two_inbound_messages_the_same(
    proxy: ReferenceProxy, client: httpx.AsyncClient, twin: Twin
) -> None:
    proxy.store.add_instance("pub")
    await client.post("/inbound", json=INBOUND)
    answer = await client.post("/inbound", json={**INBOUND, **twin.change})
    assert answer.json() == {"ok": True, "duplicate": twin.same}
    assert proxy.store.count_inbound() == (1 if twin.same else 2)


async def test_inbound_of_an_unknown_instance_is_404(proxy: ReferenceProxy, client: httpx.AsyncClient) -> None:
    assert (await client.post("/inbound", json={**INBOUND, "instanceId": "gone"})).status_code == 404
    assert proxy.store.inbound() == []


@pytest.mark.parametrize("text_ids", [False, True])
async def test_ids_must_come_back_as_they_went(text_ids: bool) -> None:
    async with open_proxy(secret=SECRET, text_ids=text_ids) as proxy, open_client(proxy) as client:
        proxy.store.add_instance("shop")
        id_ = proxy.store.queue("shop", "5511988887777", "Oi")
        assert type(id_) is (str if text_ids else int)
        for wrong in (str(id_) if isinstance(id_, int) else 1, id_ * 2, "", 10**30, -1):
            answer = await client.post("/mark-sent", json={"messageId": wrong, "wa_message_id": "W"})
            assert answer.status_code == (400 if wrong == "" else 404)
        answer = await client.post("/mark-sent", json={"messageId": id_, "wa_message_id": "W"})
        assert answer.status_code == 200


@attrs.frozen
class Bad:
    name: str
    path: str
    body: Any
    status: int = 400


SENT = {"messageId": 1, "wa_message_id": "W"}
STATUS = {"instanceId": "shop", "status": "CONNECTED", "qr_code": None}

BAD = [
    Bad("empty", "/inbound", b""),
    Bad("not JSON", "/inbound", b"<html>"),
    Bad("not UTF-8", "/inbound", b'{"instanceId": "\xff"}'),
    Bad("UTF-16", "/mark-sent", '{"messageId": 1, "wa_message_id": "W"}'.encode("utf-16")),
    Bad("NaN", "/mark-sent", b'{"messageId": NaN, "wa_message_id": "W"}'),
    Bad("nested beyond reason", "/inbound", b"[" * 100_000),
    Bad("a number of 5000 digits", "/mark-sent", b'{"messageId": ' + b"9" * 5000 + b"}"),
    Bad("a list", "/mark-sent", [SENT]),
    Bad("null", "/mark-sent", b"null"),
    Bad("id is null", "/mark-sent", {**SENT, "messageId": None}),
    Bad("id is true", "/mark-sent", {**SENT, "messageId": True}),
    Bad("id is half", "/mark-sent", {**SENT, "messageId": 1.5}),
    Bad("id is infinite", "/mark-sent", b'{"messageId": 1e999, "wa_message_id": "W"}'),
    Bad("id is a list", "/mark-failed", {"messageId": [1], "error": "x"}),
    Bad("no wa_message_id", "/mark-sent", {"messageId": 1}),
    Bad("empty wa_message_id", "/mark-sent", {**SENT, "wa_message_id": ""}),
    Bad("no error", "/mark-failed", {"messageId": 1}),
    Bad("unknown status", "/update-status", {**STATUS, "status": "ONLINE"}),
    Bad("status is a list", "/update-status", {**STATUS, "status": ["CONNECTED"]}),
    Bad("no qr_code", "/update-status", {"instanceId": "shop", "status": "CONNECTED"}),
    Bad("qr_code is text", "/update-status", {**STATUS, "qr_code": "2@abc,def"}),
    Bad("reason is a number", "/update-status", {**STATUS, "reason": 7}),
    Bad("push_name has half a pair", "/update-status", {**STATUS, "push_name": "\ud83d"}),
    Bad("jid is a list", "/update-status", {**STATUS, "jid": []}),
    Bad("action is true", "/update-status", {**STATUS, "action": True}),
    Bad("until is text", "/update-status", {**STATUS, "until": "1790000000"}),
    Bad("until is half a second", "/update-status", {**STATUS, "until": 1790000000.5}),
    Bad("until is before all time", "/update-status", {**STATUS, "until": -1}),
    Bad("since is beyond all time", "/update-status", {**STATUS, "since": 10**30}),
    Bad("instanceId is a number", "/update-status", {**STATUS, "instanceId": 7}),
    Bad(
        "half a surrogate pair",
        "/update-status",
        rb'{"instanceId":"\ud83d","status":"CONNECTED","qr_code":null}',
    ),
    Bad("body is null", "/inbound", {**INBOUND, "body": None}),
    Bad("from is empty", "/inbound", {**INBOUND, "from": ""}),
    Bad("to is missing", "/inbound", {key: INBOUND[key] for key in INBOUND if key != "to"}),
    Bad("chat_id is a number", "/inbound", {**INBOUND, "chat_id": 1}),
    Bad("chat_id has half a pair", "/inbound", {**INBOUND, "chat_id": "\ud83d"}),
    Bad("interactive is no object", "/inbound", {**INBOUND, "interactive": "list_reply"}),
    Bad("interactive has no type", "/inbound", {**INBOUND, "interactive": {}}),
    Bad("a row without an id", "/inbound", {**INBOUND, "interactive": {"type": "list_reply", "list_reply": {}}}),
    Bad("a button without a text", "/inbound", {**INBOUND, "button": {"payload": "stop"}}),
    Bad("chat_type is new", "/inbound", {**INBOUND, "chat_type": "newsletter"}),
    Bad("timestamp is text", "/inbound", {**INBOUND, "timestamp": "1790000000"}),
    Bad("timestamp is fractional", "/inbound", {**INBOUND, "timestamp": 1790000000.5}),
    Bad("GET where POST is due", "GET /inbound", b"", 405),
    Bad("POST where GET is due", "/queued-messages", {}, 405),
    Bad("OPTIONS", "OPTIONS /inbound", b"", 405),
    Bad("no instanceId", "GET /queued-messages", b"", 400),
    Bad("empty instanceId", "GET /queued-messages?instanceId=", b"", 400),
    Bad("no such path", "GET /v2/inbound", b"", 404),
    Bad("a slash too many", "/inbound/", INBOUND, 404),
]


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
async def test_bad_input_is_refused_with_a_reason(proxy: ReferenceProxy, client: httpx.AsyncClient, bad: Bad) -> None:
    proxy.store.queue("shop", "5511988887777", "Oi")
    method, _, path = bad.path.rpartition(" ")
    if isinstance(bad.body, bytes):
        answer = await client.request(method or "POST", path, content=bad.body)
    else:
        # httpx encodes JSON as UTF-8, which half a pair has no place in: spell it as an escape.
        answer = await client.request(method or "POST", path, content=_ascii_json(bad.body))
    assert answer.status_code == bad.status
    assert isinstance(answer.json()["error"], str)
    assert proxy.store.inbound() == []
    assert proxy.store.statuses("shop") == []
    assert proxy.store.count_messages("queued") == 1


def _ascii_json(body: object) -> bytes:
    return json.dumps(body).encode()


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer wrong",
        "Bearer s3cret",
        "Basic czNjcsOpdA==",
        f"Token {SECRET}",
        "Bearer \xff",
        f"bearer {SECRET}",
        f"Bearer  {SECRET}",
        f"Bearer {SECRET} x",
    ],
)
@pytest.mark.parametrize("path", ["GET /disconnected-instances", "POST /inbound", "GET /admin/instances"])
async def test_401_without_the_secret(proxy: ReferenceProxy, path: str, authorization: str | None) -> None:
    headers = {} if authorization is None else {b"Authorization": authorization.encode("utf-8")}
    method, _, path = path.partition(" ")
    async with httpx.AsyncClient(base_url=proxy.url) as client:
        answer = await client.request(method, path, headers=headers, json=INBOUND)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert proxy.store.inbound() == []


async def test_wait_for_sees_each_change(
    proxy: ReferenceProxy, client: httpx.AsyncClient, nursery: trio.Nursery
) -> None:
    async def post() -> None:
        await client.post("/inbound", json=INBOUND)

    nursery.start_soon(post)
    with trio.fail_after(10):
        (row,) = await proxy.wait_for(lambda store: store.inbound("shop"))
        assert row.wa_message_id == "3A01"
        assert await proxy.changed.wait(lambda store: store.requests["inbound"]) == 1
    with trio.move_on_after(0.05) as scope:
        await proxy.wait_for(lambda store: store.messages("shop"))
    assert scope.cancelled_caught


async def test_mark_sent_may_name_whom_it_went_to(proxy: ReferenceProxy, client: httpx.AsyncClient) -> None:
    proxy.store.add_instance("shop")
    first, second = proxy.store.queue_many("shop", [("5531988880005", "a"), ("5531988880006", "b")])
    mark = {"messageId": first, "wa_message_id": "W1", "to": "553188880005@s.whatsapp.net"}
    assert (await client.post("/mark-sent", json=mark)).status_code == 200
    assert (await client.post("/mark-sent", json={"messageId": second, "wa_message_id": "W2"})).status_code == 200
    assert [row.sent_to for row in proxy.store.messages()] == ["553188880005@s.whatsapp.net", None]
    assert (await client.post("/mark-sent", json={**mark, "to": ""})).status_code == 400
