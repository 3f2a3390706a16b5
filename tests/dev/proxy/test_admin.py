"""The admin side: what the `curl` lines of the README and the benchmark do."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from wa_worker.dev.proxy import Fault, ReferenceProxy


async def test_instances(proxy: ReferenceProxy, client: httpx.AsyncClient) -> None:
    created = await client.post("/admin/instances", json={"id": "../pub"})
    assert (created.status_code, created.json()["status"]) == (201, "DISCONNECTED")
    assert (await client.post("/admin/instances", json={"id": "../pub"})).status_code == 200
    set_ = await client.put("/admin/instances/shop", json={"status": "CONNECTED"})
    assert set_.json()["status"] == "CONNECTED"
    listed = (await client.get("/admin/instances")).json()
    assert [(row["id"], row["status"]) for row in listed] == [("../pub", "DISCONNECTED"), ("shop", "CONNECTED")]
    assert (await client.delete("/admin/instances/..%2Fpub")).json() == {"ok": True}
    assert (await client.delete("/admin/instances/..%2Fpub")).status_code == 404
    assert (await client.put("/admin/instances/pub", json={"status": "CONNECTED"})).status_code == 404
    assert [row.id for row in proxy.store.instances()] == ["shop"]


async def test_messages_and_what_came_of_them(proxy: ReferenceProxy, client: httpx.AsyncClient) -> None:
    row = {"instanceId": "shop", "to": "5511988887777", "body": "Oi"}
    assert (await client.post("/admin/messages", json=row)).json() == {"id": 1, "ids": [1]}
    assert (await client.post("/admin/messages", json={**row, "copies": 3})).json()["ids"] == [2, 3, 4]
    assert (await client.post("/admin/messages", json={**row, "instanceId": "gone"})).status_code == 404
    await client.post("/mark-sent", json={"messageId": 1, "wa_message_id": "W"})
    inbound = {"instanceId": "shop", "from": "1@lid", "to": "2@lid", "body": "", "wa_message_id": "A"}
    await client.post("/inbound", json=inbound)
    status = {"instanceId": "shop", "status": "DISCONNECTED", "qr_code": None}
    await client.post("/update-status", json=status)

    query = {"instanceId": "shop"}
    messages = (await client.get("/admin/messages", params=query)).json()
    assert [(m["id"], m["status"], m["marks"]) for m in messages[:2]] == [(1, "sent", 1), (2, "queued", 0)]
    (arrived,) = (await client.get("/admin/inbound", params=query)).json()
    assert (arrived["from"], arrived["times_posted"], arrived["payload"]) == ("1@lid", 1, inbound)
    (posted,) = (await client.get("/admin/statuses", params=query)).json()
    assert posted["status"] == "DISCONNECTED"
    assert (await client.get("/admin/counts")).json() == {
        "messages": {"queued": 3, "sent": 1, "failed": 0},
        "inbound": 1,
        "requests": {"mark-sent": 1, "inbound": 1, "update-status": 1},
        "events": {},
        "connections": 1,
    }


async def test_faults(proxy: ReferenceProxy, client: httpx.AsyncClient) -> None:
    faults = {"inbound": {"status": 502, "body": "<html>", "times": 2}, "*": {"delay": 0.01}}
    assert (await client.put("/admin/faults", json=faults)).status_code == 200
    assert proxy.faults.in_force() == {
        "inbound": Fault(status=502, body=b"<html>", times=2),
        "*": Fault(delay=0.01),
    }
    assert (await client.post("/inbound")).text == "<html>"
    in_force = (await client.get("/admin/faults")).json()
    assert (in_force["inbound"]["times"], in_force["inbound"]["body"]) == (1, "<html>")
    assert (await client.put("/admin/faults", json=in_force)).json() == in_force
    assert (await client.delete("/admin/faults")).json() == {"ok": True}
    assert proxy.faults.in_force() == {}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/admin/instances", {"id": 7}),
        ("POST", "/admin/instances", {"id": ""}),
        ("POST", "/admin/instances", {"id": "x", "status": "ONLINE"}),
        ("PUT", "/admin/instances/shop", {"status": None}),
        ("POST", "/admin/messages", {"instanceId": "shop", "to": "1"}),
        ("POST", "/admin/messages", {"instanceId": "shop", "to": "1", "body": "x", "copies": 0}),
        ("PUT", "/admin/faults", {"inbound": 503}),
        ("PUT", "/admin/faults", {"inbound": {"status": "teapot"}}),
        ("PUT", "/admin/faults", {"inbound": {"status": 42}}),
        ("PUT", "/admin/faults", {"inbound": {"colour": "red"}}),
        ("PUT", "/admin/faults", {"inbound": {"headers": 1}}),
        ("PUT", "/admin/faults", {"mark-read": {"status": 500}}),
        ("PUT", "/admin/faults", []),
    ],
)
async def test_bad_input_changes_nothing(
    proxy: ReferenceProxy, client: httpx.AsyncClient, method: str, path: str, body: Any
) -> None:
    answer = await client.request(method, path, json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert [row.id for row in proxy.store.instances()] == ["shop"]
    assert proxy.store.messages() == []
    assert proxy.faults.in_force() == {}
