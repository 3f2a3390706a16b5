"""POST /poll of the Edge Function, on PostgreSQL and Deno."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from tests.e2e.world import SECRET
from tests.worker_proxy.backend import EdgeProxy
from tests.worker_proxy.conftest import open_client
from tests.worker_proxy.postgres import Postgres
from tests.worker_proxy.processes import DidNotStart, Server, open_function

pytestmark = pytest.mark.worker_proxy

Row = dict[str, Any]


async def poll(client: httpx.AsyncClient, states: dict[str, str], wait: int = 0, worker: str = "w-1") -> Row:
    instances = [{"id": id_, "state": state, "new": [1]} for id_, state in states.items()]
    answer = await client.post("/poll", json={"worker": worker, "instances": instances, "wait": wait, "want": []})
    assert answer.status_code == 200, answer.text
    found: Row = answer.json()
    assert found.keys() == {"instances", "messages"}
    return found


@pytest.fixture
def connected(proxy: EdgeProxy) -> dict[str, str]:
    """What a worker says whose three instances are connected and have nothing to do."""
    for id_ in ("shop", "two", "three"):
        proxy.store.add_instance(id_)
        proxy.store.set_status(id_, "CONNECTED")
    return dict.fromkeys(("shop", "two", "three"), "CONNECTED")


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


# Held answers


async def waiting(proxy: EdgeProxy, many: int = 1) -> None:
    """Until so many polls wait in the database."""
    await proxy.wait_for(lambda _: _waiting(proxy) == many)


def _waiting(proxy: EdgeProxy) -> int:
    row = proxy.store.db.execute("select count(*) from pg_locks where locktype = 'advisory' and granted").fetchone()
    assert row is not None
    return int(row[0])


def _looks(proxy: EdgeProxy) -> int:
    """How many have ended. PostgreSQL counts them with up to a second's delay."""
    row = proxy.store.db.execute(
        "select coalesce(sum(calls), 0) from pg_stat_user_functions where funcname = 'wa_poll'"
    ).fetchone()
    assert row is not None
    return int(row[0])


async def test_an_answer_without_news_is_held_for_as_long_as_the_worker_asks(
    client: httpx.AsyncClient, connected: dict[str, str]
) -> None:
    for wait in (0, 1, 3):
        started = time.monotonic()
        assert await poll(client, connected, wait) == {"instances": [], "messages": []}
        assert wait <= time.monotonic() - started < wait + 1.5


Change = Callable[[EdgeProxy], object]

CHANGES: dict[str, tuple[str, Change, Row]] = {
    "a message": ("CONNECTED", lambda p: p.store.queue("shop", "55", "Oi"), {"messages": 1, "instances": 0}),
    "a new instance": ("CONNECTED", lambda p: p.store.add_instance("new"), {"messages": 0, "instances": 1}),
    "a lost status": (
        "CONNECTED",
        lambda p: p.store.set_status("shop", "DISCONNECTED"),
        {"messages": 0, "instances": 1},
    ),
    "a lost status of one that sends": (
        "SENDING",
        lambda p: p.store.set_status("shop", "CONNECTING"),
        {"messages": 0, "instances": 1},
    ),
    "switched off": ("CONNECTED", lambda p: p.store.enable("shop", False), {"messages": 0, "instances": 1}),
    "switched off while it was down": (
        "DISCONNECTED",
        lambda p: p.store.enable("shop", False),
        {"messages": 0, "instances": 0},
    ),
    "deleted while it was down": (
        "CONNECTING",
        lambda p: p.store.remove_instance("shop"),
        {"messages": 0, "instances": 0},
    ),
    "it is down and counts as connected": (
        "CONNECTING",
        lambda p: p.store.set_status("shop", "CONNECTED"),
        {"messages": 0, "instances": 0},
    ),
}


@pytest.mark.parametrize("name", CHANGES)
async def test_a_held_answer_ends_at_once_with(
    proxy: EdgeProxy, client: httpx.AsyncClient, connected: dict[str, str], name: str
) -> None:
    state, change, expected = CHANGES[name]
    if state in ("CONNECTING", "DISCONNECTED"):
        proxy.store.set_status("shop", state)
    found: list[Row] = []

    async def ask() -> None:
        found.append(await poll(client, {**connected, "shop": state}, wait=13))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        with trio.fail_after(10):
            await waiting(proxy)
        started = time.monotonic()
        change(proxy)
    assert time.monotonic() - started < 1.5
    assert {key: len(rows) for key, rows in found[0].items()} == expected


