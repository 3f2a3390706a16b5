"""The journal's files: how large they become, and what brings them back."""

from __future__ import annotations

from pathlib import Path

from tests.journal.rows import SHOP, YEAR, inbound_message
from tests.journal.stores import ON_A_FILE
from wa_worker.journal import InboxResult, Journal
from wa_worker.journal.connection import wal_of

LOG_LIMIT = 8 * 2**20


@ON_A_FILE
def test_the_log_shrinks_after_a_large_transaction(journal: Journal, path: Path) -> None:
    """A purge, an upgrade or many results at once write it larger than it is ever needed."""
    with journal.database.transaction() as sql:
        sql.execute("CREATE TABLE large (data BLOB)")
        sql.executemany("INSERT INTO large VALUES (zeroblob(1000000))", [()] * 20)
    assert wal_of(path).stat().st_size > 2 * LOG_LIMIT
    for number in range(3):
        journal.inbox.record(SHOP, inbound_message(str(number)))
    assert wal_of(path).stat().st_size <= LOG_LIMIT


@ON_A_FILE
def test_room_that_became_free_is_used_again(journal: Journal, path: Path) -> None:
    def a_week() -> int:
        for number in range(200):
            journal.inbox.record(SHOP, inbound_message(str(number), body="x" * 20_000))
        journal.inbox.settle(InboxResult(row.seq) for row in journal.inbox.pending(1, 1000))
        assert journal.inbox.purge(-1) == 200
        with journal.database.reading() as sql:
            return int(sql.execute("PRAGMA page_count").fetchone()[0])

    first = a_week()
    assert max(a_week() for _ in range(3)) <= first * 1.05


def test_a_long_hold_is_kept_to_its_end(journal: Journal) -> None:
    """Written long ago, it lasts for a year."""
    journal.holds.put(SHOP, "BANNED", YEAR)
    with journal.database.transaction() as sql:
        sql.execute("UPDATE holds SET written_at = written_at - ?", (YEAR / 2,))
    assert journal.holds.purge(7 * 86_400.0) == 0
    assert journal.holds.get(SHOP) is not None
