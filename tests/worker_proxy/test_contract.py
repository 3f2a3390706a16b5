"""The contract tests of the reference proxy, against the Edge Function: the same functions, on other fixtures.

Those that look into what only the reference proxy has (a history of statuses, counted repeats, text ids) have their
equivalents below.
"""

from __future__ import annotations

import httpx
import pytest
import trio

from tests.dev.proxy.test_endpoints import (
    INBOUND,
    QR,
    test_401_without_the_secret,
    test_an_unknown_instance_has_no_queue,
    test_bad_input_is_refused_with_a_reason,
    test_inbound_of_an_unknown_instance_is_404,
    test_lists_instances_that_are_not_connected,
    test_mark_failed_is_idempotent_and_never_undoes_a_send,
    test_status_of_an_unknown_instance_is_404,
    test_what_makes_two_inbound_messages_the_same,
)
from tests.e2e.world import SECRET
from tests.worker_proxy.backend import EdgeProxy
from wa_worker.edge.call import MAX_ANSWER

__all__ = [
    "test_401_without_the_secret",
    "test_an_unknown_instance_has_no_queue",
    "test_bad_input_is_refused_with_a_reason",
    "test_inbound_of_an_unknown_instance_is_404",
    "test_lists_instances_that_are_not_connected",
    "test_mark_failed_is_idempotent_and_never_undoes_a_send",
    "test_status_of_an_unknown_instance_is_404",
    "test_what_makes_two_inbound_messages_the_same",
]


async def test_status_is_kept_and_the_code_only_while_it_can_be_scanned(
    proxy: EdgeProxy, client: httpx.AsyncClient
) -> None:
    shown = []
    for status, qr_code in (("CONNECTING", QR), ("CONNECTED", QR), ("CONNECTING", None), ("DISCONNECTED", None)):
        body = {"instanceId": "shop", "status": status, "qr_code": qr_code}
        assert (await client.post("/update-status", json=body)).json() == {"ok": True}
        row = proxy.store.instance("shop")
        assert row is not None
        shown.append((row.status, row.qr_code))
    assert shown == [("CONNECTING", QR), ("CONNECTED", None), ("CONNECTING", None), ("DISCONNECTED", None)]


async def test_queue_is_listed_oldest_first_and_500_at_most(proxy: EdgeProxy, client: httpx.AsyncClient) -> None:
    ids = proxy.store.queue_many("shop", [("5511988880001", f"m{n}") for n in range(502)])
    proxy.store.db.execute("update wa_messages set queued_at = queued_at - interval '1 s' where id = %s", (ids[-1],))
    expected = [ids[-1], *ids[:-1]]
    query = {"instanceId": "shop"}
    listed = (await client.get("/queued-messages", params=query)).json()
    assert [row["id"] for row in listed] == expected[:500]
    assert listed[1] == {"id": ids[0], "to": "5511988880001", "body": "m0"}
    for id_ in expected[:2]:
        await client.post("/mark-sent", json={"messageId": id_, "wa_message_id": f"W{id_}"})
    assert [row["id"] for row in (await client.get("/queued-messages", params=query)).json()] == expected[2:]


async def test_a_queue_of_long_texts_is_listed_in_pages_that_a_worker_reads(
    proxy: EdgeProxy, client: httpx.AsyncClient
) -> None:
    ids = proxy.store.queue_many("shop", [("5511988880001", f"{n}" + "\U0001f389" * 65000) for n in range(200)])
    seen: list[int] = []
    while seen != ids:
        answer = await client.get("/queued-messages?instanceId=shop")
        assert len(answer.content) < MAX_ANSWER / 4
        page = [row["id"] for row in answer.json()]
        assert page
        seen += page
        proxy.store.db.execute("update wa_messages set status = 'sent' where id = any(%s)", (page,))


async def test_the_first_mark_sent_stays(proxy: EdgeProxy, client: httpx.AsyncClient) -> None:
    id_ = proxy.store.queue("shop", "5511988887777", "Oi")
    said = len(proxy.lines)
    rows = []
    for wa_id in ("W1", "W1", "W2"):
        answer = await client.post("/mark-sent", json={"messageId": id_, "wa_message_id": wa_id})
        assert (answer.status_code, answer.json()) == (200, {"ok": True})
        rows += proxy.store.messages("shop")
    assert rows[0].sent_at is not None
    assert (rows[0].status, rows[0].wa_message_id) == ("sent", "W1")
    assert rows == [rows[0]] * 3
    with trio.fail_after(5):
        await proxy.wait_for(lambda _: len(proxy.lines) > said)
    assert proxy.lines[said:] == ["mark-sent: a message that was sent under another wa_message_id, which stays\n"]


async def test_ten_marks_at_once_are_one(proxy: EdgeProxy, client: httpx.AsyncClient) -> None:
    id_ = proxy.store.queue("shop", "5511988887777", "Oi")
    statuses = []

    async def mark(path: str, body: dict[str, str]) -> None:
        statuses.append((await client.post(path, json={"messageId": id_, **body})).status_code)

    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(mark, "/mark-sent", {"wa_message_id": "W"})
            nursery.start_soon(mark, "/mark-failed", {"error": "no"})
    assert statuses == [200] * 20
    (row,) = proxy.store.messages()
    assert (row.status, row.wa_message_id, row.error) == ("sent", "W", None)


