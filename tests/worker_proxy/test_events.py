"""POST /events of the Edge Function, on PostgreSQL and Deno."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import trio

from tests.dev.proxy.test_endpoints import INBOUND, QR
from tests.e2e.world import SECRET
from tests.worker_proxy import tools
from tests.worker_proxy.backend import EdgeProxy
from tests.worker_proxy.conftest import open_client
from tests.worker_proxy.postgres import Postgres
from tests.worker_proxy.processes import Server, answering, open_function, open_rest

pytestmark = pytest.mark.worker_proxy

Row = dict[str, Any]

STATUS: Row = {"instanceId": "shop", "status": "CONNECTED", "qr_code": None}
WHY: Row = {
    "reason": "reconnecting",
    "until": 1790000060,
    "action": "wait",
    "jid": "5511999990001@s.whatsapp.net",
    "push_name": "Loja 🎉",
    "since": 1790000000,
}
_COLUMNS = "reason, extract(epoch from until)::bigint, action, jid, push_name, extract(epoch from since)::bigint"


def event(kind: str, fields: Row, **more: Any) -> Row:
    return {"event_id": f"e-{next(_numbers)}", "type": kind, **fields, **more}


_numbers = itertools.count()


def said(n: object, **more: Any) -> Row:
    """A message received."""
    return event("inbound", {**INBOUND, "wa_message_id": f"3A{n}", "body": f"m{n}", **more})


async def post(client: httpx.AsyncClient, *events: Row) -> list[Row]:
    # Not by httpx: it cannot say half of a surrogate pair.
    answer = await client.post("/events", content=json.dumps({"events": events}))
    assert answer.status_code == 200, answer.text
    assert answer.json().keys() == {"results"}
    results: list[Row] = answer.json()["results"]
    assert len(results) == len(events)
    return results


async def statuses(client: httpx.AsyncClient, *events: Row) -> list[int]:
    return [result["status"] for result in await post(client, *events)]


def why(proxy: EdgeProxy, instance_id: str = "shop") -> Row:
    row = proxy.store.db.execute(f"select {_COLUMNS} from wa_instances where id = %s", (instance_id,)).fetchone()
    assert row is not None
    return dict(zip(WHY, row, strict=True))


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
        ({"event_id": "e", "type": "message_status", **STATUS}, "type must be one of status, sent, failed, inbound"),
        ({"event_id": "e", "type": "refused", **STATUS}, "type must be one of status, sent, failed, inbound"),
        ({"event_id": "e", "type": "constructor"}, "type must be one of status, sent, failed, inbound"),
        ({"event_id": "e", **STATUS}, "type must be one of status, sent, failed, inbound"),
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


# PostgreSQL's bad days


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


async def test_order_within_a_chat(proxy: EdgeProxy, client: httpx.AsyncClient) -> None:
    assert await statuses(client, *(said(n) for n in range(100))) == [200] * 100
    assert [row.body for row in proxy.store.inbound()] == [f"m{n}" for n in range(100)]


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
