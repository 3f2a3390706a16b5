"""Rows to send of every kind, what a proxy wants to hear of, and pairing by a code: by both versions of the calls."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from tests.proxy_fixture import until
from wa_worker.dev.proxy import ReferenceProxy, Store

from .test_polling import asked, held

NUMBER = "5511988887777"

ROWS: list[dict[str, Any]] = [
    {"body": "Oi"},
    {"type": "text", "body": "Oi", "context": {"message_id": "3A00"}, "mentions": [NUMBER], "typing_ms": 800},
    {"type": "image", "media": {"link": "https://files.example/1.jpg", "caption": "Pão"}},
    {"type": "audio", "media": {"link": "https://files.example/1.ogg", "mime_type": "audio/ogg", "voice": True}},
    {"type": "document", "media": {"link": "https://files.example/1.pdf", "filename": "1.pdf"}, "body": "Nota"},
    {"type": "location", "location": {"latitude": -23.5, "longitude": -46.6}},
    {"type": "contacts", "contacts": [{"name": {"formatted_name": "Ana"}, "phones": [{"phone": NUMBER}]}]},
    {"type": "reaction", "reaction": {"message_id": "3A00", "emoji": ""}},
    {"type": "edit", "edit": {"message_id": "3EB0"}, "body": "Olá"},
    {"type": "revoke", "revoke": {"message_id": "3EB0"}},
    {"type": "poll", "poll": {"name": "Quando?", "options": ["hoje", "amanhã"], "selectable_count": 1}},
]


async def test_rows_are_listed_with_what_was_set_and_nothing_else(
    proxy: ReferenceProxy, client: httpx.AsyncClient
) -> None:
    proxy.store.set_status("shop", "CONNECTED")
    for row in ROWS:
        answer = await client.post("/admin/messages", json={"instanceId": "shop", "to": NUMBER, **row})
        assert answer.status_code == 201
    listed = (await client.get("/queued-messages?instanceId=shop")).json()
    assert listed == [{"id": id_, "to": NUMBER, **row} for id_, row in enumerate(ROWS, 1)]
    polled = (await client.post("/poll", json=asked(shop="CONNECTED"))).json()["messages"]
    assert polled == [{"instanceId": "shop", **row} for row in listed]
    assert [row.content for row in proxy.store.messages()] == [None, *ROWS[1:]]
    assert [row.body for row in proxy.store.messages()][:3] == ["Oi", "Oi", ""]


async def test_a_text_is_listed_to_the_byte_as_before(proxy: ReferenceProxy, client: httpx.AsyncClient) -> None:
    proxy.store.set_status("shop", "CONNECTED")
    proxy.store.queue("shop", NUMBER, "")
    text = '"id":1,"to":"5511988887777","body":""}'
    assert (await client.get("/queued-messages?instanceId=shop")).text == f"[{{{text}]"
    polled = (await client.post("/poll", json=asked(shop="CONNECTED"))).text
    assert polled == f'{{"instances":[],"messages":[{{"instanceId":"shop",{text}]}}'


async def test_the_store_takes_what_a_back_end_gets_wrong(proxy: ReferenceProxy, client: httpx.AsyncClient) -> None:
    proxy.store.queue_row("shop", NUMBER, type="hologram", media=7)
    proxy.store.queue_rows("shop", [{"to": 5, "body": None}])
    listed = (await client.get("/queued-messages?instanceId=shop")).json()
    assert listed[0] == {"id": 1, "to": NUMBER, "type": "hologram", "media": 7}
    assert listed[1]["body"] is None
    with pytest.raises(LookupError):
        proxy.store.queue_row("gone", NUMBER, body="Oi")


@pytest.mark.parametrize(
    "wrong",
    [{}, {"type": "image", "media": []}, {"type": 7}, {"type": "text", "body": 7}, {"body": "x", "typing_ms": True}],
)
async def test_the_admin_side_takes_no_field_of_the_wrong_type(
    proxy: ReferenceProxy, client: httpx.AsyncClient, wrong: dict[str, Any]
) -> None:
    answer = await client.post("/admin/messages", json={"instanceId": "shop", "to": NUMBER, **wrong})
    assert answer.status_code == 400
    assert proxy.store.messages() == []


async def test_a_file_of_an_older_version_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "proxy.db"
    with closing(sqlite3.connect(file)) as sql, sql:
        sql.execute("CREATE TABLE instances (id TEXT PRIMARY KEY, status TEXT NOT NULL, qr_code TEXT, updated_at REAL)")
        sql.execute("INSERT INTO instances VALUES ('shop', 'CONNECTED', NULL, 1)")
        sql.execute(
            'CREATE TABLE messages (seq INTEGER PRIMARY KEY, id NOT NULL UNIQUE, instance_id, "to", body, '
            "status TEXT NOT NULL DEFAULT 'queued', wa_message_id, error, marks NOT NULL DEFAULT 0, queued_at, sent_at)"
        )
        sql.execute("INSERT INTO messages (seq, id, instance_id, \"to\", body) VALUES (1, 1, 'shop', '1', 'Oi')")
        sql.execute(
            "CREATE TABLE inbound (seq INTEGER PRIMARY KEY, instance_id, chat, wa_message_id, "
            '"from", "to", body, payload, times_posted NOT NULL DEFAULT 1, received_at, '
            "UNIQUE (instance_id, chat, wa_message_id))"
        )
        sql.execute("INSERT INTO inbound VALUES (1, 'shop', 'c', 'W', 'c', 'me', 'Oi', '{}', 1, 1)")
    for _ in range(2):
        with closing(Store(file)) as store:
            assert store.queued("shop")[0] == {"id": 1, "to": "1", "body": "Oi"}
            assert [row.content for row in store.inbound("shop")] == [{}]
            store.set_pair_phone("shop", NUMBER)
            store.queue_row("shop", NUMBER, **ROWS[2])


async def test_pairing_by_a_code(proxy: ReferenceProxy, client: httpx.AsyncClient) -> None:
    assert (await client.post("/admin/instances", json={"id": "new", "pair_phone": NUMBER})).status_code == 201
    shop = (await client.put("/admin/instances/shop", json={"pair_phone": "551188880001"})).json()
    assert (shop["pair_phone"], shop["status"]) == ("551188880001", "DISCONNECTED")
    listed = [{"id": "new", "pair_phone": NUMBER}, {"id": "shop", "pair_phone": "551188880001"}]
    assert (await client.get("/disconnected-instances")).json() == listed
    assert (await client.post("/poll", json=asked())).json()["instances"] == listed

    said = {"instanceId": "new", "qr_code": None, "pairing_code": "ABCD-1234", "pairing_expires_at": 1790000060}
    shown = []
    for status in ("CONNECTING", "CONNECTED"):
        assert (await client.post("/update-status", json={**said, "status": status})).status_code == 200
        row = proxy.store.instance("new")
        assert row is not None
        shown.append((row.pairing_code, row.pairing_expires_at))
    assert shown == [("ABCD-1234", 1790000060), (None, None)], "a code that is over must not stay on a page"
    assert [change.pairing_code for change in proxy.store.statuses("new")] == ["ABCD-1234"] * 2
    for wrong in ({"pairing_code": 7}, {"pairing_expires_at": "soon"}):
        body = {**said, "status": "CONNECTING", **wrong}
        assert (await client.post("/update-status", json=body)).status_code == 400

    await client.put("/admin/instances/shop", json={"status": "CONNECTING", "pair_phone": None})
    assert (await client.get("/disconnected-instances")).json() == [{"id": "shop"}]
    for wrong_phone in ("+55 11", "", 5511988887777, "1" * 16):
        assert (await client.put("/admin/instances/shop", json={"pair_phone": wrong_phone})).status_code == 400
    assert (await client.put("/admin/instances/gone", json={"pair_phone": NUMBER})).status_code == 404


async def test_what_it_wants_to_hear_of(proxy: ReferenceProxy, client: httpx.AsyncClient) -> None:
    assert "want" not in (await client.post("/poll", json=asked())).json()
    assert (await client.get("/admin/want")).json() == {"want": None}
    for want in (["reaction", "edit"], []):
        assert (await client.put("/admin/want", json={"want": want})).json() == {"want": want}
        assert (await client.post("/poll", json=asked())).json()["want"] == want
    for wrong in ("reaction", [7], [""]):
        assert (await client.put("/admin/want", json={"want": wrong})).status_code == 400
    assert proxy.want == ()
    await client.put("/admin/want", json={"want": None})
    assert "want" not in (await client.post("/poll", json=asked())).json()


async def test_the_proxy_of_an_instance(proxy: ReferenceProxy, client: httpx.AsyncClient) -> None:
    async def listed() -> Any:
        one = (await client.get("/disconnected-instances")).json()
        assert (await client.post("/poll", json=asked())).json()["instances"] == one
        return one

    assert await listed() == [{"id": "shop"}]
    for url in ("http://u:p@proxy:1", "nonsense", None):
        proxy.store.set_status("shop", "CONNECTED")
        put = await client.put("/admin/instances/shop", json={"proxy": url})
        assert put.status_code == 200
        assert "proxy:1" not in put.text, "who reads instances reads no password"
        assert await listed() == [{"id": "shop", "proxy": url}], "though it was connected"
    assert (await client.put("/admin/instances/shop", json={"proxy": 7})).status_code == 400
    proxy.store.play_older()
    assert await listed() == [{"id": "shop"}]


@pytest.mark.parametrize("change", ["want", "pair_phone"])
async def test_a_held_answer_ends_when_it_would_say_something_else(
    proxy: ReferenceProxy, client: httpx.AsyncClient, nursery: trio.Nursery, change: str
) -> None:
    answers: list[dict[str, Any]] = []

    async def poll() -> None:
        answers.append((await client.post("/poll", json=asked(60, shop="DISCONNECTED"), timeout=None)).json())

    nursery.start_soon(poll)
    await held(proxy)
    if change == "want":
        proxy.want = ("edit",)
    else:
        proxy.store.set_pair_phone("shop", NUMBER)
    await until(lambda: answers)
    assert answers[0].get("want") == (["edit"] if change == "want" else None)
    assert answers[0]["instances"][0].get("pair_phone") == (None if change == "want" else NUMBER)


async def test_an_older_proxy_says_nothing_of_them(proxy: ReferenceProxy, client: httpx.AsyncClient) -> None:
    proxy.want = ("edit",)
    proxy.store.set_pair_phone("shop", NUMBER)
    assert (await client.post("/admin/play-older")).json() == {"ok": True}
    assert (await client.get("/disconnected-instances")).text == '[{"id":"shop"}]'
    assert (await client.post("/poll", json=asked())).text == '{"instances":[{"id":"shop"}],"messages":[]}'