async def test_ids_must_come_back_as_they_went(proxy: EdgeProxy, client: httpx.AsyncClient) -> None:
    id_ = proxy.store.queue("shop", "5511988887777", "Oi")
    for path, field in (("/mark-sent", "wa_message_id"), ("/mark-failed", "error")):
        for wrong in (str(id_), id_ * 2, "", 10**30, 2**53, -1, 0):
            answer = await client.post(path, json={"messageId": wrong, field: "W"})
            assert answer.status_code == (400 if wrong == "" else 404)
    assert (await client.post("/mark-sent", json={"messageId": id_, "wa_message_id": "W"})).status_code == 200


async def test_a_mark_for_a_row_that_was_deleted_is_accepted(proxy: EdgeProxy, client: httpx.AsyncClient) -> None:
    ids = proxy.store.queue_many("shop", [("5511988887777", "Oi")] * 2)
    proxy.store.remove_instance("shop")
    for id_ in ids:
        sent = await client.post("/mark-sent", json={"messageId": id_, "wa_message_id": "W"})
        failed = await client.post("/mark-failed", json={"messageId": id_, "error": "x"})
        assert (sent.status_code, failed.status_code) == (200, 200)


async def test_inbound_is_stored_once(proxy: EdgeProxy, client: httpx.AsyncClient) -> None:
    answers = [(await client.post("/inbound", json=INBOUND)).json() for _ in range(3)]
    assert answers == [{"ok": True, "duplicate": repeat} for repeat in (False, True, True)]
    (row,) = proxy.store.inbound("shop")
    assert row.payload == {key: INBOUND[key] for key in INBOUND if key != "one_day"}


async def test_ten_posts_of_a_message_at_once_store_it_once(proxy: EdgeProxy, client: httpx.AsyncClient) -> None:
    answers = []

    async def post() -> None:
        answers.append((await client.post("/inbound", json=INBOUND)).json()["duplicate"])

    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(post)
    assert sorted(answers) == [False] + [True] * 9
    assert proxy.store.count_inbound() == 1


async def test_a_message_is_never_refused_for_what_a_row_cannot_hold(
    proxy: EdgeProxy, client: httpx.AsyncClient
) -> None:
    odd = {"body": "a\0b", "push_name": "\0", "timestamp": 10**17, "wa_message_id": "3A\0"}
    for repeat in (False, True):
        answer = await client.post("/inbound", json={**INBOUND, **odd})
        assert answer.json() == {"ok": True, "duplicate": repeat}
    (row,) = proxy.store.inbound("shop")
    assert (row.body, row.payload["push_name"], row.payload["timestamp"]) == ("a\ufffdb", "\ufffd", None)


@pytest.mark.parametrize("field", ["from", "to", "chat_id", "wa_message_id"])
async def test_an_id_that_no_index_holds_is_refused(client: httpx.AsyncClient, field: str) -> None:
    answer = await client.post("/inbound", json={**INBOUND, field: "\U0001f389" * 300})
    assert (answer.status_code, answer.json()) == (400, {"error": f"{field} is longer than 256 characters"})


async def test_the_longest_ids_fit(client: httpx.AsyncClient) -> None:
    ids = dict.fromkeys(("from", "to", "chat_id", "wa_message_id"), "\u4e00" * 256)
    assert (await client.post("/inbound", json={**INBOUND, **ids})).status_code == 200


async def test_a_body_beyond_reason_is_413_and_a_long_text_is_not(proxy: EdgeProxy, client: httpx.AsyncClient) -> None:
    assert (await client.post("/inbound", json={**INBOUND, "body": "x" * 2**20})).status_code == 413
    long = "\U0001f389" * 65536
    assert (await client.post("/inbound", json={**INBOUND, "body": long})).status_code == 200
    assert proxy.store.inbound()[0].body == long


async def test_a_switched_off_instance_is_gone_for_the_worker_but_keeps_its_data(
    proxy: EdgeProxy, client: httpx.AsyncClient
) -> None:
    proxy.store.queue("shop", "5511988887777", "Oi")
    proxy.store.set_status("shop", "CONNECTED")
    proxy.store.enable("shop", False)
    status = {"instanceId": "shop", "status": "CONNECTED", "qr_code": None}
    # Listed once more, so that the worker says CONNECTED and hears the 404.
    assert (await client.get("/disconnected-instances")).json() == [{"id": "shop"}]
    assert (await client.post("/update-status", json=status)).status_code == 404
    assert (await client.get("/disconnected-instances")).json() == []
    assert (await client.get("/queued-messages?instanceId=shop")).json() == []
    assert (await client.post("/inbound", json=INBOUND)).status_code == 200
    row = proxy.store.instance("shop")
    assert row is not None
    assert row.status == "DISCONNECTED"
    proxy.store.enable("shop", True)
    assert (await client.get("/disconnected-instances")).json() == [{"id": "shop"}]
    assert len((await client.get("/queued-messages?instanceId=shop")).json()) == 1


@pytest.mark.parametrize(("scheme", "status"), [("Bearer", 200), ("bearer", 200), ("Token", 401), ("Basic", 401)])
async def test_the_secret_goes_with_bearer_alone(client: httpx.AsyncClient, scheme: str, status: int) -> None:
    answer = await client.get("/disconnected-instances", headers={"Authorization": f"{scheme} {SECRET}"})
    assert answer.status_code == status


async def test_405_says_what_to_use(client: httpx.AsyncClient) -> None:
    answer = await client.get("/mark-sent")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


@pytest.mark.parametrize("prefix", ["", "/worker-proxy", "/any_name", "/functions/v1/worker-proxy"])
async def test_it_answers_wherever_it_is_mounted(proxy: EdgeProxy, client: httpx.AsyncClient, prefix: str) -> None:
    answer = await client.get(str(httpx.URL(proxy.url).join(f"{prefix}/disconnected-instances")))
    assert (answer.status_code, answer.json()) == (200, [{"id": "shop"}])
