"""Polls whose votes are to be understood: of ours by their intent, of others with their message."""

from __future__ import annotations

from tests.journal.rows import OTHER, SHOP, inbound_message
from wa_worker.journal import Journal, PollNote, Trace

OPTIONS = ("Sexta", "S\u00e1bado")
SECRET = b"s" * 32


def test_a_poll_of_ours_is_known_from_its_intent_on(journal: Journal) -> None:
    journal.ledger.step(SHOP, [], 1, trace=Trace(SECRET, None, OPTIONS))
    journal.ledger.step(SHOP, [], 2, trace=Trace(b"t" * 32, None))
    assert journal.inbox.polls.options(SHOP, SECRET) == OPTIONS
    assert journal.inbox.polls.options(SHOP, b"t" * 32) is None, "no poll"
    assert journal.inbox.polls.options(OTHER, SECRET) is None


def test_a_poll_of_others_is_known_with_its_message(journal: Journal) -> None:
    assert journal.inbox.record(SHOP, inbound_message("A"), poll=PollNote(SECRET, OPTIONS))
    assert journal.inbox.polls.options(SHOP, SECRET) == OPTIONS


def test_nobody_puts_other_options_in_the_place_of_a_known_polls(journal: Journal) -> None:
    journal.ledger.step(SHOP, [], 1, trace=Trace(SECRET, None, OPTIONS))
    journal.inbox.record(SHOP, inbound_message("A"), poll=PollNote(SECRET, ("x", "y")))
    assert journal.inbox.polls.options(SHOP, SECRET) == OPTIONS


def test_old_ones_are_forgotten(journal: Journal) -> None:
    journal.ledger.step(SHOP, [], 1, trace=Trace(SECRET, None, OPTIONS))
    assert journal.inbox.polls.purge(60) == 0
    assert journal.inbox.polls.purge(-60) == 1
    assert journal.inbox.polls.options(SHOP, SECRET) is None
