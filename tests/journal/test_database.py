"""The journal's file: private, durable, one transaction a method, each either done or not done at all."""

from __future__ import annotations

import sqlite3
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.journal.rows import ANA, BIA, SHOP, inbound_message, posted_bodies
from tests.journal.stores import ON_A_FILE
from wa_worker.errors import JournalError
from wa_worker.journal import InboxResult, Journal, open_journal
from wa_worker.models import Jid


@ON_A_FILE
def test_it_is_private_durable_and_waits_for_others(journal: Journal, path: Path) -> None:
    journal.inbox.record(SHOP, inbound_message("1"))
    files = sorted(path.parent.iterdir())
    assert {file.name for file in files} >= {"journal.db", "journal.db-wal"}
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    with journal.database.reading() as sql:
        assert sql.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert sql.execute("PRAGMA synchronous").fetchone() == (2,)


def test_it_opens_again_with_what_it_had(path: Path) -> None:
    for body in ("one", "two"):
        with open_journal(path) as journal:
            assert journal.inbox.record(SHOP, inbound_message(body, body=body))
            assert not journal.inbox.record(SHOP, inbound_message("one", body="again"))
    with open_journal(path) as journal:
        assert posted_bodies(journal) == {1: ["one", "two"]}


def test_what_is_no_journal_is_refused(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"not a database, but long enough to look like one" * 100)
    with pytest.raises(JournalError, match=r"journal\.db"), open_journal(path):
        pass
    path.unlink()
    path.mkdir()
    with pytest.raises(JournalError, match="cannot open"), open_journal(path):
        pass


def test_a_closed_journal_says_so(path: Path) -> None:
    with open_journal(path) as journal:
        pass
    with pytest.raises(JournalError):
        journal.inbox.record(SHOP, inbound_message("1"))


def test_many_threads(journal: Journal) -> None:
    def record(chat: Jid) -> None:
        for n in range(30):
            assert journal.inbox.record(SHOP, inbound_message(str(n), chat, body=str(n)))

    threads = [threading.Thread(target=record, args=(chat,)) for chat in (ANA, BIA)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(posted_bodies(journal).values()) == [[str(n) for n in range(30)]] * 2


def test_a_thread_waits_for_the_transaction_of_another(journal: Journal) -> None:
    """They share a connection: without the lock the second one would end up in the first one's transaction."""
    recorded: list[bool] = []
    thread = threading.Thread(target=lambda: recorded.append(journal.inbox.record(SHOP, inbound_message("1"))))
    with journal.database.transaction():
        thread.start()
        thread.join(0.2)
        assert thread.is_alive()
    thread.join()
    assert recorded == [True]


@ON_A_FILE
def test_a_full_disk(journal: Journal) -> None:
    assert journal.inbox.record(SHOP, inbound_message("before"))
    with journal.database.reading() as sql:
        pages = sql.execute("PRAGMA page_count").fetchone()[0]
        sql.execute(f"PRAGMA max_page_count={pages + 1}")
    with pytest.raises(JournalError, match="full"):
        journal.inbox.record(SHOP, inbound_message("big", body="x" * 100_000))
    with pytest.raises(JournalError, match="full"):
        journal.ledger.admit(SHOP, {"x" * 100_000: ANA}, listed_at=time.time())
    assert posted_bodies(journal) == {1: ["Oi"]}, "reading goes on"
    assert journal.ledger.unreported(0, 10) == []
    with journal.database.reading() as sql:
        sql.execute("PRAGMA max_page_count=1000000")
    assert journal.inbox.record(SHOP, inbound_message("big", body="x" * 100_000)), "nothing of it had happened"
    assert journal.inbox.record(SHOP, inbound_message("after"))
    assert [len(bodies) for bodies in posted_bodies(journal).values()] == [3]


def test_what_is_broken_off_leaves_nothing(journal: Journal) -> None:
    journal.inbox.record(SHOP, inbound_message("1"))
    (row,) = journal.inbox.pending(1, 10)

    def results() -> Iterator[InboxResult]:
        yield InboxResult(row.seq)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        journal.inbox.settle(results())
    assert posted_bodies(journal) == {1: ["Oi"]}
    assert journal.inbox.record(SHOP, inbound_message("2")), "and no transaction open"


@ON_A_FILE
def test_trouble_is_noticed_and_goes_away_by_itself(journal: Journal, path: Path) -> None:
    assert journal.trouble() is None
    with journal.database.reading() as sql:
        sql.execute("PRAGMA busy_timeout=10")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(JournalError):
            journal.inbox.record(SHOP, inbound_message("a"))
        assert journal.trouble() == "database is locked"
        other.execute("ROLLBACK")
    assert journal.trouble() is None
