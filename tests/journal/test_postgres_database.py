"""The journal that several workers share: the fence, whose rows each sees, and connections that break."""

from __future__ import annotations

import itertools
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from uuid import uuid4

import attrs
import psycopg
import pytest

from tests.journal.rows import ANA, BIA, OTHER, SHOP, admit, inbound_message, posted_bodies, send, states
from tests.journal.stores import StateStore
from tests.journal.test_calls import call
from tests.journal.test_media import REFERENCE, picture
from tests.postgres_server import Postgres
from tests.state_fixture import SUPERUSER, open_state_database
from wa_worker.errors import JournalError, LeaseLost
from wa_worker.journal import FileStep, Journal, SendState, SentByAccount, Settled, open_state_journal
from wa_worker.journal.database import Sql
from wa_worker.journal.postgres_database import PostgresDatabase
from wa_worker.messages import MediaError, Progress, Receipt
from wa_worker.models import InstanceId, Jid, WaMessageId
from wa_worker.postgres.connecting import connect
from wa_worker.postgres.patience import patient_for


@pytest.fixture
def journal(state: StateStore) -> Iterator[Journal]:
    with state.open() as opened:
        yield opened


@pytest.fixture
def peer(state: StateStore) -> Iterator[Journal]:
    """That of a second worker, which has the instance OTHER."""
    worker = state.start(uuid4())
    state.give(OTHER, worker)
    with state.open(worker) as opened:
        yield opened


def cut(state: StateStore) -> None:
    """Ends all connections but the tests' own, as a restart of the server does."""
    state.admin.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )


def count(state: StateStore, table: str) -> int:
    return int((state.admin.execute(f"SELECT count(*) FROM {table}".encode()).fetchone() or (0,))[0])


# --- the fence


def test_a_worker_whose_row_is_gone_writes_nothing(state: StateStore, journal: Journal) -> None:
    admit(journal, "a")
    state.reap(state.worker)
    for attempt in (
        lambda: journal.inbox.record(SHOP, inbound_message("1")),
        lambda: journal.ledger.step(SHOP, [], "a"),
        lambda: journal.holds.put(SHOP, "REPLACED", 60),
        lambda: journal.receipts.record([(SHOP, Receipt((WaMessageId("A"),), Progress.READ, 1, None))]),
    ):
        with pytest.raises(LeaseLost):
            attempt()
    assert issubclass(LeaseLost, JournalError), "a callback must not return: WhatsApp would believe that we have it"
    assert (count(state, "inbox"), count(state, "holds"), states(journal)) == (0, 0, {'"a"': "waiting"})
    assert "lease" in (journal.trouble() or "")


def test_who_takes_over_waits_for_the_transaction_under_way(state: StateStore, journal: Journal) -> None:
    with journal.database.transaction() as sql:
        sql.execute("INSERT INTO chats (instance, jid) VALUES (?, ?)", (SHOP, ANA))
        reaping = threading.Thread(target=state.reap, args=(state.worker,))
        reaping.start()
        reaping.join(0.3)
        assert reaping.is_alive()
    reaping.join(5)
    assert not reaping.is_alive()
    assert count(state, "chats") == 1, "it was committed, wholly before"


def test_a_renewal_waits_for_no_transaction(state: StateStore, journal: Journal) -> None:
    with journal.database.transaction():
        state.admin.execute("SET lock_timeout = '2s'")
        state.admin.execute("UPDATE workers SET expires_at = expires_at + interval '1 s'")


def test_a_tool_is_held_by_no_fence(state: StateStore, journal: Journal) -> None:
    journal.inbox.record(SHOP, inbound_message("1"))
    state.reap(state.worker)
    with open_state_journal(state.url, None) as tool:
        assert posted_bodies(tool) == {1: ["Oi"]}
        tool.inbox.record(SHOP, inbound_message("2"))
    assert count(state, "inbox") == 2


# --- whose rows are seen


def seen(journal: Journal) -> dict[str, set[InstanceId]]:
    """What each of the queries that a worker repeats finds, by instance."""
    waiting = [row for key in journal.inbox.keys(0, 9) for row in journal.inbox.pending(key, 9)]
    return {
        "pending": {row.instance for row in waiting},
        "unreported": {mark.instance for mark in journal.ledger.unreported(0, 9)},
        "due": {row.status.instance for row in journal.receipts.due(0, 9)},
        "cut_off": {row.instance for row in journal.doubts.cut_off()},
        "maybe_sent": {row.instance for row in journal.doubts.maybe_sent()},
        "backlogs": set(journal.backlogs()),
    }


