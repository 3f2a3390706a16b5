"""`GET /instances`: what it says of an instance, and who may ask."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import httpx
import pytest
import trio

from wa_worker.instances.registry import Registry
from wa_worker.journal import Change, Elsewhere, SendState, Settled, Together, open_journal
from wa_worker.journal.per_instance import InstanceBacklog
from wa_worker.messages import ChatType, InboundMessage
from wa_worker.metrics import Metrics
from wa_worker.models import InstanceId, Jid, Reason, Secret, WaMessageId
from wa_worker.monitoring.health import listen, run_health
from wa_worker.monitoring.instances import describe, held
from wa_worker.monitoring.readiness import Readiness
from wa_worker.states import Event, State

SHOP, CAFE = InstanceId("shop"), InstanceId("cafe")
ANA = Jid("5511988880001@s.whatsapp.net")


def test_an_instance_says_what_it_does_and_why() -> None:
    registry, before = Registry(), int(time.time())
    registry.set(SHOP, State.HELD, because=Event.BANNED, detail="sent to +5511988880001")
    registry.set_reason(SHOP, Reason.BANNED, 2_000_000_000)
    registry.set_account(SHOP, Jid("5511999990001@s.whatsapp.net"))
    registry.activity(SHOP).last_in = 1_700_000_000.5
    (said,) = describe(registry, {SHOP: InstanceBacklog(1, 2, 3)})["instances"]
    assert before <= said.pop("since") <= time.time()
    assert said == {
        "id": "shop",
        "state": "held",
        "because": "banned",
        "detail": "sent to ***0001",
        "logged_out": False,
        "reason": "banned",
        "until": 2_000_000_000,
        "number": "***0001",
        "last_in": 1_700_000_000,
        "last_out": None,
        "held_back": 0,
        "paced_until": None,
        "backlog": {"to_deliver": 1, "to_send": 2, "to_report": 3},
    }


def test_those_of_other_workers_are_told_with_whose_they_are() -> None:
    registry = Registry()
    registry.set(SHOP, State.CONNECTED, because=Event.CONNECTED)
    held = Change(5.0, "held", "banned", 99, "sent to +5511988880001")
    other = Elsewhere("b 2", 3.0, held, InstanceBacklog(to_send=4))
    together = Together("a 1", {CAFE: other, InstanceId("free"): Elsewhere(None), SHOP: other})
    cafe, free, shop = describe(registry, {}, together)["instances"]
    assert (shop["id"], shop["state"], shop["worker"]) == ("shop", "connected", "a 1"), "its own it knows best"
    assert (free["state"], free["worker"]) == ("unowned", None)
    assert (cafe["id"], cafe["state"], cafe["reason"], cafe["worker"]) == ("cafe", "held", "banned", "b 2")
    assert (cafe["since"], cafe["until"], cafe["detail"]) == (5, 99, "sent to ***0001")
    assert cafe["backlog"] == {"to_deliver": 0, "to_send": 4, "to_report": 0}
    assert cafe.keys() == free.keys() == shop.keys()


def test_a_log_out_is_kept_until_the_phone_has_linked_it_again() -> None:
    registry = Registry()
    registry.set(SHOP, State.LOGGED_OUT, because=Event.LOGGED_OUT)
    registry.set(SHOP, State.PAIRING, because=Event.UNPAIRED)
    registry.set(SHOP, State.PAIRING, because=Event.QR)
    assert registry.all()[SHOP].logged_out
    registry.set(SHOP, State.OPENING, because=Event.PAIRED)
    assert not registry.all()[SHOP].logged_out


def test_the_number_goes_with_a_log_out_and_the_end_with_the_state() -> None:
    registry = Registry()
    registry.set(SHOP, State.CONNECTED, because=Event.CONNECTED)
    registry.set_account(SHOP, ANA)
    registry.set(SHOP, State.HELD, because=Event.BANNED)
    registry.set_reason(SHOP, Reason.BANNED, 2_000_000_000)
    assert registry.all()[SHOP].account == ANA
    registry.set(SHOP, State.OPENING, because=Event.PAIRED)
    assert registry.all()[SHOP].until is None
    registry.set(SHOP, State.LOGGED_OUT, because=Event.LOGGED_OUT)
    assert registry.all()[SHOP].account is None


def test_what_is_held_is_named_and_why() -> None:
    """Nothing else of it: anybody on the network may ask."""
    registry = Registry()
    registry.set(SHOP, State.HELD, because=Event.BANNED, detail="sent to +5511988880001")
    registry.set_reason(SHOP, Reason.BANNED, 2_000_000_000)
    registry.set(CAFE, State.LOGGED_OUT, because=Event.LOGGED_OUT)
    registry.set(CAFE, State.PAIRING, because=Event.QR)
    registry.set_reason(CAFE, Reason.SCAN, None)
    others = [(State.CONNECTED, Event.CONNECTED), (State.PAIRING, Event.QR), (State.RETRYING, Event.OPEN_FAILED)]
    for number, (state, event) in enumerate(others):
        registry.set(InstanceId(str(number)), state, because=event)
    assert held(registry) == [
        {"id": "cafe", "reason": "logged_out", "until": None},
        {"id": "shop", "reason": "banned", "until": 2_000_000_000},
    ]
    registry.set(CAFE, State.OPENING, because=Event.PAIRED)
    registry.remove(SHOP)
    assert held(registry) == []


def test_the_backlog_of_each_instance(tmp_path: Path) -> None:
    message = InboundMessage(
        WaMessageId("A"), ANA, ChatType.DIRECT, ANA, ANA, None, None, body="Oi", message_type="text", timestamp=0
    )
    path = tmp_path / "journal.db"
    with open_journal(path) as journal:
        assert journal.backlogs() == {}
        for wa_id in ("A", "B"):
            journal.inbox.record(SHOP, attrs.evolve(message, wa_id=WaMessageId(wa_id)))
        journal.ledger.admit(CAFE, dict.fromkeys(range(6), ANA), listed_at=0)
        journal.ledger.step(CAFE, [Settled(0, SendState.SENT, WaMessageId("W"))], 1)
        journal.ledger.step(CAFE, [Settled(2, SendState.FAILED, error="no")], None)
        journal.ledger.step(CAFE, [Settled(3, SendState.UNCERTAIN, error="?")], None)
        assert journal.backlogs() == {
            SHOP: InstanceBacklog(to_deliver=2),
            CAFE: InstanceBacklog(to_send=3, to_report=2),
        }


@asynccontextmanager
async def served(token: Secret | None) -> AsyncIterator[httpx.AsyncClient]:
    registry, listener = Registry(), listen("127.0.0.1", 0)
    registry.set(SHOP, State.PAIRING, because=Event.UNPAIRED)
    base = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with trio.open_nursery() as nursery, httpx.AsyncClient(base_url=base, trust_env=False) as client:
        await nursery.start(run_health, registry, Readiness(registry, 1.0), Metrics(), listener, token)
        yield client
        nursery.cancel_scope.cancel()


async def test_without_a_token_there_is_no_such_page() -> None:
    async with served(None) as client:
        assert (await client.get("/instances", headers={"Authorization": "Bearer None"})).status_code == 404


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer tokeN", "Basic token", "token", "Bearer é"])
async def test_the_wrong_token_is_refused(header: str | None) -> None:
    headers = [] if header is None else [(b"Authorization", header.encode())]
    async with served(Secret("token")) as client:
        answer = await client.get("/instances", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "shop" not in answer.text


async def test_the_right_token_is_let_in() -> None:
    async with served(Secret("token")) as client:
        answer = await client.get("/instances", headers={"Authorization": "Bearer token"})
        assert (await client.post("/instances", headers={"Authorization": "Bearer token"})).status_code == 405
    assert [(each["id"], each["state"]) for each in answer.json()["instances"]] == [("shop", "pairing")]
