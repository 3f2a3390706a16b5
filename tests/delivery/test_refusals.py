"""Whether a refusal of a received message may be acted on: the rules, by themselves."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from wa_worker.delivery.refusals import REJECTIONS, Refusals
from wa_worker.edge.answers import ALREADY_THERE
from wa_worker.edge.evidence import LIST, Evidence
from wa_worker.errors import EdgeRejected, EdgeUnavailable
from wa_worker.journal import PendingInbound
from wa_worker.messages import ChatType, InboundMessage
from wa_worker.models import InstanceId, Jid, WaMessageId

SHOP = InstanceId("shop")
ANA = Jid("5511988880001@s.whatsapp.net")
PAUSE = 60.0
OLD, NEW = 4, 5
"""Numbers of rows: one that was there when the process started, and one that came since."""


def row(seq: int = NEW) -> PendingInbound:
    message = InboundMessage(WaMessageId(str(seq)), ANA, ChatType.DIRECT, ANA, ANA, None, None, "Oi", "text", 1)
    return PendingInbound(seq, 1, SHOP, message, 0)


def refused(status: int = 422) -> EdgeRejected:
    return EdgeRejected("inbound", f"answered {status}", status)


def refusals() -> tuple[Refusals, Evidence]:
    evidence = Evidence()
    return Refusals(evidence, oldest_new=NEW, pause=PAUSE), evidence


async def test_three_refusals_over_minutes_each_beside_another_that_was_accepted(autojump_clock: MockClock) -> None:
    counted, evidence = refusals()
    verdicts = []
    for _ in range(REJECTIONS):
        verdicts.append(counted.is_final(row(), refused()))
        await trio.sleep(PAUSE)
        evidence.accepted("inbound", "another")
        await trio.sleep(1)
    assert verdicts == [False] * (REJECTIONS - 1) + [True]


async def test_refusals_in_quick_succession_count_once(autojump_clock: MockClock) -> None:
    counted, evidence = refusals()
    for _ in range(10 * REJECTIONS):
        evidence.accepted("inbound", "another")
        await trio.sleep(0.5)
        assert not counted.is_final(row(), refused())


async def test_without_a_witness_none_counts(autojump_clock: MockClock) -> None:
    counted, evidence = refusals()
    for _ in range(10 * REJECTIONS):
        evidence.accepted("mark-sent", "another")
        evidence.accepted(LIST, "")
        await trio.sleep(PAUSE)
        assert not counted.is_final(row(), refused())
    assert counted.lacks_witness(row())
    evidence.accepted("inbound", "another")
    assert not counted.lacks_witness(row())


async def test_one_that_is_settled_starts_anew(autojump_clock: MockClock) -> None:
    counted, evidence = refusals()
    for _ in range(REJECTIONS - 1):
        assert not counted.is_final(row(), refused())
        await trio.sleep(PAUSE)
        evidence.accepted("inbound", "another")
        await trio.sleep(1)
    counted.settled(row())
    assert not counted.is_final(row(), refused())
    assert not counted.lacks_witness(row())


async def said_twice_that_it_is_there(counted: Refusals, which: PendingInbound, evidence: Evidence) -> bool:
    assert not counted.is_final(which, refused(ALREADY_THERE)), "never at its first word"
    await trio.sleep(1)
    evidence.accepted(LIST, "")
    await trio.sleep(1)
    return counted.is_final(which, refused(ALREADY_THERE))


async def test_it_may_be_there_if_a_try_was_not_answered(autojump_clock: MockClock) -> None:
    for status in (None, 500, 503, 200):
        counted, evidence = refusals()
        counted.unanswered(row(), EdgeUnavailable("inbound", "?", status))
        assert await said_twice_that_it_is_there(counted, row(), evidence)


async def test_it_cannot_be_there_if_no_try_got_through(autojump_clock: MockClock) -> None:
    counted, evidence = refusals()
    counted.unanswered(row(), EdgeUnavailable("inbound", "?", 404))
    assert not await said_twice_that_it_is_there(counted, row(), evidence)
    await trio.sleep(REJECTIONS * PAUSE)
    assert counted.is_final(row(), refused(ALREADY_THERE)), "but for ever it is not asked"


async def test_a_process_before_this_one_may_have_posted_it(autojump_clock: MockClock) -> None:
    counted, evidence = refusals()
    assert await said_twice_that_it_is_there(counted, row(OLD), evidence)


async def test_it_is_there_if_others_are_accepted_meanwhile(autojump_clock: MockClock) -> None:
    counted, evidence = refusals()
    assert not counted.is_final(row(), refused(ALREADY_THERE))
    await trio.sleep(1)
    evidence.accepted("inbound", "another")
    assert counted.is_final(row(), refused(ALREADY_THERE))


async def test_without_a_list_that_was_answered_well_it_may_be_anybodys_word(autojump_clock: MockClock) -> None:
    counted, _ = refusals()
    counted.unanswered(row(), EdgeUnavailable("inbound", "?", 500))
    for _ in range(20):
        assert not counted.is_final(row(), refused(ALREADY_THERE))
        await trio.sleep(PAUSE)
