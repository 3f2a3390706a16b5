"""The journal as a person sees it. What the command does with it is tested in tests/cli."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.journal.old_journal import make_v1
from tests.journal.rows import OTHER, SHOP
from wa_worker.errors import JournalError
from wa_worker.journal import InboxState, SendState, open_journal
from wa_worker.journal.items import LISTED, InboundItem, ItemId, OutboundItem
from wa_worker.journal.review import Review, open_review
from wa_worker.journal.states import STATES


@pytest.fixture
def review(path: Path) -> Iterator[Review]:
    """Of a journal with rows in every state, and no worker."""
    make_v1(path)
    with open_journal(path):
        pass
    with open_review(path) as opened:
        yield opened


def test_items_come_by_state_then_by_age(review: Review) -> None:
    items = review.items(LISTED, None, 99)
    assert [item.state for item in items] == sorted((item.state for item in items), key=STATES.index)
    for state in LISTED:
        seqs = [item.id.seq for item in items if item.state is state]
        assert seqs
        assert seqs == sorted(seqs)
    assert review.items(LISTED, None, 3) == items[:3]


def test_what_is_over_is_not_listed_but_found_by_its_id(review: Review) -> None:
    posted, marked = review.item(ItemId("in", 2)), review.item(ItemId("out", 6))
    assert isinstance(posted, InboundItem)
    assert (posted.state, posted.wa_id, posted.message) == (InboxState.POSTED, "posted-1", None)
    assert isinstance(marked, OutboundItem)
    assert (marked.state, marked.message_id, marked.reported) == (SendState.MARKED, "marked", True)
    assert review.item(ItemId("in", 1)) is None, "it was forgotten"


def test_ids_are_those_of_the_states_and_the_instance(review: Review) -> None:
    assert review.ids({InboxState.PENDING}, OTHER) == {ItemId("in", 7): InboxState.PENDING}
    assert review.ids({SendState.FAILED, SendState.INTENT}, SHOP) == {
        ItemId("out", 7): SendState.FAILED,
        ItemId("out", 8): SendState.FAILED,
        ItemId("out", 12): SendState.FAILED,
        ItemId("out", 4): SendState.INTENT,
    }


def test_stats_count_what_is_there(review: Review, path: Path) -> None:
    with closing(sqlite3.connect(path)) as sql:
        counted = [
            *sql.execute("SELECT instance, state, count(*) FROM inbox JOIN chats ON chats.id = chat GROUP BY 1, 2"),
            *sql.execute("SELECT instance, state, count(*) FROM ledger GROUP BY 1, 2"),
        ]
    counts = review.stats().counts
    found = [(instance, state, n) for instance, states in counts.items() for state, n in states.items() if n]
    assert sorted(found) == sorted(counted)


def test_what_waits_is_read_from_indexes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A week of settled rows is not walked through: SQLite says so itself, of each query that is run."""
    make_v1(path)
    queries: list[str] = []
    with open_journal(path) as journal, journal.database.reading() as explain:
        with monkeypatch.context() as patch:
            connect = sqlite3.connect

            def listen(*arguments: Any, **options: Any) -> sqlite3.Connection:
                connection: sqlite3.Connection = connect(*arguments, **options)
                connection.set_trace_callback(queries.append)
                return connection

            patch.setattr(sqlite3, "connect", listen)
            with open_review(path) as review:
                review.items(LISTED, SHOP, 99)
                review.ids(LISTED, SHOP)
        selects = [query for query in queries if query.lstrip().startswith("SELECT")]
        assert len(selects) == 2 * len(LISTED)
        for query in selects:
            steps = [row[3] for row in explain.execute(f"EXPLAIN QUERY PLAN {query}")]
            assert all(" USING " in step for step in steps if step.startswith(("SCAN", "SEARCH"))), (query, steps)


def test_a_closed_one_says_so(path: Path) -> None:
    with open_journal(path), open_review(path) as review:
        pass
    with pytest.raises(JournalError):
        review.stats()
