"""What the journal forgets after a week or a month, and what it keeps for as long as it takes."""

from __future__ import annotations

import time

import attrs
import pytest
import trio
from structlog.testing import capture_logs
from trio.abc import Clock
from trio.testing import MockClock

from tests.journal.rows import (
    ANA,
    BIA,
    OTHER,
    SHOP,
    YEAR,
    admit,
    inbound_message,
    posted_bodies,
    read_only,
    send,
    states,
)
from wa_worker.delivery.retention import CHUNK, INTERVAL, POLLS_KEPT, REMEMBERED, run_retention
from wa_worker.journal import InboxResult, Journal, PollNote, SendState
from wa_worker.journal.items import ItemId
from wa_worker.messages import Media, MediaKind, MediaReference, Progress, Receipt
from wa_worker.models import Jid, WaMessageId

OLD = REMEMBERED + 60
MONTH = 30 * 86_400.0


@pytest.fixture
def hours() -> Clock:
    """An hour takes half a second on this clock. pytest-trio runs the test by the clock among its arguments."""
    return MockClock(rate=7200.0)


def age(journal: Journal, seconds: float) -> None:
    """As if all that is settled had been so for this long."""
    with journal.database.transaction() as sql:
        sql.execute("UPDATE inbox SET settled_at = settled_at - ?", (seconds,))
        sql.execute("UPDATE ledger SET changed_at = changed_at - ?", (seconds,))
        sql.execute("UPDATE holds SET until = until - ?, written_at = written_at - ?", (seconds, seconds))


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
    nursery.start_soon(run_retention, journal, MONTH)
    await trio.sleep(INTERVAL + 600)
    assert inbox(journal) == ["posted", "pending", "dead"], "it is not old"
    assert set(states(journal)) == {'"told"', '"untold"', '"waiting"'}
    age(journal, OLD)
    await trio.sleep(INTERVAL + 600)
    assert inbox(journal) == ["pending", "dead"]
    assert set(states(journal)) == {'"untold"'}, "nor is one kept that the proxy has not listed for a week"
    nursery.cancel_scope.cancel()


async def test_files_of_what_is_given_up_are_deleted(journal: Journal, nursery: trio.Nursery, hours: Clock) -> None:
    seen: list[bool] = []

    async def tidy() -> None:
        seen.append(journal.media.get(1) is None)

    picture = attrs.evolve(inbound_message("A"), message_type="image", media=Media("image/jpeg"))
    journal.inbox.record(SHOP, picture, file=MediaReference(MediaKind.IMAGE, "/v", bytes(32), bytes(32), bytes(32), 9))
    with journal.database.transaction() as sql:
        sql.execute("UPDATE inbox SET received_at = received_at - ?", (OLD,))
    nursery.start_soon(run_retention, journal, MONTH, tidy)
    await trio.sleep(INTERVAL + 600)
    assert seen == [True], "after they are given up"
    nursery.cancel_scope.cancel()


async def test_receipts_are_forgotten_after_a_week(journal: Journal, nursery: trio.Nursery, hours: Clock) -> None:
    fill(journal)
    journal.receipts.record([(SHOP, Receipt((WaMessageId("W"),), Progress.READ, 0))])
    nursery.start_soon(run_retention, journal, MONTH)
    await trio.sleep(INTERVAL + 600)
    assert journal.receipts.due(0, 9), "it is not old"
    with journal.database.transaction() as sql:
        sql.execute("UPDATE receipts SET changed_at = changed_at - ?", (OLD,))
    await trio.sleep(INTERVAL + 600)
    with journal.database.reading() as sql:
        assert sql.execute("SELECT count(*) FROM receipts").fetchone() == (0,)
    nursery.cancel_scope.cancel()


