"""Whom an account knows: over restarts, under hashes, within bounds."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.journal.rows import ANA, BIA, ME, OTHER, SHOP, YEAR, admit, inbound_message, send
from tests.journal.stores import Store
from wa_worker.journal import Contact, Journal, SendState, open_journal
from wa_worker.journal.adding import EventKind
from wa_worker.journal.contacts import ACCOUNT_KEPT, DAY, KNOWN_FOR, NOBODY
from wa_worker.models import Jid

NINTH = Jid("551188880001@s.whatsapp.net")


def found(journal: Journal, chat: Jid, account: Jid = ME) -> Contact:
    return journal.contacts.find(SHOP, account, [chat])[chat]


def test_who_has_written_is_known_at_once_and_when_the_inbox_has_forgotten_it(store: Store) -> None:
    with store.open() as journal:
        assert found(journal, ANA) == NOBODY
        journal.inbox.record(SHOP, inbound_message("1"))
        heard_at = found(journal, ANA).heard_at
        assert heard_at == pytest.approx(time.time(), abs=5)
        assert journal.contacts.find(OTHER, ME, [ANA])[ANA] == NOBODY, "of another instance"
        journal.contacts.learn(SHOP, ME)
        with journal.database.transaction() as sql:
            sql.execute("DELETE FROM inbox")
    with store.open() as journal:
        assert found(journal, ANA) == Contact(heard_at)
        assert found(journal, ANA, BIA) == NOBODY, "of another account of the instance"


def test_a_tick_or_a_change_of_a_group_is_no_word_of_anybody(store: Store) -> None:
    with store.open() as journal:
        for n, kind in enumerate((EventKind.RECEIPT, EventKind.GROUP_CHANGE, EventKind.UPDATE)):
            journal.inbox.record(SHOP, inbound_message(str(n)), kind=kind)
        assert found(journal, ANA) == NOBODY
        journal.contacts.learn(SHOP, ME)
        assert found(journal, ANA) == NOBODY


def test_to_whom_the_ledger_has_sent_is_no_stranger(store: Store) -> None:
    with store.open() as journal:
        admit(journal, 1, 2)
        send(journal, 1, SendState.SENT, wa_id="W1", to=BIA)
        journal.contacts.learn(SHOP, ME)
        assert found(journal, BIA) == Contact(None, begun=True)
        assert found(journal, ANA) == NOBODY, "what waits has not gone to anybody"


def test_an_account_that_whatsapp_named_otherwise_is_known_under_both(store: Store) -> None:
    with store.open() as journal:
        journal.accounts.put(ANA, NINTH)
        journal.inbox.record(SHOP, inbound_message("1", NINTH))
        assert found(journal, ANA).heard_at is not None


def test_first_messages_count_for_a_day_whatever_the_clock_does(store: Store) -> None:
    with store.open() as journal:
        journal.contacts.linked(SHOP, ME)
        journal.contacts.begin(SHOP, ME, ANA, first=True)
        journal.contacts.begin(SHOP, ME, ANA, first=True)
        journal.contacts.begin(SHOP, ME, BIA, first=False)
        assert len(journal.contacts.account(SHOP, ME).firsts) == 1
        assert (found(journal, ANA).begun, found(journal, BIA).begun) == (True, True)
    with store.open() as journal:
        for days in (+400, -0.5):  # the clock was set back; then half a day passes
            with journal.database.transaction() as sql:
                sql.execute("UPDATE contacts SET first_at = first_at + ?", (days * DAY,))
            (at,) = journal.contacts.account(SHOP, ME).firsts
            assert at <= time.time()
        with journal.database.transaction() as sql:
            sql.execute("UPDATE contacts SET first_at = first_at - ?", (0.6 * DAY,))
        assert journal.contacts.account(SHOP, ME).firsts == ()
        assert journal.contacts.account(OTHER, ME).firsts == ()


def test_since_when_a_number_is_linked_is_kept(store: Store) -> None:
    with store.open() as journal:
        assert journal.contacts.account(SHOP, ME).linked_at == pytest.approx(time.time(), abs=5), "not known: now"
        journal.contacts.linked(SHOP, ME)
        with journal.database.transaction() as sql:
            sql.execute("UPDATE linked_accounts SET linked_at = linked_at - 864000")
        journal.contacts.linked(SHOP, ME)
        assert time.time() - journal.contacts.account(SHOP, ME).linked_at == pytest.approx(10 * DAY, abs=5)
        assert journal.contacts.account(SHOP, BIA).linked_at == pytest.approx(time.time(), abs=5), "another number"


def test_a_restriction_ends_by_itself_and_a_clock_that_was_ahead_does_not_prolong_it(store: Store) -> None:
    with store.open() as journal:
        journal.contacts.linked(SHOP, ME)
        assert journal.contacts.account(SHOP, ME).restricted_for == 0.0
        journal.contacts.restrict(SHOP, ME, 100.0)
        assert 90 < journal.contacts.account(SHOP, ME).restricted_for <= 100
        with journal.database.transaction() as sql:
            sql.execute(
                "UPDATE linked_accounts "
                "SET restricted_until = restricted_until + 9e6, restricted_at = restricted_at + 9e6"
            )
        assert journal.contacts.account(SHOP, ME).restricted_for == pytest.approx(100.0)
        journal.contacts.restrict(SHOP, ME, 0.0)
        assert journal.contacts.account(SHOP, ME).restricted_for == 0.0


def test_nobodys_address_is_in_the_tables(store: Store, path: Path) -> None:
    with store.open() as journal:
        journal.inbox.record(SHOP, inbound_message("1", BIA))
        journal.contacts.linked(SHOP, ME)
        journal.contacts.learn(SHOP, ME)
        journal.contacts.begin(SHOP, ME, ANA, first=True)
        with journal.database.reading() as sql:
            tables = [sql.execute(f"SELECT * FROM {name}").fetchall() for name in ("contacts", "linked_accounts")]
            (key,) = sql.execute("SELECT key FROM contact_key").fetchone()
    cells = [cell for table in tables for row in table for cell in row]
    kept = repr(tables).encode() + b"".join(cell for cell in cells if isinstance(cell, bytes))
    assert [len(table) for table in tables] == [2, 1]
    assert not [jid for jid in (ANA, BIA, ME) if jid.partition("@")[0].encode() in kept]
    assert len(key) == 32
    with open_journal(path.with_name("another.db")) as other:
        other.contacts.linked(SHOP, ME)
        with other.database.reading() as sql:
            assert sql.execute("SELECT key FROM contact_key").fetchone() != (key,)


def test_who_is_not_heard_of_for_long_is_forgotten(store: Store) -> None:
    with store.open() as journal:
        journal.contacts.linked(SHOP, ME)
        for n in range(5):
            journal.contacts.begin(SHOP, ME, Jid(f"{n}@s.whatsapp.net"), first=True)
        assert journal.contacts.purge(7 * DAY) == 0
        with journal.database.transaction() as sql:
            sql.execute("UPDATE contacts SET begun_at = begun_at - ?", (KNOWN_FOR + 60,))
        assert [journal.contacts.purge(7 * DAY, 3) for _ in range(3)] == [3, 2, 0]
        assert ACCOUNT_KEPT > YEAR
        with journal.database.transaction() as sql:
            sql.execute("UPDATE linked_accounts SET seen_at = seen_at - ?", (ACCOUNT_KEPT + 60,))
        assert journal.contacts.purge(7 * DAY) == 1
