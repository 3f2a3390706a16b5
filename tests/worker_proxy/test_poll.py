"""POST /poll of the Edge Function, on PostgreSQL and Deno. How it is held is in test_held_poll.py."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

from tests.worker_proxy.backend import EdgeProxy
from tests.worker_proxy.calls import Row, event, poll
from tests.worker_proxy.conftest import open_client
from tests.worker_proxy.postgres import Postgres


async def test_instances_and_messages_are_those_of_version_1(
    proxy: EdgeProxy, client: httpx.AsyncClient, connected: dict[str, str]
) -> None:
    proxy.store.add_instance("new")
    ids = proxy.store.queue_many("shop", [("5511988880001", "m0"), ("5511988880002", "m1")])
    found = await poll(client, connected, wait=20)
    assert found["instances"] == (await client.get("/disconnected-instances")).json() == [{"id": "new"}]
    assert found["messages"] == [
        {"instanceId": "shop", **row} for row in (await client.get("/queued-messages?instanceId=shop")).json()
    ]
    assert found["messages"][0] == {"instanceId": "shop", "id": ids[0], "to": "5511988880001", "body": "m0"}


@pytest.mark.parametrize("state", ["SENDING", "CONNECTING", "DISCONNECTED", "HIBERNATING", None])
async def test_messages_are_for_connected_instances_alone(
    proxy: EdgeProxy, client: httpx.AsyncClient, connected: dict[str, str], state: str | None
) -> None:
    proxy.store.queue("shop", "5511988880001", "no")
    proxy.store.queue("two", "5511988880001", "yes")
    asked = {id_: said for id_, said in {**connected, "shop": state}.items() if said is not None}
    assert [row["body"] for row in (await poll(client, asked))["messages"]] == ["yes"]


async def test_a_switched_off_instance_has_no_messages(
    proxy: EdgeProxy, client: httpx.AsyncClient, connected: dict[str, str]
) -> None:
    proxy.store.queue("shop", "5511988880001", "Oi")
    proxy.store.enable("shop", False)
    assert await poll(client, connected) == {"instances": [{"id": "shop"}], "messages": []}


async def test_a_switched_off_instance_is_listed_until_its_worker_has_let_go_of_it(
    proxy: EdgeProxy, client: httpx.AsyncClient, connected: dict[str, str]
) -> None:
    """It takes a few 404, each after an answer to a poll: with those held, it would take minutes."""
    proxy.store.enable("shop", False)
    status = {"instanceId": "shop", "status": "CONNECTED", "qr_code": None}
    for _ in range(4):
        assert (await poll(client, connected, wait=60))["instances"] == [{"id": "shop"}]
        assert (await client.post("/update-status", json=status)).status_code == 404
    del connected["shop"]
    assert (await poll(client, connected, wait=1))["instances"] == []


async def test_what_a_worker_holds_back_is_left_out_until_then_and_what_is_behind_it_too(
    proxy: EdgeProxy, client: httpx.AsyncClient, connected: dict[str, str]
) -> None:
    first, behind, other = proxy.store.queue_many("shop", [("55119", "a"), ("55119", "b"), ("55118", "c")])
    until = int(time.time()) + 3600
    held = {
        "instanceId": "shop",
        "messageId": first,
        "chat_id": "55119@s.whatsapp.net",
        "status": "held",
        "reason": "first_per_day",
        "until": until,
        "timestamp": until - 3600,
    }
    unknown = [{**held, "messageId": 4711}, {**held, "instanceId": "two"}]
    wrong = [{**held, "until": "later"}, {**held, "reason": ""}]
    told = [event("message_status", body) for body in (held, {**held, "until": 2**53 - 1}, held, *unknown, *wrong)]
    answer = await client.post("/events", json={"events": told})
    assert [result["status"] for result in answer.json()["results"]] == [200, 200, 200, 404, 404, 400, 400]
    assert [row["id"] for row in (await poll(client, connected))["messages"]] == [other]
    db = proxy.store.db
    row = db.execute(
        "select held_reason, extract(epoch from held_until)::bigint from wa_messages where id = %s", (first,)
    )
    assert row.fetchone() == ("first_per_day", until)
    look = "select wa_poll_is_due('{shop,two,three}', '{}', '{}')"
    assert db.execute(look).fetchone() == (True,)
    db.execute("update wa_messages set status = 'sent' where id = %s", (other,))
    assert db.execute(look).fetchone() == (False,), "nothing to answer a poll with, so it is held"
    db.execute("update wa_messages set held_until = now() - interval '1 second' where held_until is not null")
    assert db.execute(look).fetchone() == (True,)
    assert [row["id"] for row in (await poll(client, connected))["messages"]] == [first, behind]


async def test_a_page_is_fair_between_instances_and_oldest_first_in_each(
    proxy: EdgeProxy, client: httpx.AsyncClient, connected: dict[str, str]
) -> None:
    ids = {
        id_: proxy.store.queue_many(id_, [("5511988880001", f"m{n}") for n in range(many)])
        for id_, many in (("shop", 300), ("two", 3), ("three", 1))
    }
    proxy.store.db.execute("update wa_messages set queued_at = '2020-01-01' where id = %s", (ids["shop"][-1],))
    shop = [ids["shop"][-1], *ids["shop"][:-1]]
    listed = [row["id"] for row in (await poll(client, connected))["messages"]]
    one, two, three = ids["three"], ids["two"], shop
    assert listed[:6] == [shop[0], two[0], one[0], *sorted((shop[1], two[1])), min(shop[2], two[2])]
    assert len(listed) == 200
    for rows in (one, two, three):
        assert [id_ for id_ in listed if id_ in rows] == rows[: min(len(rows), 196)]
    proxy.store.db.execute("update wa_messages set status = 'sent' where id = any(%s)", (listed,))
    assert [row["id"] for row in (await poll(client, connected))["messages"]] == shop[196:]


async def test_a_page_ends_after_a_mebibyte(
    proxy: EdgeProxy, client: httpx.AsyncClient, connected: dict[str, str]
) -> None:
    ids = proxy.store.queue_many("shop", [("5511988880001", f"{n:02d}" + "\U0001f389" * 65000) for n in range(10)])
    seen: list[int] = []
    while seen != ids:
        answer = await client.post("/poll", json={"worker": "w", "instances": _asked(connected), "wait": 0})
        assert len(answer.content) <= 2**20
        page = [row["id"] for row in answer.json()["messages"]]
        seen += page
        assert len(page) == 4 or seen == ids
        proxy.store.db.execute("update wa_messages set status = 'sent' where id = any(%s)", (page,))


async def test_a_message_that_fills_a_page_goes_alone(proxy: EdgeProxy, connected: dict[str, str]) -> None:
    proxy.store.queue_many("shop", [("5511988880001", "x" * 1000)] * 2)
    page = proxy.store.db.execute("select wa_page(array['shop'], 200, 500)").fetchone()
    assert page is not None
    assert len(page[0]) == 1


def _asked(states: dict[str, str]) -> list[Row]:
    return [{"id": id_, "state": state} for id_, state in states.items()]


async def test_ten_thousand_instances_can_be_asked_for_and_no_more(proxy: EdgeProxy, client: httpx.AsyncClient) -> None:
    asked = [{"id": f"{n:0128d}", "state": "CONNECTED"} for n in range(10_000)]
    answer = await client.post("/poll", json={"worker": "w", "instances": asked, "wait": 0})
    assert (answer.status_code, answer.json()) == (200, {"instances": [{"id": "shop"}], "messages": []})
    body = {"worker": "w", "instances": [*asked, {"id": "one", "state": "CONNECTED"}], "wait": 0}
    assert (await client.post("/poll", json=body)).status_code == 413
    assert (await client.post("/poll", content=b" " * (2**21 + 1))).status_code == 413


GOOD: Row = {"worker": "w", "instances": [{"id": "shop", "state": "CONNECTED"}], "wait": 0}


@pytest.mark.parametrize(
    "wrong",
    [
        {"worker": ""},
        {"worker": "w" * 65},
        {"worker": "a b"},
        {"worker": "w\n"},
        {"worker": None},
        {"instances": None},
        {"instances": {}},
        {"instances": ["shop"]},
        {"instances": [{"id": "shop"}]},
        {"instances": [{"id": "", "state": "CONNECTED"}]},
        {"instances": [{"id": 5, "state": "CONNECTED"}]},
        {"wait": -1},
        {"wait": 61},
        {"wait": 1.5},
        {"wait": "20"},
        {"wait": None},
    ],
)
async def test_a_poll_that_is_none_is_400(client: httpx.AsyncClient, wrong: Row) -> None:
    answer = await client.post("/poll", json={**GOOD, **wrong})
    assert answer.status_code == 400
    assert next(iter(wrong)) in answer.json()["error"] or "id must be" in answer.text or "state must be" in answer.text


async def test_it_wants_the_secret_and_a_post(proxy: EdgeProxy, client: httpx.AsyncClient) -> None:
    async with open_client(proxy.url, "another") as stranger:
        assert (await stranger.post("/poll", json=GOOD)).status_code == 401
        assert (await stranger.post("/events", json={"events": []})).status_code == 401
    for path in ("/poll", "/events"):
        assert ((answer := await client.get(path)).status_code, answer.headers["Allow"]) == (405, "POST")


async def test_an_id_that_the_database_cannot_hold_is_one_that_it_does_not_know(client: httpx.AsyncClient) -> None:
    assert (await poll(client, {"a\0b": "CONNECTED"}, wait=0))["messages"] == []


def test_what_a_look_costs(postgres: Postgres, proxy: EdgeProxy) -> None:
    """No look reads a table from end to end, whatever lies in it; the index of what is queued is read in steps."""
    db = proxy.store.db
    db.execute("insert into wa_instances (id, status) select 'i' || n, 'CONNECTED' from generate_series(1, 500) n")
    db.execute(
        "insert into wa_messages (instance_id, \"to\", body, status) select 'i' || (n % 500 + 1), '55', 'Oi', "
        "case when n % 500 < 3 and n > 20000 then 'queued' else 'sent' end from generate_series(1, 40000) n"
    )
    db.execute("analyze wa_instances, wa_messages")
    before = _read(db)
    asked = [f"i{n}" for n in range(1, 501)]
    look = "select wa_poll_is_due(%s, '{}', '{shop}'), wa_poll_is_due('{shop}', '{}', '{shop}')"
    for _ in range(10):
        assert db.execute(look, (asked,)).fetchone() == (True, False)
        row = db.execute("select wa_poll(%s, '{}', '{shop}', 0, 30, 1048576)", (asked,)).fetchone()
        assert row is not None
        assert len(row[0]["messages"]) == 30
    after = _read(db)
    assert {name: after[name] - before[name] for name in ("wa_messages", "wa_instances")} == {
        "wa_messages": 0,
        "wa_instances": 0,
    }
    assert after["wa_messages_queued"] - before["wa_messages_queued"] >= 10


def _read(db: Any) -> dict[str, int]:
    """Rows read by scans of a whole table, by table; scans of each index."""
    db.execute("select pg_stat_force_next_flush()")
    rows = db.execute(
        "select relname, seq_tup_read from pg_stat_user_tables "
        "union all select indexrelname, idx_scan from pg_stat_user_indexes"
    )
    return dict(rows.fetchall())