def all_of(instances: set[InstanceId]) -> dict[str, set[InstanceId]]:
    return dict.fromkeys(("pending", "unreported", "due", "cut_off", "maybe_sent", "backlogs"), instances)


def fill(journal: Journal, instance: InstanceId) -> None:
    """Puts a row of each kind there, as its owner."""
    journal.inbox.record(instance, inbound_message("in"))
    journal.ledger.admit(instance, dict.fromkeys(("sent", "marked", "doubted", "under way"), BIA), listed_at=0)
    for message, state in (("marked", SendState.SENT), ("doubted", SendState.UNCERTAIN), ("sent", SendState.SENT)):
        send(journal, message, state, wa_id=WaMessageId(message), maybe_id=WaMessageId("maybe"), instance=instance)
        if message == "marked":
            journal.ledger.reported(journal.ledger.unreported(0, 9))
    journal.receipts.record([(instance, Receipt((WaMessageId("marked"),), Progress.READ, 1, None))])
    journal.ledger.step(instance, [], "under way")


def test_rows_of_another_worker_are_not_seen_until_the_instance_is_ones_own(
    state: StateStore, journal: Journal, peer: Journal
) -> None:
    fill(journal, SHOP)
    fill(peer, OTHER)
    assert seen(journal) == all_of({SHOP})
    assert seen(peer) == all_of({OTHER})
    assert (journal.backlog().to_deliver.size, journal.backlog().to_tell.size) == (1, 1)
    hidden = [row for row in peer.inbox.keys(0, 9) if row not in journal.inbox.keys(0, 9)]
    assert [journal.inbox.pending(key, 9) for key in hidden] == [[]]
    state.give(OTHER, state.worker)
    assert seen(journal) == all_of({SHOP, OTHER})
    assert seen(peer) == all_of(set())
    with open_state_journal(state.url, None) as tool:
        state.give(OTHER, None)
        assert seen(tool) == all_of({SHOP, OTHER}), "a tool sees all"


def test_what_nobody_has_and_nobody_wants_is_told_by_the_eldest_worker(
    state: StateStore, journal: Journal, peer: Journal
) -> None:
    """An instance that was let go of runs nowhere, and what it has received and sent is yet to be told."""
    fill(peer, OTHER)
    state.give(OTHER, None)
    assert seen(journal) == seen(peer) == all_of(set()), "somebody is about to take it"
    state.admin.execute("UPDATE instances SET wanted = false WHERE id = %s", (OTHER,))
    assert seen(journal) == all_of({OTHER}), "the eldest"
    assert seen(peer) == all_of(set())
    state.reap(state.worker)
    assert seen(peer) == all_of({OTHER}), "the eldest that is left"
    state.give(OTHER, uuid4())
    assert seen(peer) == all_of({OTHER}), "its owner is no more"


def test_the_late_outcome_of_a_former_owner_changes_nothing(state: StateStore, journal: Journal, peer: Journal) -> None:
    """Its send waited for longer than the hand-over: whoever has the instance has settled that by now."""
    fill(peer, OTHER)
    state.give(OTHER, state.worker)
    assert journal.ledger.recover(resend=True, tries=3, instance=OTHER) == 1
    journal.ledger.step(OTHER, [Settled("under way", SendState.SENT, WaMessageId("B"))], None)
    peer.ledger.step(OTHER, [Settled("under way", SendState.WAITING, doubt=True)], None)
    peer.ledger.step(OTHER, [], "under way", undo=True)
    with pytest.raises(JournalError):
        peer.ledger.step(OTHER, [], "under way")
    found = state.admin.execute(
        "SELECT state, wa_id FROM ledger WHERE instance = %s AND message_id = '\"under way\"'", (OTHER,)
    ).fetchone()
    assert found == ("sent", "B")


def test_what_a_start_makes_uncertain_is_ones_own(journal: Journal, peer: Journal) -> None:
    fill(journal, SHOP)
    fill(peer, OTHER)
    assert journal.ledger.recover(resend=False, tries=3) == 1
    assert {row.instance for row in peer.doubts.cut_off()} == {OTHER}


