"""What the Edge Function says and takes beyond texts, on PostgreSQL: content, receipts, events, rows, codes."""

from __future__ import annotations

import itertools
from typing import Any

import httpx
import pytest
import trio

from tests.dev.proxy import test_content as _content
from tests.dev.proxy import test_receipts as _receipts
from tests.dev.proxy.test_content import CONTENT, LATER, MEDIA, PENDING, Later
from tests.dev.proxy.test_endpoints import INBOUND
from tests.dev.proxy.test_receipts import EVENT, GROUP, PERSON, STATUS, tell
from tests.dev.proxy.test_rows import NUMBER, ROWS
from tests.proxy_fixture import until
from tests.worker_proxy.backend import EdgeProxy
from tests.worker_proxy.calls import poll, waiting
from tests.worker_proxy.conftest import open_client
from tests.worker_proxy.processes import Server, open_function

test_wrong_content_is_refused_with_a_reason = _content.test_what_is_wrong_is_refused_with_a_reason
test_wrong_receipts_and_events_are_refused = _receipts.test_what_is_wrong_is_refused


@pytest.mark.parametrize("version", [1, 2])
async def test_each_object_is_a_column(proxy: EdgeProxy, client: httpx.AsyncClient, version: int) -> None:
    """With what the contract names of it and no more, and with nothing that PostgreSQL cannot store."""
    odd = {**CONTENT, "media": {**MEDIA, "filename": "a\0b", "new": {"x": 1}}, "call": {**CONTENT["call"], "new": 1}}
    for n, content in enumerate((CONTENT, dict.fromkeys(CONTENT), odd)):
        assert await tell(client, version, "inbound", {**INBOUND, **content, "wa_message_id": f"3A{n}"}) == 200
    first, second, third = proxy.store.inbound("shop")
    assert (first.content, second.content) == (CONTENT, {})
    assert third.content == {**CONTENT, "media": {**MEDIA, "filename": "a\ufffdb"}}


@pytest.mark.parametrize("later", LATER, ids=lambda later: later.name)
async def test_what_comes_later_is_merged(proxy: EdgeProxy, client: httpx.AsyncClient, later: Later) -> None:
    context = {"message_id": "3A00"}
    await client.post("/inbound", json={**INBOUND, "media": later.first, "context": context})
    again = {**INBOUND, "body": "other words", "media": later.then, "update": later.update}
    assert (await client.post("/inbound", json=again)).json() == {"ok": True, "duplicate": True}
    other = {**again, "chat_id": "another@g.us"}
    assert (await client.post("/inbound", json=other)).json() == {"ok": True, "duplicate": False}
    row, _ = proxy.store.inbound()
    assert (row.content, row.body) == ({"media": later.became, "context": context}, INBOUND["body"])


async def test_an_update_of_another_instances_message_is_none(proxy: EdgeProxy, client: httpx.AsyncClient) -> None:
    proxy.store.add_instance("pub")
    for instance in ("shop", "pub"):
        await client.post("/inbound", json={**INBOUND, "instanceId": instance, "media": PENDING})
    file = {"mime_type": "image/jpeg", "url": "https://files.example/1"}
    await client.post("/inbound", json={**INBOUND, "instanceId": "pub", "media": file, "update": True})
    assert [row.content["media"].get("url") for row in proxy.store.inbound()] == [None, file["url"]]


def reacted(n: int, emoji: str, at: int, **more: Any) -> dict[str, Any]:
    reaction = {"message_id": "3A00", "emoji": emoji}
    kind = {"message_type": "reaction", "reaction": reaction, "body": emoji}
    return {**INBOUND, **kind, "wa_message_id": f"3B{n}", "timestamp": at, **more}


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
async def test_the_last_reaction_of_each_sender_holds(
    proxy: EdgeProxy, client: httpx.AsyncClient, order: tuple[int, ...]
) -> None:
    said = [reacted(0, "👍", 1790000001), reacted(1, "", 1790000002), reacted(2, "❤️", 1790000003)]
    for n in order:
        assert await tell(client, 2, "inbound", said[n]) == 200
    assert await tell(client, 2, "inbound", said[0]) == 200
    other = reacted(9, "😂", 1790000001, sender_id="another@lid")
    assert await tell(client, 1, "inbound", other) == 200
    rows = proxy.store.db.execute("select sender_id, emoji from wa_reactions order by emoji desc").fetchall()
    assert sorted(rows) == sorted([("another@lid", "😂"), (INBOUND["sender_id"], "❤️")])
    assert proxy.store.count_inbound() == 4


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(
    "order", [("read", "delivered", "played"), ("played", "read", "delivered"), ("failed", "read")]
)
async def test_a_status_never_goes_back(
    proxy: EdgeProxy, client: httpx.AsyncClient, order: tuple[str, ...], version: int
) -> None:
    rank = ["failed", "delivered", "read", "played"]
    for at, status in enumerate([*order, order[0]]):
        body = {**STATUS, "status": status, "timestamp": 1790000000 + at}
        assert await tell(client, version, "message-status", body) == 200
    ((chat, recipient, status, *times, error),) = proxy.store.receipts()
    assert (chat, recipient, status, error) == (PERSON, PERSON, max(order, key=rank.index), None)
    told = {word: 1790000000 + at for at, word in enumerate(order)}
    assert times == [told.get(word) for word in rank]


