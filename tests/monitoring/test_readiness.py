"""Readiness: what makes the worker unready, and what does not."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import attrs
import pytest

from tests.proxy_fixture import SHOP, open_proxy_fixture
from wa_worker.delivery.held_back import HeldBack
from wa_worker.instances.polling import WAIT
from wa_worker.instances.registry import Registry
from wa_worker.journal import open_journal
from wa_worker.journal.backlog import Backlog, Queue
from wa_worker.messages.pacing import HeldMessage, HeldReason
from wa_worker.models import InstanceId, Jid
from wa_worker.monitoring.readiness import LEAST_SILENCE, TOO_OLD, Facts, Phase, Readiness, reasons_not_ready
from wa_worker.volume import VolumeGuard

NONE = Queue(0, 0.0)
OLD = Queue(3, TOO_OLD + 1)
CALM = Backlog(NONE, NONE, NONE, 0, 0)
FINE = Facts(
    Phase.WORKING, answered=True, silence=3.0, poll_interval=10.0, held=0.0, backlog=CALM, trouble=None, full=False
)


@attrs.frozen
class Case:
    name: str
    change: dict[str, Any]
    reasons: list[str]


CASES = [
    Case("all is well", {}, []),
    Case("waiting for the lock", {"phase": Phase.WAITING}, ["waiting for the lock on the volume"]),
    Case("joining", {"phase": Phase.JOINING}, ["waiting for PostgreSQL to take this worker in"]),
    Case("loading", {"phase": Phase.LOADING}, ["the journal and the WhatsApp library are loading"]),
    Case("stopping, whatever else", {"phase": Phase.STOPPING, "trouble": "x"}, ["stopping"]),
    Case("never polled", {"answered": False}, ["the proxy has not answered a poll yet"]),
    Case("silent for five intervals", {"silence": 51.0}, ["the proxy has not answered a poll for 51 s"]),
    Case("silent for less", {"silence": 49.0}, []),
    Case("a short interval", {"poll_interval": 0.1, "silence": LEAST_SILENCE - 1}, []),
    Case("silent from the start", {"answered": False, "silence": 60.0}, ["the proxy has not answered a poll for 60 s"]),
    Case("a poll is held", {"poll_interval": 0.1, "silence": LEAST_SILENCE + 9, "held": 20.0}, []),
    Case("a long interval", {"poll_interval": 3600.0, "silence": 7200.0}, []),
    Case("a full volume", {"full": True}, ["the volume is full"]),
    Case("a broken journal", {"trouble": "disk I/O error"}, ["the journal does not work: disk I/O error"]),
    Case("an unreadable journal", {"backlog": None}, []),
    Case(
        "old inbox",
        {"backlog": attrs.evolve(CALM, to_deliver=OLD)},
        ["3 received messages wait for /inbound, the oldest for 301 s"],
    ),
    Case(
        "old outcomes",
        {"backlog": attrs.evolve(CALM, to_tell=OLD)},
        ["3 outcomes wait for /mark-sent or /mark-failed, the oldest for 301 s"],
    ),
    Case("many but young", {"backlog": attrs.evolve(CALM, to_deliver=Queue(10_000, 20.0))}, []),
    Case("unsent is the proxy's business", {"backlog": attrs.evolve(CALM, to_send=OLD, dead=3, uncertain=2)}, []),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_ready_or_why_not(case: Case) -> None:
    assert reasons_not_ready(attrs.evolve(FINE, **case.change)) == case.reasons


def test_reasons_add_up() -> None:
    worst = attrs.evolve(
        FINE, silence=99.0, trouble="x", full=True, backlog=attrs.evolve(CALM, to_deliver=OLD, to_tell=OLD)
    )
    assert len(reasons_not_ready(worst)) == 5


async def test_a_proxy_that_holds_polls_may_say_nothing_for_longer(tmp_path: Path) -> None:
    async with open_proxy_fixture(SHOP, contract=2) as fixture:
        with open_journal(tmp_path / "journal.db") as journal:
            readiness = Readiness(Registry(), poll_interval=0.1)
            readiness.working(journal, fixture.edge, VolumeGuard(tmp_path))
            await fixture.edge.queued_messages(SHOP)
            assert set((await readiness.snapshot()).poll_ages) == {"queued-messages"}
            fixture.edge.version.is_two()
            await fixture.edge.poll("w", {}, 0)
            assert set((await readiness.snapshot()).poll_ages) == {"disconnected-instances"}
            assert readiness._facts(None, None).held == WAIT


async def test_a_scrape_counts_what_pace_holds_back_of_all_instances() -> None:
    registry = Registry()
    for instance, reasons in (("shop", [HeldReason.RATE, HeldReason.FIRST_PER_DAY]), ("pub", [HeldReason.RATE])):
        held = registry.activity(InstanceId(instance)).held = HeldBack()
        for number, reason in enumerate(reasons):
            held.note(HeldMessage(InstanceId(instance), number, Jid("ana"), reason, time.time() + 600))
    registry.activity(InstanceId("not paced"))
    snapshot = await Readiness(registry, poll_interval=0.1).snapshot()
    assert snapshot.paced == {HeldReason.RATE: 2, HeldReason.FIRST_PER_DAY: 1}
