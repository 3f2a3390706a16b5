"""POST /poll of the Edge Function for one of several workers, on PostgreSQL and Deno; and the contract's function."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import psycopg
import pytest
import trio

from tests.test_shards import CONTRACT, OF, VECTORS
from tests.worker_proxy import tools
from tests.worker_proxy.backend import EdgeProxy
from tests.worker_proxy.calls import Row, waiting
from tests.worker_proxy.postgres import Postgres
from wa_worker.models import Shard

FIRST, SECOND = ("loja-01", "three"), ("pub", "shop", "two")
"""Of the first and of the second of two shards."""

PAIRS = [(id_, of, number) for id_, numbers in VECTORS.items() for of, number in zip(OF, numbers, strict=True)]


def snippet(language: str) -> str:
    """What the contract shows of the function in that language."""
    section = CONTRACT.read_text("utf-8").partition("### Several workers")[2].partition("\n### ")[0]
    (code,) = re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)
    return str(code)


def test_sql_computes_the_shard_as_the_worker_does(postgres: Postgres) -> None:
    with psycopg.connect(postgres.dsn("authenticator")) as db:
        db.execute("set role service_role")
        found = [db.execute("select wa_shard(%s, %s)", (id_, of)).fetchone() for id_, of, _ in PAIRS]
        assert found == [(number,) for *_, number in PAIRS]
        many = [f"{n}.ção" for n in range(500)]
        rows = db.execute("select id, wa_shard(id, 7) from unnest(%s::text[]) as asked (id)", (many,)).fetchall()
        assert all(Shard(number, 7).has(id_) for id_, number in rows)
        expression = snippet("sql").strip().rstrip(";")
        query = expression.replace("%", "%%").replace(":id", "%(id)s").replace(":of", "%(of)s")
        shown = [db.execute(query, {"id": id_, "of": of}).fetchone() for id_, of, _ in PAIRS]
        assert shown == [(number,) for *_, number in PAIRS]


def test_what_the_contract_shows_in_javascript_computes_it_too(installed: None, tmp_path: Path) -> None:
    file = tmp_path / "shard.mjs"
    calls = "".join(f"console.log(shardOf({id_!r}, {of}));\n" for id_, of, _ in PAIRS)
    file.write_text(snippet("js") + calls, "utf-8")
    deno = tools.deno()
    assert deno is not None
    run = subprocess.run([deno, "run", "--no-lock", file], capture_output=True, text=True, check=True, timeout=60)
    assert [int(line) for line in run.stdout.split()] == [number for *_, number in PAIRS]


def test_and_in_python(tmp_path: Path) -> None:
    calls = "".join(f"print(shard_of({id_!r}, {of}))\n" for id_, of, _ in PAIRS)
    run = subprocess.run(
        [sys.executable, "-c", snippet("python") + calls], capture_output=True, text=True, check=True, timeout=60
    )
    assert [int(line) for line in run.stdout.split()] == [number for *_, number in PAIRS]


async def poll(client: httpx.AsyncClient, states: dict[str, str], wait: int = 0, **more: object) -> Row:
    instances = [{"id": id_, "state": state} for id_, state in states.items()]
    body = {"worker": "w-1", "instances": instances, "wait": wait, **more}
    answer = await client.post("/poll", json=body)
    assert answer.status_code == 200, answer.text
    found: Row = answer.json()
    return found


def ids(answer: Row) -> list[str]:
    return [row["id"] for row in answer["instances"]]


async def test_instances_and_messages_are_those_of_the_shard(
    proxy: EdgeProxy, client: httpx.AsyncClient, connected: dict[str, str]
) -> None:
    for id_ in ("loja-01", "pub"):
        proxy.store.add_instance(id_)
    for id_ in ("three", "two"):
        proxy.store.queue(id_, "5511988880001", id_)
    first, second = [await poll(client, connected, shard=shard) for shard in ("1/2", "2/2")]
    assert (ids(first), ids(second)) == (["loja-01"], ["pub"])
    assert [[row["body"] for row in answer["messages"]] for answer in (first, second)] == [["three"], ["two"]]
    assert ids(await poll(client, connected)) == ["loja-01", "pub"]


Change = Callable[[EdgeProxy], object]
CHANGES: list[Change] = [
    lambda p: p.store.queue("two", "55", "Oi"),
    lambda p: p.store.add_instance("pub"),
    lambda p: p.store.db.execute("update wa_instances set pair_phone = '5511999990001' where id = 'pub'"),
    lambda p: p.store.db.execute(
        "insert into wa_instance_proxies (instance_id, url) values ('pub', 'http://10.0.0.5:3128')"
    ),
    lambda p: p.store.set_status("shop", "DISCONNECTED"),
    lambda p: p.store.enable("two", False),
]


async def test_what_happens_in_another_shard_ends_no_answer(
    proxy: EdgeProxy, client: httpx.AsyncClient, connected: dict[str, str]
) -> None:
    found: list[Row] = []

    async def ask() -> None:
        # an instance of the other shard that is named counts for nothing
        found.append(await poll(client, {**connected, "gone": "CONNECTING"}, 20, shard="1/2"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        with trio.fail_after(10):
            await waiting(proxy)
        for change in CHANGES:
            change(proxy)
            await trio.sleep(0.3)
        assert not found
        began = time.monotonic()
        proxy.store.queue("three", "55", "Oi")
    assert time.monotonic() - began < 5
    assert [row["body"] for row in found[0]["messages"]] == ["Oi"]
    assert found[0]["instances"] == []


async def test_a_connected_instance_of_a_peer_is_listed_for_the_one_that_runs_it(
    proxy: EdgeProxy, client: httpx.AsyncClient, connected: dict[str, str]
) -> None:
    """It was switched off, and is listed until its worker hears so; another would start it."""
    proxy.store.enable("shop", False)
    mine = {id_: state for id_, state in connected.items() if id_ != "shop"}
    for states in (mine, {**mine, "shop": "ELSEWHERE"}):
        began = time.monotonic()
        assert ids(await poll(client, states, 1, peers=True)) == []
        assert time.monotonic() - began >= 1, "it is held"
    assert ids(await poll(client, connected, 20, peers=True)) == ["shop"]
    assert ids(await poll(client, mine)) == ["shop"], "a worker alone would announce it, and be refused"


async def test_what_a_peer_brings_up_is_listed_and_ends_no_answer_once_it_is_named(
    proxy: EdgeProxy, client: httpx.AsyncClient, connected: dict[str, str]
) -> None:
    proxy.store.set_status("shop", "CONNECTING")
    mine = {id_: state for id_, state in connected.items() if id_ != "shop"}
    assert ids(await poll(client, mine, 20, peers=True)) == ["shop"]
    began = time.monotonic()
    assert ids(await poll(client, {**mine, "shop": "ELSEWHERE"}, 1, peers=True)) == ["shop"]
    assert time.monotonic() - began >= 1


@pytest.mark.parametrize("shard", ["0/3", "1/0", "1\n/3", "1", "", 1, None, "1/1001", "1 / 2", ["1/2"]])
async def test_a_shard_that_is_none_is_400(client: httpx.AsyncClient, shard: object) -> None:
    answer = await client.post("/poll", json={"worker": "w", "instances": [], "wait": 0, "shard": shard})
    assert answer.status_code == 400
    assert "shard" in answer.json()["error"]
    assert ids(await poll(client, {}, shard="4/3")) == [], "it is one, and has no instances"


async def test_peers_is_true_or_false(client: httpx.AsyncClient) -> None:
    body = {"worker": "w", "instances": [], "wait": 0}
    for peers, status in (("yes", 400), (1, 400), (None, 400), (False, 200), (True, 200)):
        assert (await client.post("/poll", json={**body, "peers": peers})).status_code == status


def test_what_a_look_for_a_shard_costs(postgres: Postgres, proxy: EdgeProxy) -> None:
    """No look reads the table of instances from end to end for it."""
    db = proxy.store.db
    db.execute("insert into wa_instances (id, status) select 'i' || n, 'CONNECTED' from generate_series(1, 3000) n")
    db.execute("analyze wa_instances")
    before = _read(db)
    for _ in range(5):
        db.execute("select wa_poll('{i1}', '{}', '{}', 0, 30, 1048576, 1, 2, true)")
    assert _read(db) == before


def _read(db: psycopg.Connection) -> object:
    db.execute("select pg_stat_force_next_flush()")
    return db.execute("select seq_tup_read from pg_stat_user_tables where relname = 'wa_instances'").fetchone()