async def test_each_recipient_has_a_row(proxy: EdgeProxy, client: httpx.AsyncClient) -> None:
    id_ = proxy.store.queue("shop", GROUP, "Oi")
    gone = proxy.store.queue("shop", GROUP, "Oi")
    proxy.store.db.execute("delete from wa_messages where id = %s", (gone,))
    for body in (
        {**STATUS, "chat_id": GROUP, "messageId": id_, "recipient_id": "1@lid"},
        {**STATUS, "chat_id": GROUP, "messageId": gone, "recipient_id": "2@lid", "status": "read"},
        {**STATUS, "status": "failed", "error": "479"},
    ):
        assert await tell(client, 1, "message-status", body) == 200
    rows = proxy.store.receipts()
    assert [(row[0], row[1], row[2], row[-1]) for row in rows] == [
        (GROUP, "1@lid", "delivered", None),
        (GROUP, "2@lid", "read", None),
        (PERSON, PERSON, "failed", "479"),
    ]


@pytest.mark.parametrize("version", [1, 2])
async def test_a_receipt_is_of_its_own_instance_alone(
    proxy: EdgeProxy, client: httpx.AsyncClient, version: int
) -> None:
    proxy.store.add_instance("pub")
    others = proxy.store.queue("pub", NUMBER, "Oi")
    assert await tell(client, version, "message-status", {**STATUS, "messageId": others}) == 404
    assert proxy.store.receipts() == []
    assert await tell(client, version, "message-status", {**STATUS, "messageId": others, "instanceId": "pub"}) == 200


@pytest.mark.parametrize("version", [1, 2])
async def test_an_event_is_there_once(proxy: EdgeProxy, client: httpx.AsyncClient, version: int) -> None:
    for said in (version, version, 3 - version):
        assert await tell(client, said, "event", EVENT) == 200
    assert await tell(client, version, "event", {**EVENT, "action": "remove", "by": 'a"b'}) == 200
    first, second = proxy.store.group_events()
    assert first == (GROUP, "group", "add", EVENT["group"], EVENT["participants"], None, EVENT["timestamp"])
    assert (second[2], second[5]) == ("remove", 'a"b')


async def test_rows_are_listed_with_what_was_set_and_nothing_else(
    proxy: EdgeProxy, client: httpx.AsyncClient, connected: dict[str, str]
) -> None:
    for row in ROWS:
        proxy.store.queue_row("shop", NUMBER, **row)
    listed = (await client.get("/queued-messages?instanceId=shop")).json()
    assert listed == [{"id": id_, "to": NUMBER, **row} for id_, row in enumerate(ROWS, 1)]
    assert (await poll(client, connected))["messages"] == [{"instanceId": "shop", **row} for row in listed]


async def test_a_mark_may_say_when(proxy: EdgeProxy, client: httpx.AsyncClient) -> None:
    first, second = proxy.store.queue_many("shop", [("1", "a"), ("2", "b")])
    mark = {"messageId": first, "wa_message_id": "W", "to": PERSON, "timestamp": 1790000000}
    assert await tell(client, 1, "mark-sent", mark) == 200
    event = {**mark, "messageId": second, "instanceId": "shop", "event_id": "e", "type": "sent"}
    assert (await client.post("/events", json={"events": [event]})).json() == {"results": [{"status": 200}]}
    for wrong in ("1790000000", 1.5, -1, True):
        assert await tell(client, 1, "mark-sent", {**mark, "timestamp": wrong}) == 400
    assert [row.accepted_at for row in proxy.store.messages()] == [1790000000] * 2


