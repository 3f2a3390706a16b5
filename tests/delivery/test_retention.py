"""What the journal forgets after a week, and what it keeps for as long as it takes."""

from __future__ import annotations

import pytest
import trio
from structlog.testing import capture_logs
from trio.abc import Clock
from trio.testing import MockClock

from tests.journal.rows import ANA, BIA, SHOP, admit, inbound_message, read_only, send, states
from wa_worker.delivery.retention import CHUNK, INTERVAL, REMEMBERED, run_retention
from wa_worker.journal import InboxResult, Journal, SendState

OLD = REMEMBERED + 60


@pytest.fixture
def hours() -> Clock:
    """An hour takes half a second on this clock. pytest-trio runs the test by the clock among its arguments."""
    return MockClock(rate=7200.0)


def age(journal: Journal, seconds: float) -> None:
    """As if all that is settled had been so for this long."""
    with journal.database.transaction() as sql:
        sql.execute("UPDATE inbox SET settled_at = settled_at - ?", (seconds,))
        sql.execute("UPDATE ledger SET changed_at = changed_at - ?", (seconds,))


def inbox(journal: Journal) -> list[str]:
    with journal.database.reading() as sql:
        return [wa_id for (wa_id,) in sql.execute("SELECT wa_id FROM inbox ORDER BY seq")]


def fill(journal: Journal) -> None:
    """One of each kind: what is over, and what is not."""
    for wa_id in ("posted", "pending", "dead"):
        journal.inbox.record(SHOP, inbound_message(wa_id))
    journal.inbox.settle([InboxResult(1), InboxResult(3, "no", dead=True)])
    admit(journal, "told", "untold", "waiting")
    for message_id in ("told", "untold"):
        send(journal, message_id, SendState.SENT, wa_id="W")
    journal.ledger.reported([row for row in journal.ledger.unreported(0, 10) if row.message_id == "told"])


async def test_what_is_over_for_a_week_is_forgotten_and_nothing_else(
    journal: Journal, nursery: trio.Nursery, hours: Clock
) -> None:
    fill(journal)
    nursery.start_soon(run_retention, journal)
    await trio.sleep(INTERVAL + 600)
    assert inbox(journal) == ["posted", "pending", "dead"], "it is not old"
    assert set(states(journal)) == {'"told"', '"untold"', '"waiting"'}
    age(journal, OLD)
    await trio.sleep(INTERVAL + 600)
    assert inbox(journal) == ["pending", "dead"]
    assert set(states(journal)) == {'"untold"'}, "nor is one kept that the proxy has not listed for a week"
    nursery.cancel_scope.cancel()


async def test_not_at_once(journal: Journal, nursery: trio.Nursery, hours: Clock) -> None:
    """After a long standstill the proxy may first list what it never heard the outcome of."""
    fill(journal)
    age(journal, OLD)
    nursery.start_soon(run_retention, journal)
    await trio.sleep(INTERVAL * 0.5)
    assert "posted" in inbox(journal)
    nursery.cancel_scope.cancel()


async def test_more_than_one_transaction_takes_goes_in_one_round(
    journal: Journal, nursery: trio.Nursery, hours: Clock
) -> None:
    with journal.database.transaction() as sql:
        sql.execute("INSERT INTO chats (instance, jid) VALUES ('shop', 'x')")
        sql.executemany(
            "INSERT INTO inbox (chat, wa_id, received_at, state, settled_at) VALUES (1, ?, 0, 'posted', 0)",
            [(str(n),) for n in range(CHUNK + 10)],
        )
    nursery.start_soon(run_retention, journal)
    await trio.sleep(INTERVAL * 1.9)
    assert inbox(journal) == []
    nursery.cancel_scope.cancel()


async def test_a_journal_that_cannot_commit_is_tidied_an_hour_later(
    journal: Journal, nursery: trio.Nursery, hours: Clock
) -> None:
    fill(journal)
    age(journal, OLD)
    read_only(journal, True)
    with capture_logs() as lines:
        nursery.start_soon(run_retention, journal)
        await trio.sleep(INTERVAL + 600)
        read_only(journal, False)
        await trio.sleep(INTERVAL)
        nursery.cancel_scope.cancel()
    assert [line["event"] for line in lines] == ["the journal cannot be tidied"]
    assert "posted" not in inbox(journal)


async def test_answers_about_numbers_are_forgotten_after_a_week(
    journal: Journal, nursery: trio.Nursery, hours: Clock
) -> None:
    journal.accounts.put(ANA, BIA)
    nursery.start_soon(run_retention, journal)
    await trio.sleep(INTERVAL + 600)
    assert journal.accounts.get(ANA) == BIA
    with journal.database.transaction() as sql:
        sql.execute("UPDATE accounts SET learned_at = learned_at - ?", (OLD,))
    await trio.sleep(INTERVAL + 600)
    assert journal.accounts.get(ANA) is None
    nursery.cancel_scope.cancel()
