"""How sessions end: each as the state table (states.py) says, at the proxy, in the log and in health."""

from __future__ import annotations

import os
import signal

import pytest
import trio

from tests.e2e.world import Worker, World, eventually
from wa_worker.dev.proxy import Fault

PHONE = "5511999990001"


async def _held(world: World, worker: Worker) -> None:
    await world.status("shop", "DISCONNECTED")
    assert (await worker.health())["instances"] == {"connected": 0, "connecting": 0, "reconnecting": 1}


async def test_removed_on_the_phone_while_connected(world: World) -> None:
    worker = await world.start_worker()
    other = await world.pair("other", "5511999990002")
    jid = await world.pair("shop", PHONE)
    history = len(world.proxy.store.statuses("shop"))
    await world.simulator.log_out(jid)
    await worker.logged("the phone removed this device: pairing anew", instance="shop")
    again = await world.pair("shop", PHONE)
    assert again != jid
    statuses = [change.status for change in world.proxy.store.statuses("shop")[history:]]
    assert statuses[0] == "DISCONNECTED"
    assert "CONNECTING" in statuses
    assert statuses[-1] == "CONNECTED"
    assert len(list((world.auth_dir / "shop" / "archive").iterdir())) == 1
    assert world.simulator.logins[other] == 2, "the pairing host's and the worker's: the neighbour noticed nothing"


async def test_removed_on_the_phone_while_we_were_down(world: World) -> None:
    worker = await world.start_worker()
    jid = await world.pair("shop", PHONE)
    await worker.stop()
    world.simulator.unlink(jid)
    await world.start_worker()
    assert await world.pair("shop", PHONE) != jid


async def test_the_proxy_hears_of_a_log_out_before_the_next_code_though_it_was_away(world: World) -> None:
    await world.start_worker()
    jid = await world.pair("shop", PHONE)
    history, calls = len(world.proxy.store.statuses("shop")), world.proxy.store.requests["update-status"]
    world.proxy.faults.set("update-status", Fault(status=503))
    await world.simulator.log_out(jid)
    await world.proxy.wait_for(lambda store: store.requests["update-status"] > calls)
    await trio.sleep(0.7)
    world.proxy.faults.clear()
    await world.qr("shop")
    assert world.proxy.store.statuses("shop")[history].status == "DISCONNECTED"


async def test_a_proxy_that_stays_away_does_not_keep_a_code_back(world: World) -> None:
    worker = await world.start_worker()
    jid = await world.pair("shop", PHONE)

    def pairings() -> int:
        return sum(line.get("event") == "pairing" for line in worker.lines)

    before = pairings()
    world.proxy.faults.set("update-status", Fault(status=503))
    await world.simulator.log_out(jid)
    await worker.logged("session store archived", instance="shop")
    await eventually(lambda: pairings() > before)
    world.proxy.faults.clear()
    await world.qr("shop")


async def test_replaced_by_another_client_does_not_fight(world: World) -> None:
    worker = await world.start_worker()
    jid = await world.pair("shop", PHONE)
    logins = world.simulator.logins[jid]
    await world.simulator.replace(jid)
    await worker.logged("next try later", instance="shop")
    await _held(world, worker)
    assert world.simulator.logins[jid] == logins
    await worker.stop()
    assert worker.process.returncode == 0
    worker = await world.start_worker()  # a restart does not shorten it
    await worker.logged("held since before the start", because="REPLACED")
    await _held(world, worker)


async def test_a_temporary_ban_lasts_until_it_expires(world: World) -> None:
    worker = await world.start_worker()
    jid = await world.pair("shop", PHONE)
    world.simulator.bans[jid] = 1
    await world.simulator.drop(jid)
    line = await worker.logged("next try later", instance="shop")
    assert 1 <= line["seconds"] <= 8
    await _held(world, worker)
    del world.simulator.bans[jid]
    await world.status("shop", "CONNECTED")


@pytest.mark.parametrize(
    ("code", "event"),
    [
        (405, "WhatsApp refuses this client version: upgrade wa-worker (neonize)"),
        (400, "WhatsApp refuses the login"),
    ],
)
async def test_a_refused_login_is_held_and_says_why(world: World, code: int, event: str) -> None:
    worker = await world.start_worker()
    jid = await world.pair("shop", PHONE)
    world.simulator.login_failures[jid] = code
    await world.simulator.drop(jid)
    await worker.logged(event, instance="shop")
    await _held(world, worker)


@pytest.mark.parametrize("expire", [2, None])
async def test_a_ban_for_a_reason_without_a_name_is_a_hold_like_any_other(world: World, expire: int | None) -> None:
    worker = await world.start_worker()
    jid = await world.pair("shop", PHONE)
    world.simulator.ban_code, world.simulator.bans[jid] = 999, expire
    await world.simulator.drop(jid)
    await worker.logged("WhatsApp has banned this account for a while", reason="reason 999")
    line = await worker.logged("next try later", instance="shop")
    low, high = (2, 9) if expire is not None else (30, 60)
    assert low <= line["seconds"] <= high
    attempts = world.simulator.attempts[jid]
    await _held(world, worker)
    assert world.simulator.attempts[jid] == attempts
    assert not (world.auth_dir / "shop" / "archive").exists(), "a ban is no logout"
    if expire is not None:
        del world.simulator.bans[jid]
        await world.status("shop", "CONNECTED")