async def test_pairing_by_a_code(proxy: EdgeProxy, client: httpx.AsyncClient) -> None:
    proxy.store.db.execute("update wa_instances set pair_phone = %s", (NUMBER,))
    listed = [{"id": "shop", "pair_phone": NUMBER}]
    assert (await client.get("/disconnected-instances")).json() == listed
    assert (await poll(client, {}))["instances"] == listed
    said = {"instanceId": "shop", "qr_code": None, "pairing_code": "ABCD-1234", "pairing_expires_at": 1790000060}
    shown = []
    for status in ("CONNECTING", "DISCONNECTED"):
        assert (await client.post("/update-status", json={**said, "status": status})).status_code == 200
        shown += proxy.store.db.execute(
            "select pairing_code, extract(epoch from pairing_expires_at)::bigint from wa_instances"
        ).fetchall()
    assert shown == [("ABCD-1234", 1790000060), (None, None)]
    for wrong in ({"pairing_code": 7}, {"pairing_expires_at": "soon"}):
        assert (await client.post("/update-status", json={**said, **wrong, "status": "CONNECTING"})).status_code == 400


async def test_a_held_poll_ends_when_a_number_is_to_be_paired_by_a_code(
    proxy: EdgeProxy, client: httpx.AsyncClient, nursery: trio.Nursery
) -> None:
    answers: list[dict[str, Any]] = []

    async def ask() -> None:
        answers.append(await poll(client, {"shop": "DISCONNECTED"}, wait=60))

    nursery.start_soon(ask)
    with trio.fail_after(20):
        await waiting(proxy)
    proxy.store.db.execute("update wa_instances set pair_phone = %s", (NUMBER,))
    await until(lambda: answers)
    assert answers[0]["instances"] == [{"id": "shop", "pair_phone": NUMBER}]


@pytest.mark.parametrize(("setting", "want"), [("", []), (" reaction,edit ,", ["reaction", "edit"])])
async def test_what_it_wants_to_hear_of(
    rest: Server, proxy: EdgeProxy, function_folder: Any, setting: str, want: list[str]
) -> None:
    with open_function(function_folder, rest.url, proxy.secret, WANT=setting) as function:
        async with open_client(function.url) as client:
            answer = await client.post("/poll", json={"worker": "w", "instances": [], "wait": 0})
    assert answer.json() == {"instances": [{"id": "shop"}], "messages": [], "want": want}


async def test_the_proxy_of_an_instance(proxy: EdgeProxy, client: httpx.AsyncClient) -> None:
    def set_to(url: str | None) -> None:
        proxy.store.db.execute(
            "insert into wa_instance_proxies (instance_id, url) values ('shop', %s) "
            "on conflict (instance_id) do update set url = excluded.url",
            (url,),
        )

    async def listed() -> list[Any]:
        one, two = (await client.get("/disconnected-instances")).json(), (await poll(client, {}))["instances"]
        assert one == two
        found: list[Any] = one
        return found

    async def says(*statuses: str) -> None:
        for status in statuses:
            said = {"instanceId": "shop", "status": status, "qr_code": None}
            assert (await client.post("/update-status", json=said)).status_code == 200

    assert await listed() == [{"id": "shop"}]
    await says("CONNECTING", "CONNECTED")
    assert await listed() == []
    set_to("http://u:p@proxy:1")
    changed = [{"id": "shop", "proxy": "http://u:p@proxy:1"}]
    assert await listed() == changed, "though it is connected: its worker is to hear of it"
    await says("CONNECTED")
    assert await listed() == changed, "said before the worker has heard of it"
    await says("CONNECTING", "CONNECTED")
    assert await listed() == [], "it has gone over"
    set_to("http://u:p@proxy:1")
    assert await listed() == [], "it is the same"
    set_to(None)
    assert await listed() == [{"id": "shop", "proxy": None}]


async def test_a_held_poll_ends_when_a_proxy_changes(
    proxy: EdgeProxy, client: httpx.AsyncClient, nursery: trio.Nursery
) -> None:
    answers: list[dict[str, Any]] = []

    async def ask() -> None:
        answers.append(await poll(client, {"shop": "DISCONNECTED"}, 20))

    nursery.start_soon(ask)
    with trio.fail_after(20):
        await waiting(proxy)
    proxy.store.db.execute("insert into wa_instance_proxies (instance_id, url) values ('shop', 'nonsense')")
    await until(lambda: answers)
    assert answers[0]["instances"] == [{"id": "shop", "proxy": "nonsense"}]