async def test_not_at_once(journal: Journal, nursery: trio.Nursery, hours: Clock) -> None:
    """After a long standstill the proxy may first list what it never heard the outcome of."""
    fill(journal)
    age(journal, OLD)
    nursery.start_soon(run_retention, journal, MONTH)
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
    nursery.start_soon(run_retention, journal, MONTH)
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
        nursery.start_soon(run_retention, journal, MONTH)
        await trio.sleep(INTERVAL + 600)
        read_only(journal, False)
        await trio.sleep(INTERVAL)
        nursery.cancel_scope.cancel()
    assert [line["event"] for line in lines] == ["the journal cannot be tidied"]
    assert "posted" not in inbox(journal)


MANY = 2000


def chats(journal: Journal) -> int:
    with journal.database.reading() as sql:
        return int(sql.execute("SELECT count(*) FROM chats").fetchone()[0])


def jid(number: int) -> Jid:
    return Jid(f"{5511900000000 + number}@s.whatsapp.net")


async def test_chats_of_which_nothing_is_left_are_forgotten(
    journal: Journal, nursery: trio.Nursery, hours: Clock
) -> None:
    """2000 people who wrote once, one who waits for the proxy, and one whom it refuses."""
    with journal.database.transaction() as sql:  # one commit: it is the rows that are looked at
        sql.executemany("INSERT INTO chats (instance, jid) VALUES ('shop', ?)", [(jid(n),) for n in range(MANY)])
        sql.execute(
            "INSERT INTO inbox (chat, wa_id, received_at, state, settled_at) SELECT id, '1', 0, 'posted', ? FROM chats",
            (time.time(),),
        )
    journal.inbox.record(SHOP, inbound_message("pending", jid(MANY)))
    journal.inbox.record(SHOP, inbound_message("dead", jid(MANY + 1)))
    journal.inbox.settle([InboxResult(MANY + 2, "no", dead=True)])
    nursery.start_soon(run_retention, journal, MONTH)
    await trio.sleep(INTERVAL + 600)
    assert chats(journal) == MANY + 2, "their messages are not a week old"
    age(journal, OLD)
    await trio.sleep(INTERVAL + 600)
    assert chats(journal) == 2
    nursery.cancel_scope.cancel()
    assert journal.inbox.record(SHOP, inbound_message("again", jid(7)))
    assert sorted(posted_bodies(journal).values()) == [["Oi"], ["Oi"]]


def test_chats_are_looked_at_in_pieces(journal: Journal) -> None:
    """None is left out, and none of them is the whole."""
    with journal.database.transaction() as sql:
        sql.executemany("INSERT INTO chats (instance, jid) VALUES ('shop', ?)", [(str(n),) for n in range(10)])
        sql.execute("INSERT INTO inbox (chat, wa_id, received_at) VALUES (5, '1', 0)")
    seen: list[tuple[int | None, int]] = []
    last: int | None = 0
    while last is not None:
        last = journal.inbox.purge_chats(last, 4)
        seen.append((last, chats(journal)))
    assert seen == [(4, 6), (8, 3), (10, 1), (None, 1)]


async def test_what_the_proxy_refuses_can_be_retried_for_a_month_then_its_content_goes(
    journal: Journal, nursery: trio.Nursery, hours: Clock
) -> None:
    journal.inbox.record(SHOP, inbound_message("refused", body="do not keep me for ever"))
    journal.inbox.record(OTHER, inbound_message("refused later", body="keep me"))
    journal.inbox.settle([InboxResult(1, "no", dead=True)])
    age(journal, MONTH - 7200)
    with capture_logs() as lines:
        nursery.start_soon(run_retention, journal, MONTH)
        await trio.sleep(INTERVAL + 600)
        assert content(journal, 1) == ("dead", True)
        age(journal, 7200)
        journal.inbox.settle([InboxResult(2, "no", dead=True)])
        await trio.sleep(INTERVAL)
        assert content(journal, 1) == ("posted", False)
        assert content(journal, 2) == ("dead", True)
        nursery.cancel_scope.cancel()
    (line,) = lines
    assert (line["log_level"], line["messages"], line["days"]) == ("warning", 1, 30)
    assert not journal.inbox.record(SHOP, inbound_message("refused")), "a second copy is still known"
    with journal.review(write=True) as review:
        (outcome,) = review.retry([ItemId("in", 1)])
    assert "discarded" in (outcome.refused or "")
    age(journal, OLD)
    assert (journal.inbox.purge(REMEMBERED), journal.inbox.purge_chats(0), chats(journal)) == (1, 2, 1)