@pytest.mark.parametrize("state", ["SENDING", "HIBERNATING"])
async def test_what_is_no_news_does_not_end_it(
    proxy: EdgeProxy, client: httpx.AsyncClient, connected: dict[str, str], state: str
) -> None:
    """A message for one that is at work, one for an instance of another worker, an instance that waits for its scan."""
    proxy.store.queue("shop", "5511988880001", "Oi")
    proxy.store.queue("two", "5511988880001", "Oi")
    proxy.store.add_instance("unpaired", "CONNECTING")
    if state == "HIBERNATING":
        proxy.store.set_status("shop", "DISCONNECTED")
    asked = {"shop": state, "three": "CONNECTED", "unpaired": "CONNECTING"}
    started = time.monotonic()
    found = await poll(client, asked, wait=2)
    assert time.monotonic() - started >= 2
    assert ([row["id"] for row in found["instances"] if row["id"] != "shop"], found["messages"]) == (["unpaired"], [])


async def test_two_wait_in_the_database_and_the_others_hear_of_it_all_the_same(
    proxy: EdgeProxy, client: httpx.AsyncClient, connected: dict[str, str]
) -> None:
    found: list[Row] = []

    async def ask(worker: str) -> None:
        found.append(await poll(client, connected, wait=13, worker=worker))

    most, before = 0, _looks(proxy)
    async with trio.open_nursery() as nursery:
        for n in range(6):
            nursery.start_soon(ask, f"w-{n}")
        with trio.fail_after(12):
            while _looks(proxy) < before + 6:
                most = max(most, _waiting(proxy))
                await trio.sleep(0.02)
        assert not found
        started = time.monotonic()
        proxy.store.queue("shop", "5511988880001", "Oi")
    assert time.monotonic() - started < 3
    assert most == 2
    assert [len(answer["messages"]) for answer in found] == [1] * 6


async def test_a_poll_whose_worker_asks_anew_looks_no_more(
    proxy: EdgeProxy, client: httpx.AsyncClient, connected: dict[str, str]
) -> None:
    """It was given up, and nothing on the way tells reliably: it would be gone on with for its whole time."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(poll, client, connected, 60)
        with trio.fail_after(10):
            await waiting(proxy)
        nursery.cancel_scope.cancel()
    await poll(client, connected)
    free = 0
    with trio.fail_after(10):
        while free < 20:  # from look to look it takes a few milliseconds
            free = free + 1 if _waiting(proxy) == 0 else 0
            await trio.sleep(0.05)


async def test_a_poll_that_was_not_given_up_after_all_is_answered_in_time(
    proxy: EdgeProxy, client: httpx.AsyncClient, connected: dict[str, str]
) -> None:
    """Two workers with one name: neither makes the other ask all the time."""
    answered: list[float] = []

    async def ask() -> None:
        started = time.monotonic()
        assert (await poll(client, connected, wait=4))["messages"]
        answered.append(time.monotonic() - started)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        with trio.fail_after(10):
            await waiting(proxy)
        await poll(client, connected)
        with trio.fail_after(10):
            await waiting(proxy, 0)
        proxy.store.queue("shop", "5511988880001", "Oi")
    assert 4 <= answered[0] < 6


async def test_a_setting_says_how_long_it_may_be_held(
    rest: Server, function_folder: Path, connected: dict[str, str]
) -> None:
    for setting, least, most in (("0", 0, 1.5), ("1", 1, 2.5)):
        with open_function(function_folder, rest.url, SECRET, POLL_HOLD_SECONDS=setting) as function:
            async with open_client(function.url) as client:
                await client.get("/disconnected-instances")
                started = time.monotonic()
                await poll(client, connected, wait=60)
                assert least <= time.monotonic() - started < most


@pytest.mark.parametrize("setting", ["-1", "20s", "1e3"])
def test_a_hold_that_is_no_number_of_seconds(function_folder: Path, installed: None, setting: str) -> None:
    with (
        pytest.raises(DidNotStart, match="POLL_HOLD_SECONDS must be a whole number of seconds"),
        open_function(function_folder, "http://127.0.0.1:9", SECRET, POLL_HOLD_SECONDS=setting),
    ):
        pass


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
