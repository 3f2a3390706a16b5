"""The timers of chats: what is newer counts, whoever comes late."""

from __future__ import annotations

import time

import attrs
import pytest

from tests.journal.rows import ANA, BIA, ME, OTHER, SHOP, inbound_message, posted_bodies, read_only
from tests.journal.stores import Store
from wa_worker.errors import JournalError
from wa_worker.journal import Journal, TimerNote
from wa_worker.messages import ChatTimer
from wa_worker.models import Jid

LID = Jid("98765432109876@lid")
DAY, WEEK = 86_400, 604_800


def note(timer: ChatTimer, *chats: Jid, account: Jid = ME) -> TimerNote:
    return TimerNote(account, frozenset(chats or {ANA}), timer)


@attrs.frozen
class Order:
    name: str
    first: ChatTimer
    then: ChatTimer
    taken: bool


ORDERS = [
    Order("a change", ChatTimer(DAY, 100, changed=True), ChatTimer(0, 200, changed=True), True),
    Order("a change that comes late", ChatTimer(DAY, 200, changed=True), ChatTimer(0, 100, changed=True), False),
    Order("two changes in a second", ChatTimer(DAY, 100, changed=True), ChatTimer(0, 100, changed=True), True),
    Order("a newer message", ChatTimer(DAY, 100), ChatTimer(WEEK, 101), True),
    Order("a message of the same second", ChatTimer(DAY, 100), ChatTimer(WEEK, 100), True),
    Order("a message that comes late", ChatTimer(DAY, 100), ChatTimer(WEEK, 99), False),
    Order("a message from before the change", ChatTimer(0, 200, changed=True), ChatTimer(DAY, 100), False),
    Order("a message of the second of the change", ChatTimer(0, 100, changed=True), ChatTimer(DAY, 100), False),
    Order("a message from after a change that was missed", ChatTimer(DAY, 100, changed=True), ChatTimer(0, 101), True),
    Order("another mode", ChatTimer(DAY, 100), ChatTimer(DAY, 100, initiator=1, trigger=2), True),
]


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: order.name)
def test_what_is_newer_counts(journal: Journal, order: Order) -> None:
    timers = journal.inbox.timers
    assert timers.get(SHOP, ME, ANA) is None
    timers.note(SHOP, note(order.first))
    assert timers.get(SHOP, ME, ANA) == order.first
    timers.note(SHOP, note(order.then))
    assert timers.get(SHOP, ME, ANA) == (order.then if order.taken else order.first)


def test_accounts_and_instances_are_apart(journal: Journal) -> None:
    timers = journal.inbox.timers
    timers.note(SHOP, note(ChatTimer(DAY, 100), ANA, LID))
    assert timers.get(SHOP, ME, LID) == timers.get(SHOP, ME, ANA) == ChatTimer(DAY, 100)
    assert timers.get(SHOP, ME, BIA) is timers.get(OTHER, ME, ANA) is timers.get(SHOP, BIA, ANA) is None


def test_they_are_there_after_a_restart(store: Store) -> None:
    with store.open() as journal:
        journal.inbox.record(SHOP, inbound_message("1"), note=note(ChatTimer(DAY, 100)))
        assert posted_bodies(journal) == {1: ["Oi"]}
    with store.open() as journal:
        assert journal.inbox.timers.get(SHOP, ME, ANA) == ChatTimer(DAY, 100)


def test_a_message_that_is_known_tells_of_the_timer_too(journal: Journal) -> None:
    assert journal.inbox.record(SHOP, inbound_message("1"))
    assert not journal.inbox.record(SHOP, inbound_message("1"), note=note(ChatTimer(DAY, 100)))
    assert journal.inbox.timers.get(SHOP, ME, ANA) == ChatTimer(DAY, 100)


def test_the_disk_takes_both_or_neither(journal: Journal) -> None:
    read_only(journal, True)
    with pytest.raises(JournalError):
        journal.inbox.record(SHOP, inbound_message("1"), note=note(ChatTimer(DAY, 100)))
    read_only(journal, False)
    assert (posted_bodies(journal), journal.inbox.timers.get(SHOP, ME, ANA)) == ({}, None)


def test_those_that_are_off_are_forgotten_when_no_older_message_can_come(journal: Journal) -> None:
    timers, now = journal.inbox.timers, int(time.time())
    timers.note(SHOP, note(ChatTimer(0, now - 2 * WEEK, changed=True), ANA, LID))
    timers.note(SHOP, note(ChatTimer(DAY, now - 2 * WEEK), BIA))
    timers.note(OTHER, note(ChatTimer(0, now), ANA))
    assert [timers.purge(WEEK, 1) for _ in range(3)] == [1, 1, 0]
    assert timers.get(SHOP, ME, ANA) is None
    assert timers.get(SHOP, ME, BIA) is not None
    assert timers.get(OTHER, ME, ANA) is not None
