"""What is held back of an instance: who sees it, what is news, and of what the proxy is told how often."""

from __future__ import annotations

import time

import attrs

from wa_worker.delivery.held_back import TOLD_AGAIN, TOLD_FROM, HeldBack, HeldView
from wa_worker.delivery.pace import ABSENT, MOST_REMEMBERED
from wa_worker.edge.events import held_event
from wa_worker.messages.pacing import HeldMessage, HeldReason
from wa_worker.models import InstanceId, Jid

NOW = 1_000_000.0
LONG = HeldMessage(InstanceId("shop"), 7, Jid("ana"), HeldReason.FIRST_PER_DAY, NOW + 600.0)


def test_a_long_hold_is_told_once_and_anew_when_it_is_held_once_more() -> None:
    held = HeldBack()
    held.note(LONG)
    assert held.to_tell(NOW) == [LONG]
    assert held.to_tell(NOW + 1) == [], "it is under way"
    held.told(LONG)
    held.note(LONG)
    assert held.to_tell(NOW + 540) == [], "the proxy lists it though it was told"
    again = attrs.evolve(LONG, until=NOW + 1200)
    held.note(again)
    assert held.to_tell(NOW + 601) == [again]


def test_what_could_not_be_told_is_told_again_after_a_while() -> None:
    held = HeldBack()
    held.note(LONG)
    assert held.to_tell(NOW) == [LONG]
    assert held.to_tell(NOW + TOLD_AGAIN - 1) == []
    assert held.to_tell(NOW + TOLD_AGAIN) == [LONG]


def test_a_short_hold_is_not_told() -> None:
    held = HeldBack()
    held.note(attrs.evolve(LONG, until=NOW + TOLD_FROM - 1))
    assert held.to_tell(NOW) == []


def test_it_is_news_once_for_each_reason() -> None:
    held = HeldBack()
    assert [held.note(LONG), held.note(LONG)] == [True, False]
    assert held.note(attrs.evolve(LONG, reason=HeldReason.RATE))
    held.drop(7)
    assert held.note(LONG)


def test_what_is_seen_is_what_is_held_now() -> None:
    held = HeldBack()
    assert held.view(NOW) == HeldView()
    held.note(LONG)
    held.note(attrs.evolve(LONG, message_id="8", reason=HeldReason.RATE, until=NOW + 5))
    view = held.view(NOW)
    assert (view.messages, view.until) == (2, NOW + 5)
    assert view.reasons == {HeldReason.FIRST_PER_DAY: 1, HeldReason.RATE: 1}
    assert held.view(NOW + 5 + ABSENT + 1).messages == 1, "not listed again: somebody has deleted it"
    held.drop(7)
    assert held.view(NOW) == HeldView()


def test_it_is_bounded() -> None:
    held = HeldBack()
    for n in range(MOST_REMEMBERED + 5):
        held.note(attrs.evolve(LONG, message_id=n))
    assert held.view(NOW).messages == MOST_REMEMBERED


def test_an_event_of_it_says_what_the_contract_says() -> None:
    event = held_event(attrs.evolve(LONG, until=NOW + 0.5))
    assert abs(event.body.pop("timestamp") - time.time()) < 5
    assert event.body == {
        "instanceId": "shop",
        "messageId": 7,
        "chat_id": "ana",
        "status": "held",
        "reason": "first_per_day",
        "until": 1_000_001,
    }
    assert event.id == held_event(attrs.evolve(LONG, until=NOW + 0.5)).id
