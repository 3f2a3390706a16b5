"""POST /events of the Edge Function, on PostgreSQL and Deno. PostgreSQL's bad days are in test_event_troubles.py."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.dev.proxy.test_endpoints import INBOUND, QR
from tests.worker_proxy.backend import EdgeProxy
from tests.worker_proxy.calls import STATUS, WHY, Row, event, post, said, statuses, why


async def test_all_kinds_in_one_call(proxy: EdgeProxy, client: httpx.AsyncClient) -> None:
    first, second = proxy.store.queue_many("shop", [("5511988880001", "Oi")] * 2)
    jid = "5511988880001@s.whatsapp.net"
    results = await post(
        client,
        event("status", STATUS, **WHY),
        event("sent", {"instanceId": "shop", "messageId": first, "wa_message_id": "3EB0", "to": jid}),
        said(1),
        event("failed", {"instanceId": "shop", "messageId": second, "error": "no such number"}),
        said(2),
    )
    assert results == [{"status": 200}] * 5
    row = proxy.store.instance("shop")
    assert row is not None
    assert (row.status, why(proxy)) == ("CONNECTED", WHY)
    sent, failed = proxy.store.messages()
    assert (sent.status, sent.wa_message_id, failed.status, failed.error) == (
        *("sent", "3EB0"),
        *("failed", "no such number"),
    )
    assert proxy.store.db.execute("select sent_to from wa_messages order by id").fetchall() == [(jid,), (None,)]
    assert [row.body for row in proxy.store.inbound("shop")] == ["m1", "m2"]


async def test_repeats_change_nothing(proxy: EdgeProxy, client: httpx.AsyncClient) -> None:
    id_ = proxy.store.queue("shop", "5511988880001", "Oi")
    mark = {"instanceId": "shop", "messageId": id_}
    batch = [
        event("sent", mark, wa_message_id="W1", to="1@s.whatsapp.net"),
        event("failed", mark, error="too late"),
        event("sent", mark, wa_message_id="W2"),
        said(1),
        said(1),
    ]
    for _ in range(2):
        assert await statuses(client, *batch) == [200] * 5
    (row,) = proxy.store.messages()
    assert (row.status, row.wa_message_id, row.error) == ("sent", "W1", None)
    assert proxy.store.db.execute("select sent_to from wa_messages").fetchall() == [("1@s.whatsapp.net",)]
    assert proxy.store.count_inbound() == 1


async def test_the_last_status_wins(proxy: EdgeProxy, client: httpx.AsyncClient) -> None:
    shown = {"instanceId": "shop", "status": "CONNECTING", "qr_code": QR}
    gone = {"instanceId": "shop", "status": "DISCONNECTED", "qr_code": None, "reason": "logged_out"}
    await post(client, event("status", STATUS), event("status", gone), event("status", shown, reason="scan"))
    row = proxy.store.instance("shop")
    assert row is not None
    assert (row.status, row.qr_code, why(proxy)["reason"]) == ("CONNECTING", QR, "scan")


async def test_version_1_stores_the_same(proxy: EdgeProxy, client: httpx.AsyncClient) -> None:
    id_ = proxy.store.queue("shop", "5511988880001", "Oi")
    assert (await client.post("/update-status", json={**STATUS, **WHY})).status_code == 200
    assert why(proxy) == WHY
    mark = {"messageId": id_, "wa_message_id": "W", "to": "55@lid"}
    assert (await client.post("/mark-sent", json=mark)).status_code == 200
    assert proxy.store.db.execute("select sent_to from wa_messages").fetchall() == [("55@lid",)]
    # A worker of before says none of it.
    assert (await client.post("/update-status", json=STATUS)).status_code == 200
    assert why(proxy) == dict.fromkeys(WHY)


async def test_a_time_that_no_calendar_has_is_not_stored(proxy: EdgeProxy, client: httpx.AsyncClient) -> None:
    assert await statuses(client, event("status", STATUS, until=2**53 - 1, since=253402300799, reason="scan")) == [200]
    assert (why(proxy)["until"], why(proxy)["since"]) == (None, 253402300799)


async def test_a_reason_does_not_outlive_that_somebody_wants_the_instance(
    proxy: EdgeProxy, client: httpx.AsyncClient
) -> None:
    await post(client, event("status", {**STATUS, "status": "DISCONNECTED"}, **WHY))
    proxy.store.enable("shop", False)
    left = {**dict.fromkeys(WHY), "jid": WHY["jid"], "push_name": WHY["push_name"]}
    assert why(proxy) == left
    assert await statuses(client, event("status", STATUS, **WHY)) == [404]
    assert why(proxy) == left


BUTTON = {"payload": "yes", "text": "Sim\0"}
REPLY: Row = {
    "type": "list_reply",
    "list_reply": {"id": "7", "title": "\0Sete", "description": None, "more": "\0"},
    "x": 5,
}


@pytest.mark.parametrize("version", [1, 2])
async def test_what_was_chosen_is_stored(proxy: EdgeProxy, client: httpx.AsyncClient, version: int) -> None:
    deep: Any = []
    for _ in range(900):
        deep = [deep]
    chosen: Row = {"button": BUTTON, "interactive": {**REPLY, "deep": deep, "nfm_reply": None}}
    for n, more in enumerate((chosen, {"button": None, "interactive": None}, {})):
        if version == 1:
            body = {**INBOUND, "wa_message_id": f"3A{n}", **more}
            assert (await client.post("/inbound", json=body)).status_code == 200
        else:
            assert await statuses(client, said(n, **more)) == [200]
    rows = proxy.store.db.execute("select button, interactive from wa_inbound order by id").fetchall()
    assert rows == [
        (
            {"payload": "yes", "text": "Sim\ufffd"},
            {"type": "list_reply", "list_reply": {"id": "7", "title": "\ufffdSete"}},
        ),
        (None, None),
        (None, None),
    ]


# Events that are not taken

WRONG: dict[str, tuple[str, Row]] = {
    "no body": ("inbound", {key: value for key, value in INBOUND.items() if key != "body"}),
    "no from": ("inbound", {key: value for key, value in INBOUND.items() if key != "from"}),
    "a button that is none": ("inbound", {**INBOUND, "button": "yes"}),
    "half a surrogate pair": ("inbound", {**INBOUND, "body": "\ud800"}),
    "a long id": ("inbound", {**INBOUND, "wa_message_id": "x" * 257}),
    "an unknown instance's message": ("inbound", {**INBOUND, "instanceId": "gone"}),
    "an unknown status": ("status", {**STATUS, "status": "ONLINE"}),
    "a status without a code": ("status", {"instanceId": "shop", "status": "CONNECTED"}),
    "a reason that is no text": ("status", {**STATUS, "reason": 5}),
    "a time that is no number": ("status", {**STATUS, "until": "soon"}),
    "a time before all times": ("status", {**STATUS, "since": -1}),
    "a time beyond all times": ("status", {**STATUS, "until": 2**53}),
    "an unknown instance's status": ("status", {**STATUS, "instanceId": "gone"}),
    "an unknown message": ("sent", {"instanceId": "shop", "messageId": 999999, "wa_message_id": "W"}),
    "a mark without an id": ("sent", {"instanceId": "shop", "wa_message_id": "W"}),
    "an unknown message failed": ("failed", {"instanceId": "shop", "messageId": "17", "error": "no"}),
    "a failure without an error": ("failed", {"instanceId": "shop", "messageId": 1}),
}
PATHS = {"inbound": "/inbound", "status": "/update-status", "sent": "/mark-sent", "failed": "/mark-failed"}


@pytest.mark.parametrize("name", WRONG)
async def test_a_bad_event_is_answered_as_by_version_1_and_the_others_are_taken(
    proxy: EdgeProxy, client: httpx.AsyncClient, name: str
) -> None:
    kind, fields = WRONG[name]
    alone = await client.post(PATHS[kind], content=json.dumps(fields))
    assert alone.status_code in (400, 404)
    bad = event(kind, fields)
    other = {"from": "another@g.us", "chat_id": "another@g.us"}
    results = await post(client, event("status", STATUS), bad, said(1, **other), bad)
    assert results[:3] == [{"status": 200}, {"status": alone.status_code, **alone.json()}, {"status": 200}]
    assert results[3]["status"] in (alone.status_code, 503)
    assert [row.body for row in proxy.store.inbound()] == ["m1"]


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        (5, "each of events must be an object"),
        (None, "each of events must be an object"),
        ([], "each of events must be an object"),
        ({}, "event_id must be a non-empty string"),
        ({"event_id": "x" * 129, "type": "status", **STATUS}, "event_id is longer than 128 characters"),
        ({"event_id": 5, "type": "status", **STATUS}, "event_id must be a non-empty string"),
        ({"event_id": "e", "type": "status"}, "instanceId must be a non-empty string"),
        (
            {"event_id": "e", "type": "presence", **STATUS},
            "type must be one of status, sent, failed, inbound, message_status, event",
        ),
        (
            {"event_id": "e", "type": "refused", **STATUS},
            "type must be one of status, sent, failed, inbound, message_status, event",
        ),
        (
            {"event_id": "e", "type": "constructor"},
            "type must be one of status, sent, failed, inbound, message_status, event",
        ),
        ({"event_id": "e", **STATUS}, "type must be one of status, sent, failed, inbound, message_status, event"),
        (
            {"event_id": "e", "type": "sent", "messageId": 1, "wa_message_id": "W"},
            "instanceId must be a non-empty string",
        ),
        ({"event_id": "e", "type": "failed", "messageId": 1, "error": "W"}, "instanceId must be a non-empty string"),
    ],
)
async def test_what_is_no_event_is_400_in_its_place(client: httpx.AsyncClient, bad: Any, text: str) -> None:
    assert await post(client, bad, said(1)) == [{"status": 400, "error": text}, {"status": 200}]


@pytest.mark.parametrize("body", ["[]", "{}", '{"events": null}', '{"events": {}}', '"x"', "", '{"events": [}'])
async def test_a_call_that_is_none_is_400(client: httpx.AsyncClient, body: str) -> None:
    assert (await client.post("/events", content=body)).status_code == 400


async def test_twice_what_a_worker_sends_and_no_more(proxy: EdgeProxy, client: httpx.AsyncClient) -> None:
    assert await post(client) == []
    many = [said(n) for n in range(201)]
    assert (await client.post("/events", json={"events": many})).status_code == 413
    assert await statuses(client, *many[:200]) == [200] * 200
    assert [row.body for row in proxy.store.inbound()] == [f"m{n}" for n in range(200)]
    large = [said(n, push_name="x" * 500_000) for n in ("a", "b", "c", "d", "e")]
    assert await statuses(client, *large[:4]) == [200] * 4
    assert (await client.post("/events", json={"events": large})).status_code == 413
    assert proxy.store.count_inbound() == 204


async def test_what_changes_in_a_group_keeps_its_place_among_the_messages(
    proxy: EdgeProxy, client: httpx.AsyncClient
) -> None:
    group = "12036304@g.us"
    message = {"from": group, "chat_id": group}
    fields = {
        "instanceId": "shop",
        "event_type": "group",
        "chat_id": group,
        "action": "subject",
        "timestamp": 1_790_000_000,
    }
    change = event("event", {**fields, "description": "", "announce": True})
    assert await statuses(client, said(1, body=None, **message), change, said(2)) == [400, 503, 200]
    assert await statuses(client, {**change, "event_type": None}, said(3, **message)) == [400, 503]
    assert await statuses(client, change, said(3, **message)) == [200, 200]


async def test_nothing_of_a_chat_passes_what_was_refused(proxy: EdgeProxy, client: httpx.AsyncClient) -> None:
    proxy.store.add_instance("two")
    other = {"from": "5511900000001@s.whatsapp.net", "chat_id": "5511900000001@s.whatsapp.net"}
    results = await post(
        client,
        said(1),
        said(2, message_type=5),
        said(3),
        said(4, **other),
        said(1),
        said(5, instanceId="two"),
        said(6, body=None),
        event("status", STATUS),
    )
    assert [result["status"] for result in results] == [200, 400, 503, 200, 503, 200, 503, 200]
    assert results[2]["error"]
    assert [(row.instance_id, row.body) for row in proxy.store.inbound()] == [
        ("shop", "m1"),
        ("shop", "m4"),
        ("two", "m5"),
    ]
    # The next call is another one.
    assert await statuses(client, said(2), said(3)) == [200, 200]


async def test_messages_are_marked_for_their_own_instance_alone(proxy: EdgeProxy, client: httpx.AsyncClient) -> None:
    proxy.store.add_instance("two")
    id_ = proxy.store.queue("shop", "5511988880001", "Oi")
    mark = {"instanceId": "two", "messageId": id_}
    strangers = [event("sent", mark, wa_message_id="W"), event("failed", mark, error="no")]
    assert await post(client, *strangers) == [{"status": 404, "error": "unknown message"}] * 2
    (row,) = proxy.store.messages()
    assert (row.status, row.wa_message_id, row.error) == ("queued", None, None)
    own = {**mark, "instanceId": "shop"}
    assert await statuses(client, event("sent", own, wa_message_id="W"), *strangers) == [200, 404, 404]
    proxy.store.remove_instance("shop")
    assert await statuses(client, event("sent", own, wa_message_id="W"), event("failed", own, error="x")) == [200, 200]


async def test_an_unknown_instances_status_tells_nothing_of_others(proxy: EdgeProxy, client: httpx.AsyncClient) -> None:
    proxy.store.add_instance("two")
    assert await statuses(client, event("status", {**STATUS, "instanceId": "gone"}), event("status", STATUS)) == [
        404,
        200,
    ]
    two = proxy.store.instance("two")
    assert two is not None
    assert (two.status, why(proxy, "two")) == ("DISCONNECTED", dict.fromkeys(WHY))


async def test_order_within_a_chat(proxy: EdgeProxy, client: httpx.AsyncClient) -> None:
    assert await statuses(client, *(said(n) for n in range(100))) == [200] * 100
    assert [row.body for row in proxy.store.inbound()] == [f"m{n}" for n in range(100)]