def test_an_instance_is_recovered_alone(state: StateStore, journal: Journal, peer: Journal) -> None:
    """One that was another's is claimed while this worker's own sends are under way."""
    fill(journal, SHOP)
    fill(peer, OTHER)
    state.give(OTHER, state.worker)
    (intent,) = journal.doubts.cut_off(OTHER)
    assert journal.doubts.found({intent.seq: None}, resend=True, tries=3, instance=OTHER) == 1
    assert journal.ledger.recover(resend=True, tries=3, instance=OTHER) == 0
    assert [row.instance for row in journal.doubts.cut_off()] == [SHOP]
    assert {row.instance for row in journal.doubts.maybe_sent(OTHER)} == {OTHER}


def test_calls_and_files_of_others_are_theirs(state: StateStore, journal: Journal, peer: Journal) -> None:
    for at, instance in ((journal, SHOP), (peer, OTHER)):
        at.inbox.record(instance, picture(), file=REFERENCE)
        at.inbox.calls.ring(instance, call())
    state.admin.execute("UPDATE calls SET rang_at = 0 WHERE instance = 'other'")
    assert journal.inbox.calls.give_up() == 0
    assert (journal.inbox.calls.next_due() or 0.0) > time.time()
    (mine,) = journal.media.keys(FileStep.WANTED, 0, 9)
    (theirs,) = peer.media.keys(FileStep.WANTED, 0, 9)
    assert mine != theirs
    assert journal.media.get(theirs) is None
    assert journal.media.give_up(-1.0) == 1
    assert journal.media.settle_all(MediaError.OFF) == []
    assert peer.media.keys(FileStep.WANTED, 0, 9) == [theirs]
    assert peer.inbox.calls.give_up() == 1


def test_two_instances_that_are_devices_of_one_account_know_each_others_sends(journal: Journal, peer: Journal) -> None:
    fill(peer, OTHER)
    own = SentByAccount(b"", None)
    assert not journal.inbox.record(SHOP, inbound_message("sent"), own=own)
    assert not journal.inbox.record(SHOP, inbound_message("maybe"), own=own)
    assert journal.inbox.record(SHOP, inbound_message("of the phone"), own=own)


def test_two_workers_make_one_key_of_contacts(state: StateStore) -> None:
    with ExitStack() as opened:
        journals = [opened.enter_context(state.open(state.start(uuid4()))) for _ in range(4)]
        together = threading.Barrier(len(journals))

        def link(journal: Journal) -> None:
            together.wait()
            journal.contacts.linked(SHOP, ANA)

        threads = [threading.Thread(target=link, args=(journal,)) for journal in journals]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert (count(state, "contact_key"), count(state, "linked_accounts")) == (1, 1)


def test_two_workers_that_tidy_up_do_not_wait(journal: Journal, peer: Journal) -> None:
    journal.accounts.put(ANA, ANA)
    journal.accounts.put(BIA, BIA)
    with journal.database.transaction() as sql:
        assert sql.execute("DELETE FROM accounts WHERE asked = ?", (ANA,)).rowcount == 1
        assert peer.accounts.purge(-1.0) == 1


def test_a_decision_waits_for_the_worker_and_sees_what_it_did(state: StateStore, journal: Journal) -> None:
    """A receipt proves at this moment that a message was sent: it must not be tried again."""
    admit(journal, "a")
    send(journal, "a", SendState.UNCERTAIN, maybe_id=WaMessageId("A"))
    outcomes: list[str] = []

    def retry() -> None:
        with journal.review(write=True) as review:
            (id_,) = review.ids({SendState.UNCERTAIN}, None)
            together.wait()
            outcomes.extend(outcome.refused for outcome in review.retry([id_]))

    together = threading.Barrier(2)
    thread = threading.Thread(target=retry)
    with journal.database.transaction() as sql:
        sql.execute("UPDATE ledger SET state = 'sent', wa_id = 'A' WHERE message_id = ?", ('"a"',))
        thread.start()
        together.wait()
        time.sleep(0.2)
    thread.join()
    assert states(journal) == {'"a"': "sent"}
    assert "never sent again" in outcomes[0]


# --- connections that break


