"""What the real process says of itself: its counters against what happened, readiness, and slower polls when idle."""

from __future__ import annotations

import httpx
import trio
from prometheus_client.parser import text_string_to_metric_families

from tests.docs.test_dashboards import missing_in_a_box
from tests.e2e.world import PATIENCE, Worker, World, eventually
from wa_worker.dev.proxy import Fault

CONTACT = "5511988880002"


async def _get(worker: Worker, path: str) -> httpx.Response:
    async with httpx.AsyncClient() as http:
        return await http.get(f"http://127.0.0.1:{worker.port}{path}")


async def _scrape(worker: Worker) -> dict[str, float]:
    """Samples by name; those with labels by name and label values: `wa_worker_instances connected`."""
    response = await _get(worker, "/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        " ".join((sample.name, *sample.labels.values())): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


async def _unready(worker: Worker) -> list[str]:
    """The reasons, none if it is ready."""
    response = await _get(worker, "/ready")
    body = response.json()
    assert body.keys() == {"status", "reasons", "held"}
    assert (response.status_code, body["status"]) == ((503, "not ready") if body["reasons"] else (200, "ready"))
    reasons: list[str] = body["reasons"]
    return reasons


async def _becomes_ready(worker: Worker) -> None:
    with trio.fail_after(PATIENCE):
        while await _unready(worker):  # noqa: ASYNC110 - nothing tells
            await trio.sleep(0.1)


async def test_the_counters_say_what_happened(world: World) -> None:
    worker = await world.start_worker()
    jid = await world.pair("shop", "5511999990001")
    contact = world.simulator.contact(CONTACT)
    world.simulator.message_error["5511900000404"] = 400
    world.proxy.store.queue_many(
        "shop", [*((CONTACT, f"counted out {n}") for n in range(7)), ("5511900000404", "refused one")]
    )
    world.proxy.store.queue("shop", "nobody's number", "never tried")
    await world.until(lambda s: not any(row.status == "queued" for row in s.messages("shop")))
    world.proxy.faults.set("inbound", Fault(status=503, times=2))
    for n in range(4):
        await contact.send(jid, f"counted in {n}")
    await world.until(lambda s: len(s.inbound("shop")) == 4)
    await contact.send_garbage(jid)
    await worker.logged("a message could not be decrypted; WhatsApp is asked for it again")
    printed = await worker.logged("the native library printed", level="warning")  # libsignal has its own opinion
    assert "Error deserializing" in printed["reason"]
    await contact.send(jid, "counted in 4")
    await world.until(lambda s: len(s.inbound("shop")) == 5)
    await world.simulator.drop(jid)
    await worker.logged("reconnecting", instance="shop")
    await eventually(lambda: [line["event"] for line in worker.lines].count("connected") == 2)
    await world.status("shop", "CONNECTED")
    await world.simulator.replace(jid)
    await worker.logged("next try later", instance="shop")

    said = await _scrape(worker)
    expected = {
        "wa_worker_messages_out_total sent": 7,
        "wa_worker_messages_out_total failed": 2,
        "wa_worker_messages_out_total uncertain": 0,
        "wa_worker_messages_received_total new": 5,
        "wa_worker_messages_received_total undecryptable": 1,
        "wa_worker_messages_delivered_total accepted": 5,
        "wa_worker_messages_delivered_total set_aside": 0,
        "wa_worker_edge_request_seconds_count mark-sent 2xx": world.proxy.store.requests["mark-sent"],
        "wa_worker_edge_request_seconds_count mark-failed 2xx": 2,
        "wa_worker_edge_request_seconds_count inbound 2xx": 5,
        "wa_worker_edge_request_seconds_count inbound 5xx": 2,
        "wa_worker_session_opens_total": 1,
        "wa_worker_session_endings_total replaced": 1,
        "wa_worker_session_endings_total deaf": 0,
        "wa_worker_state_changes_total disconnected reconnecting": 1,
        "wa_worker_state_changes_total connected connected": 2,
        "wa_worker_state_changes_total replaced held": 1,
        "wa_worker_instances held": 1,
        "wa_worker_instances connected": 0,
        "wa_worker_instances_attention replaced": 1,
        "wa_worker_instances_attention banned": 0,
        "wa_worker_backlog_messages to_deliver": 0,
        "wa_worker_backlog_messages to_send": 0,
        "wa_worker_backlog_messages to_tell": 0,
        "wa_worker_instance_crashes_total": 0,
        "wa_worker_journal_works": 1,
        "wa_worker_ready": 1,
    }
    assert {name: said.get(name) for name in expected} == expected
    assert said["wa_worker_qr_codes_total"] >= 1
    assert 0 <= said["wa_worker_poll_age_seconds disconnected-instances"] < 10
    assert said["wa_worker_threads"] > 5
    assert 10e6 < said["process_resident_memory_bytes"] < 1e9

    text = (await _get(worker, "/metrics")).text
    assert missing_in_a_box(text) == [], "the dashboard and the alerts name only what a real worker says"
    for private in ("shop", "5511", CONTACT, "counted"):
        assert private not in text
    assert await worker.health("/metrics/") == await worker.health("/ready/") == 404
    assert await _unready(worker) == []


async def test_a_phone_that_logged_out_and_one_that_never_scanned_are_counted(world: World) -> None:
    worker = await world.start_worker()
    jid = await world.pair("shop", "5511999990001")
    world.proxy.store.add_instance("new")
    await world.qr("new")
    assert (await _scrape(worker))["wa_worker_instances_attention logged_out"] == 0
    await world.simulator.log_out(jid)
    await worker.logged("the phone removed this device: pairing anew")
    await world.qr("shop")
    said = await _scrape(worker)
    assert said["wa_worker_instances_attention logged_out"] == 1
    assert said["wa_worker_instances_attention unpaired"] == 1
    await world.pair("shop", "5511999990001")
    assert (await _scrape(worker))["wa_worker_instances_attention logged_out"] == 0


async def test_a_ban_is_counted_by_the_next_run_too(world: World) -> None:
    worker = await world.start_worker()
    jid = await world.pair("shop", "5511999990001")
    world.simulator.bans[jid] = 3600
    await world.simulator.drop(jid)
    await worker.logged("next try later", instance="shop")
    assert (await _scrape(worker))["wa_worker_instances_attention banned"] == 1
    await worker.stop()
    again = await world.start_worker()
    await again.logged("held since before the start", instance="shop")
    assert (await _scrape(again))["wa_worker_instances_attention banned"] == 1


async def test_a_backlog_is_seen_with_its_age(world: World) -> None:
    worker = await world.start_worker()
    jid = await world.pair("shop", "5511999990001")
    world.proxy.faults.set("inbound", Fault(status=503))
    for n in range(3):
        await world.simulator.contact(CONTACT).send(jid, f"stuck for now {n}")
    await worker.logged("not handed to the proxy, will retry")
    await trio.sleep(1)
    said = await _scrape(worker)
    assert said["wa_worker_backlog_messages to_deliver"] == 3
    assert 0.5 < said["wa_worker_backlog_oldest_seconds to_deliver"] < PATIENCE


async def test_ready_from_the_first_answer_until_the_proxy_is_silent(world: World) -> None:
    await world.proxy.down()
    worker = await world.start_worker()
    with trio.fail_after(PATIENCE):
        while (reasons := await _unready(worker)) != ["the proxy has not answered a poll yet"]:
            assert len(reasons) == 1
            await trio.sleep(0.02)
    await world.proxy.up()
    await _becomes_ready(worker)
    world.proxy.faults.set("disconnected-instances", Fault(body=b"<html>a page, not a proxy</html>"))
    with trio.fail_after(PATIENCE):
        while not (reasons := await _unready(worker)):  # noqa: ASYNC110 - ten seconds of silence
            await trio.sleep(0.2)
    assert reasons[0].startswith("the proxy has not answered a poll for 1")
    assert (await worker.health())["status"] == "ok", "which is no reason to restart it"
    assert (await _scrape(worker))["wa_worker_ready"] == 0
    world.proxy.faults.clear()
    await _becomes_ready(worker)


async def test_unready_while_another_worker_holds_the_volume(world: World) -> None:
    first = await world.start_worker()
    await _becomes_ready(first)
    second = await world.start_worker()
    await second.logged("another worker holds the volume, waiting for it to end")
    assert await _unready(second) == ["waiting for the lock on the volume"]
    said = await _scrape(second)
    assert (said["wa_worker_ready"], said["wa_worker_journal_works"]) == (0, 0)
    await first.stop()
    await _becomes_ready(second)


async def test_an_idle_instance_polls_less_and_a_message_sets_it_back(world: World) -> None:
    await world.start_worker(MSG_POLL_MS="50", MSG_POLL_MAX_MS="60000")
    jid = await world.pair("shop", "5511999990001")
    await trio.sleep(2.5)
    assert await _polls_take(world, 4) > 4 * 0.19, "a tenth of the silence lies between two, 0.25 s or more"
    await world.simulator.contact(CONTACT).send(jid, "is anybody there at all")
    await world.until(lambda s: s.inbound("shop"))
    assert await _polls_take(world, 6) < 6 * 0.19, "0.05 s lie between two again"


async def _polls_take(world: World, count: int) -> float:
    """Seconds until so many more polls for messages have come."""
    began, before = trio.current_time(), world.proxy.store.requests["queued-messages"]
    await world.until(lambda s: s.requests["queued-messages"] >= before + count)
    return trio.current_time() - began


async def test_no_client_of_the_health_port_stops_or_holds_the_worker(world: World) -> None:
    worker = await world.start_worker()
    head = b"GET /health HTTP/1.1\r\nHost: x\r\n"
    hostile = [
        head + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: A\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\6\4\0\0\0\0\0\xff\xff\xff\xff\xff\xff",
        head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        head + b"Content-Length: 1000000000\r\n\r\n",
        head + b"Content-Length: 5\r\n\r\n",
        head + b"X: slow",
    ]
    for data in hostile:
        stream = await trio.open_tcp_stream("127.0.0.1", worker.port)
        await stream.send_all(data)
        with trio.move_on_after(0.1):
            await stream.receive_some()
        assert (await worker.health())["status"] == "ok"  # while the connection is open
        await stream.aclose()
    assert await worker.stop() < 5
    assert worker.process.returncode == 0
