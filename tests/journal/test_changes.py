"""The ring of changes of each instance, and which instances a person has let go of."""

from __future__ import annotations

import time

import pytest

from tests.journal.rows import OTHER, SHOP, read_only
from tests.journal.stores import Store
from wa_worker.errors import JournalError
from wa_worker.journal import Change
from wa_worker.journal.changes import KEPT, LONGEST_DETAIL, RING


def change(number: float, detail: str = "", at: float | None = None) -> Change:
    return Change(time.time() if at is None else at, "held", f"r{number}", 2_000_000_000, detail, "whatsapp")


def reasons(changes: list[Change]) -> list[str]:
    return [each.reason for each in changes]


def test_the_last_twenty_of_each_are_kept_the_newest_first(store: Store) -> None:
    with store.open() as journal:
        journal.changes.add({OTHER: [change(1)]})
        for first in range(0, 60, 15):
            journal.changes.add({SHOP: [change(n) for n in range(first, first + 15)]})
    with store.open() as journal:
        assert reasons(journal.changes.of(SHOP)) == [f"r{n}" for n in range(59, 39, -1)]
        assert reasons(journal.changes.of(OTHER)) == ["r1"]
        with journal.database.reading() as sql:
            assert sql.execute("SELECT count(*) FROM changes").fetchone() == (RING + 1,)


def test_a_change_comes_back_as_it_was_but_for_the_numbers_in_it(store: Store) -> None:
    with store.open() as journal:
        one = Change(1_700_000_000.5, "held", "banned", 2_000_000_000, "sent to +5511988880001", "whatsapp")
        journal.changes.add({SHOP: [one]})
        (found,) = journal.changes.of(SHOP)
        assert found == Change(1_700_000_000.5, "held", "banned", 2_000_000_000, "sent to ***0001", "whatsapp")


@pytest.mark.parametrize("before", range(LONGEST_DETAIL - 16, LONGEST_DETAIL + 2))
def test_a_long_detail_is_cut_and_shows_no_piece_of_a_number(store: Store, before: int) -> None:
    with store.open() as journal:
        journal.changes.add({SHOP: [change(1, "x" * (before - 1) + " +5511988880001" + " y" * 5000)]})
        (found,) = journal.changes.of(SHOP)
    assert len(found.detail) == LONGEST_DETAIL
    assert "5511" not in found.detail


def test_a_ring_goes_months_after_its_last_change(store: Store) -> None:
    now = time.time()
    with store.open() as journal:
        journal.changes.add({SHOP: [change(1, at=now - KEPT - 60), change(2, at=now - KEPT + 60)]})
        journal.changes.add({OTHER: [change(1, at=now - KEPT - 60), change(2, at=now - KEPT - 50)]})
        assert journal.changes.purge(0.0) == 2
        assert (len(journal.changes.of(SHOP)), journal.changes.of(OTHER)) == (2, [])


def test_who_is_let_go_stays_so_until_taken_up(store: Store) -> None:
    with store.open() as journal:
        journal.let_go.put(SHOP, 1.0)
        journal.let_go.put(SHOP, 2.0)
        journal.let_go.put(OTHER, 3.0)
        journal.let_go.remove(OTHER)
    with store.open() as journal:
        assert journal.let_go.all() == {SHOP: 1.0}
        read_only(journal, on=True)
        with pytest.raises(JournalError):
            journal.let_go.remove(SHOP)
        with pytest.raises(JournalError):
            journal.changes.add({SHOP: [change(1)]})
        assert journal.let_go.all() == {SHOP: 1.0}