def test_one_that_was_cut_between_transactions_is_not_noticed(state: StateStore, journal: Journal) -> None:
    assert journal.inbox.record(SHOP, inbound_message("1"))
    cut(state)
    assert journal.inbox.record(SHOP, inbound_message("2"))
    cut(state)
    with pytest.raises(JournalError):
        posted_bodies(journal)
    assert posted_bodies(journal) == {1: ["Oi", "Oi"]}
    assert journal.trouble() is None


@contextmanager
def begun(state: StateStore, journal: Journal) -> Iterator[Sql]:
    """A transaction that has done something, and whose connection is cut."""
    with journal.database.transaction() as sql:
        sql.execute("INSERT INTO chats (instance, jid) VALUES (?, ?)", (SHOP, ANA))
        cut(state)
        yield sql


def test_one_that_is_cut_in_a_transaction_leaves_nothing_of_it(state: StateStore, journal: Journal) -> None:
    with pytest.raises(JournalError), begun(state, journal) as sql:
        sql.execute("INSERT INTO chats (instance, jid) VALUES (?, ?)", (SHOP, BIA))
    assert count(state, "chats") == 0
    assert journal.inbox.record(SHOP, inbound_message("1"))


def test_one_that_is_cut_before_its_commit_has_not_happened(state: StateStore, journal: Journal) -> None:
    with pytest.raises(JournalError), begun(state, journal):
        pass
    assert count(state, "chats") == 0


def test_a_commit_whose_answer_is_lost_is_asked_for(
    state: StateStore, state_server: Postgres, journal: Journal
) -> None:
    """The server waits for a standby that does not come, with the commit done, and is restarted."""
    with psycopg.connect(state_server.dsn(SUPERUSER), autocommit=True) as server:
        server.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        server.execute("SELECT pg_reload_conf()")
        puts, ended = itertools.count(1), threading.Event()
        done = 0

        def commit() -> None:
            nonlocal done
            while not ended.is_set():  # the server takes its time to read its settings
                journal.holds.put(SHOP, "REPLACED", 60.0)
                done = next(puts)

        committing = threading.Thread(target=commit)
        committing.start()
        deadline = time.monotonic() + 20
        try:
            while not ended.is_set() and time.monotonic() < deadline:
                waiting = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
                if server.execute(waiting).rowcount:
                    ended.set()
        finally:
            was_cut = ended.is_set()
            ended.set()
            server.execute("ALTER SYSTEM RESET synchronous_standby_names")
            server.execute("SELECT pg_reload_conf()")
        committing.join(20)
    assert was_cut
    assert not committing.is_alive()
    assert journal.trouble() is None
    assert journal.holds.times(SHOP, "REPLACED") == done, "each was done, and no put raised"


def test_one_whose_commit_never_came_to_the_server_is_ended(state: StateStore, journal: Journal) -> None:
    database = journal.database
    assert isinstance(database, PostgresDatabase)
    with closing(connect(state.url, "lost")) as lost:
        lost.execute("BEGIN")
        lost.execute("INSERT INTO let_go VALUES ('shop', 0)")
        (number,) = lost.execute("SELECT pg_current_xact_id()::text").fetchone() or ("",)
        assert not database._was_committed(number, lost.info.backend_pid)
    assert count(state, "let_go") == 0


def test_a_caught_error_does_not_make_a_silent_rollback(journal: Journal) -> None:
    with pytest.raises(JournalError), journal.database.transaction() as sql, suppress(psycopg.Error):
        sql.execute("SELECT 1 FROM nothing")
    assert journal.inbox.record(SHOP, inbound_message("1"))


def test_trouble_is_noticed_and_goes_away_by_itself(state: StateStore, journal: Journal) -> None:
    assert journal.trouble() is None
    state.admin.execute("ALTER TABLE workers RENAME TO gone")
    try:
        with pytest.raises(JournalError):
            journal.inbox.record(SHOP, inbound_message("a"))
        assert "does not exist" in (journal.trouble() or "")
    finally:
        state.admin.execute("ALTER TABLE gone RENAME TO workers")
    assert journal.trouble() is None


