"""POST /events, and a held poll, on PostgreSQL's bad days."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
import trio

from tests.dev.proxy.test_endpoints import INBOUND
from tests.e2e.world import SECRET
from tests.worker_proxy import tools
from tests.worker_proxy.backend import EdgeProxy
from tests.worker_proxy.calls import STATUS, WHY, Row, event, said, statuses, why
from tests.worker_proxy.conftest import open_client
from tests.worker_proxy.postgres import Postgres
from tests.worker_proxy.processes import Server, answering, open_function, open_rest


@pytest.fixture
def trouble(proxy: EdgeProxy) -> Iterator[None]:
    """PostgreSQL refuses what says "refuse", and ends the statement at what says "end"."""
    proxy.store.db.execute(
        """
        create function test.trouble() returns trigger language plpgsql as $$
        begin
          if new.body = 'refuse' then
            raise exception 'a secret of %', new.body using errcode = '23514';
          elsif new.body = 'end' then
            raise exception 'statement timeout' using errcode = '57014';
          end if;
          return new;
        end $$;
        create trigger trouble before insert on wa_inbound for each row execute function test.trouble();
        grant usage on schema test to service_role;
        """
    )
    try:
        yield
    finally:
        proxy.store.db.execute("drop trigger trouble on wa_inbound; drop function test.trouble")


async def test_an_event_that_postgresql_refuses_takes_no_other_with_it(
    proxy: EdgeProxy, client: httpx.AsyncClient, trouble: None
) -> None:
    lines = len(proxy.lines)
    other = {"from": "another@g.us", "chat_id": "another@g.us"}
    bad = event("inbound", {**INBOUND, "body": "refuse", "wa_message_id": "3Arefuse"})
    assert await statuses(client, said(1), bad, said(2), said(3, **other)) == [200, 500, 503, 200]
    assert [row.body for row in proxy.store.inbound()] == ["m1", "m3"]
    assert (await client.post("/inbound", json=bad)).status_code == 500
    with trio.fail_after(5):
        await proxy.wait_for(lambda _: len(proxy.lines) >= lines + 2)
    assert proxy.lines[lines:] == ["events: database error 23514\n", "inbound: database error 23514\n"]


async def test_a_statement_that_ends_takes_all_with_it(
    proxy: EdgeProxy, client: httpx.AsyncClient, trouble: None
) -> None:
    other = {"from": "another@g.us", "chat_id": "another@g.us"}
    batch = [event("status", STATUS, **WHY), said(1), said(2, body="end"), said(3, **other)]
    answer = await client.post("/events", json={"events": batch})
    assert (answer.status_code, answer.json()) == (503, {"error": "database error"})
    assert proxy.store.count_inbound() == 0
    assert why(proxy) == dict.fromkeys(WHY)
    batch[2]["body"] = "m2"
    assert await statuses(client, *batch) == [200] * 4


async def test_no_database_is_503_for_the_whole_call(
    postgres: Postgres, function_folder: Path, proxy: EdgeProxy
) -> None:
    asked = {"worker": "w", "instances": [{"id": "shop", "state": "CONNECTED"}], "wait": 0}
    batch = {"events": [said(1), event("status", STATUS)]}
    with (
        tools.held_port() as port,
        open_function(function_folder, f"http://127.0.0.1:{port}", SECRET) as function,
    ):
        async with open_client(function.url) as client:
            for status in (503, 200, 503):
                if status == 200:
                    with open_rest(postgres, port=port):
                        answers = [await client.post("/poll", json=asked), await client.post("/events", json=batch)]
                else:
                    answers = [await client.post("/poll", json=asked), await client.post("/events", json=batch)]
                assert [answer.status_code for answer in answers] == [status, status]
    assert proxy.store.count_inbound() == 1


async def test_a_database_that_goes_away_ends_a_held_poll(
    postgres: Postgres, function_folder: Path, proxy: EdgeProxy
) -> None:
    proxy.store.set_status("shop", "CONNECTED")
    asked = {"worker": "w", "instances": [{"id": "shop", "state": "CONNECTED"}], "wait": 13}
    answers = []

    async def ask(client: httpx.AsyncClient) -> None:
        answers.append((await client.post("/poll", json=asked)).status_code)

    waiting = "select 1 from pg_locks where locktype = 'advisory'"
    with open_rest(postgres) as rest, open_function(function_folder, rest.url, SECRET) as function:
        async with open_client(function.url) as client, trio.open_nursery() as nursery:
            nursery.start_soon(ask, client)
            with trio.fail_after(10):
                await proxy.wait_for(lambda store: store.db.execute(waiting).fetchone())
            rest.process.terminate()
    assert answers == [503]


async def test_calls_at_once_with_the_same_events_store_each_once(proxy: EdgeProxy, client: httpx.AsyncClient) -> None:
    """In orders that make transactions wait for each other, and deadlock: what PostgreSQL breaks off is told again."""
    ids = proxy.store.queue_many("shop", [("5511988880001", "Oi")] * 20)
    batch = [
        *(said(n, **{"from": f"{n}@g.us", "chat_id": f"{n}@g.us"}) for n in range(20)),
        *(event("sent", {"instanceId": "shop", "messageId": id_, "wa_message_id": f"W{id_}"}) for id_ in ids),
        event("status", STATUS),
    ]

    async def deliver(events: list[Row]) -> None:
        answer = None
        while answer is None or answer.status_code == 503:
            answer = await client.post("/events", json={"events": events})
        assert answer.json() == {"results": [{"status": 200}] * len(events)}

    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            for n in range(6):
                nursery.start_soon(deliver, batch[:: -1 if n % 2 else 1])
    assert sorted(row.body for row in proxy.store.inbound()) == sorted(f"m{n}" for n in range(20))
    assert [row.wa_message_id for row in proxy.store.messages()] == [f"W{id_}" for id_ in ids]


async def test_calls_that_deadlock_let_go_of_each_other(
    postgres: Postgres, proxy: EdgeProxy, client: httpx.AsyncClient
) -> None:
    """One is broken off, with all that it has locked: the other goes on, and it has waited for a second, not more."""
    first, second = proxy.store.queue_many("shop", [("5511988880001", "Oi")] * 2)
    answers: list[httpx.Response] = []

    async def deliver() -> None:
        marks = [{"instanceId": "shop", "messageId": id_, "wa_message_id": "W"} for id_ in (first, second)]
        answers.append(await client.post("/events", json={"events": [said(1), *(event("sent", m) for m in marks)]}))

    with psycopg.connect(postgres.dsn("supabase_admin")) as other:
        other.execute("set local deadlock_timeout = '60s'")  # so that it is not this one that is broken off
        other.execute("select from wa_messages where id = %s for update", (second,))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(deliver)
            with trio.fail_after(10):
                await proxy.wait_for(
                    lambda store: store.db.execute("select 1 from pg_locks where not granted").fetchone()
                )
            await trio.to_thread.run_sync(other.execute, "select from wa_messages where id = %s for update", (first,))
    assert [answer.status_code for answer in answers] == [503]
    assert [row.status for row in proxy.store.messages()] == ["queued", "queued"]
    assert proxy.store.count_inbound() == 0


@pytest.mark.parametrize(
    "answer", ['["new"]', '["new", "new", "new"]', "[1, 2]", '["stored", "new"]', '["held", "what"]', "{}"]
)
async def test_an_answer_in_the_place_of_the_database_counts_for_nothing(function_folder: Path, answer: str) -> None:
    with answering(200, answer.encode()) as url, open_function(function_folder, url, SECRET) as function:
        async with open_client(function.url) as client:
            assert (await client.post("/events", json={"events": [said(1), said(2)]})).status_code == 503
            asked = {"worker": "w", "instances": [], "wait": 20}
            assert (await client.post("/poll", json=asked)).status_code == 503


def test_the_log_has_no_content(function: Server) -> None:
    text = "".join(function.lines)
    assert not [word for word in (SECRET, "a secret of", INBOUND["body"], "m1\n") if word in text]
