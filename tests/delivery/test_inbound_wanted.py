"""What goes out only if the proxy wants it: kept until that is known, and settled without a call if it does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from tests.delivery.test_inbound import ME, Delivering, open_delivery
from tests.proxy_fixture import SHOP, until
from tests.test_metrics import scrape
from wa_worker.dev.proxy import Fault
from wa_worker.messages import (
    Call,
    ChatType,
    Edit,
    InboundMessage,
    PollVote,
    Reaction,
    Revoke,
    Wanted,
    wanted,
)
from wa_worker.models import Jid, WaMessageId

ANA = Jid("5511988880001@s.whatsapp.net")

CONTENT: dict[str, dict[str, Any]] = {
    "edit": {"edit": Edit("A")},
    "revoke": {"revoke": Revoke("A")},
    "reaction": {"reaction": Reaction("A", "x")},
    "poll_vote": {"poll_vote": PollVote("A")},
    "call": {"call": Call("A")},
}


def received(at: Delivering, wa_id: str, kind: str = "text", *, own: bool = False, chat: Jid = ANA) -> None:
    message = InboundMessage(
        WaMessageId(wa_id), chat, ChatType.DIRECT, ME, chat, None, None, wa_id, kind, 1_790_000_000
    )
    at.journal.inbox.record(SHOP, attrs.evolve(message, from_me=True if own else None, **CONTENT.get(kind, {})))
    at.delivery.wakeup.ring()


def told(at: Delivering) -> list[str]:
    return [row.body for row in at.fixture.proxy.store.inbound(SHOP)]


def not_wanted(at: Delivering) -> float:
    return scrape(at.fixture.metrics)["wa_worker_messages_delivered_total{outcome=not_wanted}"]


async def test_what_is_not_wanted_costs_no_call_and_holds_up_nothing(tmp_path: Path) -> None:
    async with open_delivery(tmp_path, contract=2) as at:
        for kind in ("edit", "revoke", "reaction", "poll_vote", "call", "view_once"):
            received(at, kind, kind)
        received(at, "typed", own=True)
        received(at, "Oi")
        at.nursery.start_soon(at.delivery.run)
        await at.all_delivered()
        assert told(at) == ["Oi"]
        assert at.fixture.proxy.store.events["inbound"] == 1
        assert not_wanted(at) == 7
        assert {state for state, _, _ in at.inbox()} == {"posted"}


@pytest.mark.parametrize("contract", [1, 2])
async def test_what_is_wanted_goes_out_in_its_order(tmp_path: Path, contract: Any) -> None:
    async with open_delivery(tmp_path, contract=contract) as at:
        at.fixture.edge.version.is_two() if contract == 2 else at.fixture.edge.version.is_one()
        at.fixture.edge.wants._setting = wanted(["edit", "from_me"])
        received(at, "1")
        received(at, "2", "edit")
        received(at, "3", "reaction")
        received(at, "4", own=True)
        received(at, "5", "reaction", own=True)
        received(at, "6")
        at.nursery.start_soon(at.delivery.run)
        await at.all_delivered()
        assert told(at) == ["1", "2", "4", "6"]


async def test_what_the_proxy_says_goes_before_the_setting_while_it_speaks_version_2(tmp_path: Path) -> None:
    async with open_delivery(tmp_path, contract=2) as at:
        edge = at.fixture.edge
        edge.wants._setting = frozenset({Wanted.EDIT})
        at.nursery.start_soon(at.delivery.run)
        edge.wants.said(frozenset({Wanted.REACTION}))
        for number, (kind, version) in enumerate([("edit", 2), ("reaction", 2), ("edit", 1), ("reaction", 1)]):
            edge.version.is_two() if version == 2 else edge.version.is_one()
            if version == 1:
                edge.version.is_one()  # at the second look, too
            received(at, f"{number}", kind)
            await at.all_delivered()
        edge.version.is_two()
        edge.wants.said(None)
        received(at, "4", "edit")
        await at.all_delivered()
        assert told(at) == ["1", "2", "4"]


async def test_until_the_proxy_has_answered_a_poll_nothing_is_dropped(tmp_path: Path) -> None:
    async with open_delivery(tmp_path) as at:
        received(at, "1")
        received(at, "2", "edit")
        received(at, "3")
        received(at, "other", chat=Jid("5511988880002@s.whatsapp.net"))
        at.nursery.start_soon(at.delivery.run)
        await until(lambda: sorted(told(at)) == ["1", "other"])
        await trio.sleep(1.2)
        assert sorted(told(at)) == ["1", "other"]
        assert at.delivery._queue.breaker.is_open is False
        at.fixture.edge.wants.said(frozenset({Wanted.EDIT}))
        at.fixture.edge.version.is_two()
        at.fixture.edge.version.no_events()
        await at.all_delivered()
        assert [body for body in told(at) if body != "other"] == ["1", "2", "3"]


async def test_what_is_settled_without_a_call_is_no_sign_that_the_proxy_works(tmp_path: Path) -> None:
    async with open_delivery(tmp_path, contract=2) as at:
        at.fixture.proxy.faults.set("events", Fault(status=503))
        at.nursery.start_soon(at.delivery.run)
        for number in range(8):
            received(at, f"m{number}", chat=Jid(f"55119888700{number:02}@s.whatsapp.net"))
        await until(lambda: at.delivery._queue.breaker.is_open)
        for number in range(8):
            received(at, f"e{number}", "edit", chat=Jid(f"55119888600{number:02}@s.whatsapp.net"))
        await until(lambda: not_wanted(at) > 0)
        await trio.sleep(0.1)
        assert at.delivery._queue.breaker.is_open
        assert at.delivery._queue._last_success == 0.0
        at.fixture.proxy.faults.clear()
        await at.all_delivered()
        assert len(told(at)) == 8