def test_an_error_names_the_place_and_not_the_password(state: StateStore, journal: Journal) -> None:
    with pytest.raises(JournalError) as caught, journal.database.transaction() as sql:
        sql.execute("SELECT 1 FROM nothing")
    assert state.url.place in str(caught.value)
    assert state.url.password.reveal() not in str(caught.value)


# --- commits and texts


def test_what_need_not_wait_for_the_disk_does_not(journal: Journal) -> None:
    for durable, setting in ((False, "off"), (True, "on")):
        with journal.database.transaction(durable=durable) as sql:
            assert sql.execute("SELECT current_setting('synchronous_commit')").fetchone() == (setting,)


def test_a_text_that_postgres_cannot_have_is_no_obstacle(journal: Journal) -> None:
    group = Jid("120363@g.us")
    journal.inbox.groups.put(SHOP, group, "a\0b", 1)
    assert journal.inbox.groups.subject(SHOP, group) == "a\ufffdb"


def test_a_tool_makes_no_tables(state_server: Postgres) -> None:
    missing = pytest.raises(JournalError, match="start a worker once")
    with open_state_database(state_server) as url, missing, open_state_journal(url, None):
        pass


def test_a_closed_one_says_so(state: StateStore) -> None:
    with state.open() as journal:
        pass
    with pytest.raises(JournalError, match="closed"):
        journal.inbox.record(SHOP, inbound_message("1"))


# --- who does not wait for long


def journals_backend(state: StateStore) -> int:
    found = state.admin.execute(
        "SELECT pid FROM pg_stat_activity WHERE application_name = %s", (f"wa-worker journal {state.worker}",)
    ).fetchone()
    assert found is not None
    return int(found[0])


@contextmanager
def soon() -> Iterator[None]:
    """The block fails for want of patience, and not much later than that."""
    started = time.monotonic()
    with patient_for(0.5), pytest.raises(JournalError):
        yield
    assert time.monotonic() - started < 4


def test_others_that_wait_for_the_server_are_not_waited_for(journal: Journal) -> None:
    begun, goes_on = threading.Event(), threading.Event()

    def hold() -> None:
        with journal.database.transaction():
            begun.set()
            goes_on.wait(20)

    holder = threading.Thread(target=hold)
    holder.start()
    assert begun.wait(20)
    with soon():
        journal.inbox.record(SHOP, inbound_message("1"))
    with soon():
        journal.inbox.next_seq()
    goes_on.set()
    holder.join()
    assert journal.inbox.record(SHOP, inbound_message("1"))


def test_nor_is_a_statement_that_takes_long(state: StateStore, journal: Journal) -> None:
    with state.admin.transaction():
        state.admin.execute("LOCK TABLE wa.inbox IN ACCESS EXCLUSIVE MODE")
        with soon():
            journal.inbox.record(SHOP, inbound_message("1"))
        with soon():
            journal.inbox.next_seq()
    assert count(state, "inbox") == 0, "nothing of it has happened"
    assert journal.inbox.record(SHOP, inbound_message("1")), "over another connection"
    assert count(state, "inbox") == 1


def test_nor_is_a_commit(state: StateStore, journal: Journal) -> None:
    assert journal.inbox.record(SHOP, inbound_message("1"))
    backend = journals_backend(state)
    with soon(), journal.database.transaction() as sql:
        sql.execute("INSERT INTO wa.holds (instance, reason, until, count) VALUES ('x', 'r', 1, 1)")
        os.kill(backend, signal.SIGSTOP)
    os.kill(backend, signal.SIGCONT)
    assert journal.inbox.record(SHOP, inbound_message("2"))


def test_nor_is_a_server_that_says_nothing_for_long(state: StateStore, journal: Journal) -> None:
    assert journal.inbox.record(SHOP, inbound_message("1"))
    backend = journals_backend(state)
    os.kill(backend, signal.SIGSTOP)
    try:
        with soon():
            journal.inbox.record(SHOP, inbound_message("2"))
    finally:
        os.kill(backend, signal.SIGCONT)
    assert journal.inbox.record(SHOP, inbound_message("2"))


def test_nor_is_the_answer_to_what_became_of_a_commit(state: StateStore, journal: Journal) -> None:
    assert isinstance(journal.database, PostgresDatabase)
    journal.database._url = attrs.evolve(state.url, port=1)
    journal.database._drop()
    with soon(), journal.database._errors():
        journal.database._was_committed("1", 1)