def content(journal: Journal, seq: int) -> tuple[str, bool]:
    """The state of a received message, and whether its content is there."""
    with journal.database.reading() as sql:
        state, has = sql.execute("SELECT state, message IS NOT NULL FROM inbox WHERE seq = ?", (seq,)).fetchone()
    return state, bool(has)


async def test_holds_that_do_not_count_any_more_are_forgotten(
    journal: Journal, nursery: trio.Nursery, hours: Clock
) -> None:
    journal.holds.put(SHOP, "BANNED", 60.0)
    age(journal, OLD + 60)
    journal.holds.put(OTHER, "BANNED", 60.0)
    nursery.start_soon(run_retention, journal, MONTH)
    await trio.sleep(INTERVAL + 600)
    assert journal.holds.get(SHOP) is None
    assert journal.holds.get(OTHER) is not None
    nursery.cancel_scope.cancel()


async def test_a_clock_that_leaps_ahead_is_given_a_round_to_be_set_right(
    journal: Journal, nursery: trio.Nursery, hours: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(journal)
    real = time.time
    with capture_logs() as lines:
        nursery.start_soon(run_retention, journal, MONTH)
        await trio.sleep(INTERVAL / 2)
        monkeypatch.setattr(time, "time", lambda: real() + 5 * YEAR)
        await trio.sleep(INTERVAL / 2 + 600)
        assert inbox(journal) == ["posted", "pending", "dead"]
        monkeypatch.setattr(time, "time", real)
        await trio.sleep(INTERVAL)
        assert inbox(journal) == ["posted", "pending", "dead"]
        monkeypatch.setattr(time, "time", lambda: real() + 5 * YEAR)
        with trio.fail_after(20 * INTERVAL):  # one that stays ahead is believed
            while "posted" in inbox(journal):  # noqa: ASYNC110 - nothing tells
                await trio.sleep(INTERVAL / 4)
        nursery.cancel_scope.cancel()
    assert lines[0]["event"] == "the clock was set ahead: nothing is forgotten this time"


async def test_answers_about_numbers_are_forgotten_after_a_week(
    journal: Journal, nursery: trio.Nursery, hours: Clock
) -> None:
    journal.accounts.put(ANA, BIA)
    nursery.start_soon(run_retention, journal, MONTH)
    await trio.sleep(INTERVAL + 600)
    assert journal.accounts.get(ANA) == BIA
    with journal.database.transaction() as sql:
        sql.execute("UPDATE accounts SET learned_at = learned_at - ?", (OLD,))
    await trio.sleep(INTERVAL + 600)
    assert journal.accounts.get(ANA) is None
    nursery.cancel_scope.cancel()


async def test_polls_are_forgotten_after_ninety_days(journal: Journal, nursery: trio.Nursery, hours: Clock) -> None:
    journal.inbox.record(SHOP, inbound_message("A"), poll=PollNote(b"s" * 32, ("x", "y")))
    journal.inbox.record(SHOP, inbound_message("B"), poll=PollNote(b"t" * 32, ("x", "y")))
    with journal.database.transaction() as sql:
        sql.execute("UPDATE polls SET asked_at = asked_at - ?", (POLLS_KEPT - 60,))
        sql.execute("UPDATE polls SET asked_at = asked_at - 120 WHERE secret = ?", (b"s" * 32,))
    nursery.start_soon(run_retention, journal, MONTH)
    await trio.sleep(INTERVAL * 1.9)
    assert journal.inbox.polls.options(SHOP, b"s" * 32) is None
    assert journal.inbox.polls.options(SHOP, b"t" * 32) == ("x", "y")
    nursery.cancel_scope.cancel()
