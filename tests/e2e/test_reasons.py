"""Why a number is down: a ban, a take-over, a log-out and a deployment are told apart at the proxy."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing

import pytest

from tests.e2e.world import World
from wa_worker.dev.proxy import StatusChange
from wa_worker.dev.simulator import PairingFailed

PHONE = "5511999990001"
JID = f"{PHONE}@s.whatsapp.net"
ANA, BIA = "5511988880001", "5511988880002"


async def told(world: World, reason: str, which: Callable[[StatusChange], bool] = lambda _change: True) -> StatusChange:
    """Waits until the last status has this reason, and is `which` is asked for."""

    def last() -> StatusChange | None:
        changes = world.proxy.store.statuses("shop")
        return changes[-1] if changes and changes[-1].reason == reason and which(changes[-1]) else None

    return await world.until(lambda _store: last())


async def test_a_number_that_is_paired_and_works(world: World) -> None:
    before = int(time.time())
    await world.start_worker()
    await world.pair("shop", PHONE)
    connected = await told(world, "connected")
    assert (connected.status, connected.action, connected.until) == ("CONNECTED", None, None)
    assert (connected.jid, connected.push_name) == (JID, None), "the phone has not told the name"
    changes = world.proxy.store.statuses("shop")
    scan = next(change for change in changes if change.reason == "scan")
    assert (scan.status, scan.action, scan.jid) == ("CONNECTING", "scan", None)
    for change in changes:
        assert (change.qr_code is not None) == (change.reason == "scan")
        assert change.since is not None
        assert before <= change.since <= change.at
    assert {change.reason for change in changes} <= {"waiting", "scan", "opening", "connected", "retrying"}


async def test_a_ban_says_until_when_and_the_worker_that_stops_that_it_does(world: World) -> None:
    worker = await world.start_worker()
    jid = await world.pair("shop", PHONE)
    began = time.time()
    world.simulator.bans[jid] = 600
    await world.simulator.drop(jid)
    ban = await told(world, "banned")
    assert (ban.status, ban.action, ban.jid) == ("DISCONNECTED", "wait", JID)
    assert ban.until is not None
    assert ban.since is not None
    assert began + 600 <= ban.until <= time.time() + 600 + 10
    assert began - 1 <= ban.since <= time.time()
    assert [change.reason for change in world.proxy.store.statuses("shop")].count("banned") == 1, "one call for it"
    await worker.logged("next try later", instance="shop")
    assert (await worker.health("/ready"))["held"] == [{"id": "shop", "reason": "banned", "until": ban.until}]
    assert (await worker.health())["instances"] == {"connected": 0, "connecting": 0, "reconnecting": 1}

    await worker.stop()
    stopped = await told(world, "worker_stopping")
    assert (stopped.status, stopped.action, stopped.until, stopped.jid) == ("DISCONNECTED", "wait", None, JID)

    await world.start_worker()
    again = await told(world, "banned")
    assert again.until is not None
    assert abs(again.until - ban.until) <= 2
    assert abs((again.since or 0) - ban.since) <= 10, "since it began, not since the start"


async def test_a_take_over(world: World) -> None:
    await world.start_worker()
    jid = await world.pair("shop", PHONE)
    await world.simulator.replace(jid)
    replaced = await told(world, "replaced")
    assert (replaced.status, replaced.action, replaced.jid) == ("DISCONNECTED", "check_phone", JID)
    assert replaced.until is not None
    assert 80 <= replaced.until - time.time() <= 190, "three minutes, or half of that"


async def test_a_log_out(world: World) -> None:
    worker = await world.start_worker()
    jid = await world.pair("shop", PHONE)
    history = len(world.proxy.store.statuses("shop"))
    await world.simulator.log_out(jid)
    scan = await told(world, "scan")
    out = world.proxy.store.statuses("shop")[history]
    assert (out.status, out.reason, out.action, out.until) == ("DISCONNECTED", "logged_out", "scan", None)
    assert out.jid == JID, "which number it was"
    assert (scan.status, scan.jid) == ("CONNECTING", None)
    assert (await worker.health("/ready"))["held"] == [{"id": "shop", "reason": "logged_out", "until": None}]


@pytest.mark.parametrize(("code", "reason", "action"), [(405, "outdated", "upgrade"), (400, "refused", "check_phone")])
async def test_a_refused_login(world: World, code: int, reason: str, action: str) -> None:
    await world.start_worker()
    jid = await world.pair("shop", PHONE)
    world.simulator.login_failures[jid] = code
    await world.simulator.drop(jid)
    refused = await told(world, reason)
    assert (refused.status, refused.action) == ("DISCONNECTED", action)
    assert refused.until is not None
    assert refused.until > time.time()


async def test_a_deployment_is_no_trouble(world: World) -> None:
    worker = await world.start_worker()
    await world.pair("shop", PHONE)
    with closing(sqlite3.connect(world.auth_dir / "shop" / "session.db", timeout=10)) as sql, sql:
        sql.execute("UPDATE whatsmeow_device SET push_name = 'Padaria'")  # as the phone tells it in time
    await worker.stop()
    stopped = await told(world, "worker_stopping")
    assert (stopped.status, stopped.action) == ("DISCONNECTED", "wait")
    await world.start_worker()
    connected = await told(world, "connected")
    assert (connected.jid, connected.push_name) == (JID, "Padaria")


async def test_an_instance_that_is_taken_off_the_list_was_released(world: World) -> None:
    worker = await world.start_worker()
    await world.pair("shop", PHONE)
    world.proxy.store.park_instance("shop")
    await worker.logged("instance let go: the proxy does not know it", instance="shop")
    world.proxy.store.add_instance("shop", "CONNECTED")
    released = await told(world, "released")
    assert (released.status, released.action, released.jid) == ("DISCONNECTED", None, JID)


async def test_an_account_that_may_not_write_first(world: World) -> None:
    """It stays connected, and messages to people who wrote to it go out."""
    worker = await world.start_worker()
    await world.pair("shop", PHONE)
    world.simulator.message_error[ANA] = 463
    world.proxy.store.queue("shop", ANA, "to somebody who never wrote")
    restricted = await told(world, "restricted")
    assert (restricted.status, restricted.action) == ("CONNECTED", "wait")
    assert restricted.until is not None
    assert 3590 <= restricted.until - time.time() <= 3610
    other = world.proxy.store.queue("shop", BIA, "to somebody who did")
    await world.until(lambda store: {row.id: row.status for row in store.messages("shop")}[other] == "sent")
    assert world.proxy.store.statuses("shop")[-1].reason == "restricted", "that says nothing of it"
    assert (await worker.health())["instances"]["connected"] == 1
    assert (await worker.health("/ready"))["held"] == []

    world.simulator.message_error.clear()
    world.proxy.store.queue("shop", ANA, "the first is tried again later, and this is not held up by it")
    with closing(sqlite3.connect(world.auth_dir / "@worker" / "journal.db", timeout=10)) as sql, sql:
        sql.execute("UPDATE ledger SET not_before = 0 WHERE state = 'waiting'")
    connected = await told(world, "connected")
    assert (connected.status, connected.until) == ("CONNECTED", None)


async def test_a_request_for_a_passkey(world: World) -> None:
    worker = await world.start_worker()
    world.proxy.store.add_instance("shop")
    world.simulator.passkeys.add(PHONE)
    code = await world.qr("shop")
    with pytest.raises(PairingFailed, match="passkey"):
        await world.simulator.scan(code, PHONE)
    asked = await told(world, "passkey")
    assert (asked.status, asked.action, asked.jid) == ("DISCONNECTED", "passkey", None)
    assert asked.until is not None
    assert 20 <= asked.until - time.time() <= 60
    await worker.logged(
        "WhatsApp asks for a passkey, which neonize cannot give: see docs/troubleshooting.md", instance="shop"
    )
    await worker.logged("next try later", instance="shop")
    assert (await worker.health("/ready"))["held"][0]["reason"] == "passkey"