@pytest.mark.parametrize("code", [411, 418, 429, 499])
async def test_a_refusal_for_a_reason_without_a_name_is_held_too(world: World, code: int) -> None:
    worker = await world.start_worker()
    jid = await world.pair("shop", PHONE)
    world.simulator.login_failures[jid] = code
    await world.simulator.drop(jid)
    await worker.logged("WhatsApp refuses the login", reason=f"reason {code}")
    await worker.logged("next try later", instance="shop")
    attempts = world.simulator.attempts[jid]
    await _held(world, worker)
    assert world.simulator.attempts[jid] == attempts
    assert not (world.auth_dir / "shop" / "archive").exists()


@pytest.mark.parametrize("kind", [None, "read", "played-self", "server-error", "made-up"])
async def test_a_receipt_of_any_type_costs_no_message(world: World, kind: str | None) -> None:
    await world.start_worker()
    jid = await world.pair("shop", PHONE)
    contact = world.simulator.contact("5511988880002")
    await contact.send(jid, "before")
    await world.until(lambda s: s.inbound("shop"))
    await contact.send_receipt(jid, "AAAA", kind)
    await contact.send_receipt(jid, "BBBB", kind)
    await world.simulator.drop(jid)
    await contact.send(jid, "after")
    rows = await world.until(lambda s: rows if len(rows := s.inbound("shop")) == 2 else [])
    assert [row.body for row in rows] == ["before", "after"]
    await world.status("shop", "CONNECTED")


async def test_a_receipt_that_ended_the_library_does_so_once(world: World) -> None:
    worker = await world.start_worker()
    jid = await world.pair("shop", PHONE)
    contact = world.simulator.contact("5511988880002")
    logins = world.simulator.logins[jid] + 1
    await contact.send_receipt(jid, "AAAA", "made-up")
    await worker.logged("no receipts are asked for: one ended the library's loop", instance="shop")
    await eventually(lambda: world.simulator.logins[jid] == logins and world.simulator.connected(jid))
    for number in range(3):
        await contact.send_receipt(jid, f"BBBB{number}", "made-up")
        await contact.send(jid, f"message {number}")
    rows = await world.until(lambda s: rows if len(rows := s.inbound("shop")) == 3 else [])
    assert [row.body for row in rows] == [f"message {number}" for number in range(3)]
    assert world.simulator.logins[jid] == logins


@pytest.mark.parametrize("code", [500, 503])
async def test_server_trouble_at_login_passes(world: World, code: int) -> None:
    await world.start_worker()
    jid = await world.pair("shop", PHONE)
    world.simulator.login_failures[jid] = code
    await world.simulator.drop(jid)
    await world.status("shop", "CONNECTING")
    del world.simulator.login_failures[jid]
    await world.status("shop", "CONNECTED")


async def test_a_stream_error_is_recovered_from(world: World) -> None:
    worker = await world.start_worker()
    jid = await world.pair("shop", PHONE)
    await world.simulator.stream_error(jid, "503")
    await worker.logged("reconnecting", instance="shop")
    await world.status("shop", "CONNECTED")


async def test_an_undecryptable_message_costs_nothing_but_itself(world: World) -> None:
    worker = await world.start_worker()
    jid = await world.pair("shop", PHONE)
    contact = world.simulator.contact("5511988880002")
    await contact.send(jid, "before")
    await world.until(lambda s: s.inbound("shop"))
    await contact.send_garbage(jid)
    await worker.logged("a message could not be decrypted; WhatsApp is asked for it again")
    await contact.send(jid, "after")
    rows = await world.until(lambda s: rows if len(rows := s.inbound("shop")) == 2 else [])
    assert [row.body for row in rows] == ["before", "after"]
    assert not (world.auth_dir / "shop" / "archive").exists()


async def test_whatsapp_unreachable_is_probed_and_then_recovered_from(world: World) -> None:
    worker = await world.start_worker()
    jid = await world.pair("shop", PHONE)
    await worker.stop()
    world.simulator.refusing = True
    worker = await world.start_worker()
    await world.status("shop", "CONNECTING")
    await worker.logged("retrying", instance="shop")
    world.simulator.refusing = False
    await world.status("shop", "CONNECTED")
    assert world.simulator.connected(jid)


async def test_a_dead_pairing_host_costs_a_moment(world: World) -> None:
    worker = await world.start_worker()
    world.proxy.store.add_instance("shop")
    await world.qr("shop")
    row = world.proxy.store.instance("shop")
    assert row is not None
    (host,) = worker.descendants()
    os.kill(host, signal.SIGKILL)
    await world.qr("shop", other_than=row.qr_code)
    code = await world.qr("shop", other_than=row.qr_code)
    await world.simulator.scan(code, PHONE)
    await world.status("shop", "CONNECTED")


async def test_two_workers_on_one_volume_take_turns(world: World) -> None:
    first = await world.start_worker()
    await world.pair("shop", PHONE)
    second = await world.start_worker()
    await second.logged("another worker holds the volume, waiting for it to end")
    assert (await second.health())["instances"]["connected"] == 0
    await first.stop()
    await second.logged("connected", instance="shop")
    await world.status("shop", "CONNECTED")
