"""What a person's decision makes of a row in each state. How the command says so is tested in tests/cli."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import attrs
import pytest

from tests.journal.old_journal import make_v1, rows
from wa_worker.journal import InboxState, SendState, open_journal
from wa_worker.journal.decisions import DISCARD, RETRY, Decision, carry_out
from wa_worker.journal.items import BY_A_PERSON, ItemId
from wa_worker.journal.states import State

ROW_OF = {
    InboxState.DEAD: ItemId("in", 5),
    InboxState.PENDING: ItemId("in", 3),
    InboxState.POSTED: ItemId("in", 2),
    SendState.WAITING: ItemId("out", 11),
    SendState.INTENT: ItemId("out", 4),
    SendState.SENT: ItemId("out", 5),
    SendState.MARKED: ItemId("out", 6),
    SendState.FAILED: ItemId("out", 8),
    SendState.UNCERTAIN: ItemId("out", 9),
}
"""A row of v1.sql in each state."""


@attrs.frozen
class Case:
    """A state, and the one that a row has after it was retried or discarded: None if it may not be."""

    was: State
    retried: State | None = None
    discarded: State | None = None


CASES = [
    Case(InboxState.DEAD, retried=InboxState.PENDING, discarded=InboxState.POSTED),
    Case(InboxState.PENDING, discarded=InboxState.POSTED),
    Case(InboxState.POSTED),
    Case(SendState.WAITING),
    Case(SendState.INTENT),
    Case(SendState.SENT),
    Case(SendState.MARKED),
    Case(SendState.FAILED, retried=SendState.WAITING),
    Case(SendState.UNCERTAIN, retried=SendState.WAITING, discarded=SendState.FAILED),
]


@pytest.fixture
def sql(path: Path) -> Iterator[sqlite3.Connection]:
    make_v1(path)
    with open_journal(path), closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


def row(path: Path, id: ItemId) -> dict[str, object]:  # noqa: A002
    table = "inbox" if id.box == "in" else "ledger"
    (found,) = [row for row in rows(path, table) if row["seq"] == id.seq]
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.was.value)
@pytest.mark.parametrize("verb", ["retried", "discarded"])
def test_every_state_and_decision(sql: sqlite3.Connection, path: Path, case: Case, verb: str) -> None:
    id, becomes = ROW_OF[case.was], getattr(case, verb)  # noqa: A001
    before = row(path, id)
    outcome = carry_out(RETRY if verb == "retried" else DISCARD, id, sql)
    after = row(path, id)
    assert (outcome.id, outcome.was, outcome.now) == (id, case.was, becomes)
    if becomes is None:
        assert after == before
        assert outcome.refused
    else:
        assert after["state"] == becomes.value
        assert not outcome.refused


def test_a_retry_begins_from_nothing(sql: sqlite3.Connection, path: Path) -> None:
    carry_out(RETRY, ROW_OF[InboxState.DEAD], sql)
    dead = row(path, ROW_OF[InboxState.DEAD])
    assert (dead["rejections"], dead["error"], dead["settled_at"]) == (0, None, None)
    outcome = carry_out(RETRY, ROW_OF[SendState.FAILED], sql)
    failed = row(path, ROW_OF[SendState.FAILED])
    assert (failed["attempts"], failed["not_before"], failed["reported"]) == (0, 0.0, 0)
    assert outcome.reported, "the proxy knew of the failure: it must list the message anew"


def test_what_is_discarded_says_by_whom_and_is_yet_to_be_reported(sql: sqlite3.Connection, path: Path) -> None:
    for state in (InboxState.PENDING, SendState.UNCERTAIN):
        carry_out(DISCARD, ROW_OF[state], sql)
        assert row(path, ROW_OF[state])["error"] == BY_A_PERSON
    assert row(path, ROW_OF[InboxState.PENDING])["message"] is None
    assert row(path, ROW_OF[SendState.UNCERTAIN])["reported"] == 0


def test_a_dead_message_without_content_is_not_posted_again(sql: sqlite3.Connection) -> None:
    sql.execute("UPDATE inbox SET message = NULL WHERE seq = 5")
    outcome = carry_out(RETRY, ItemId("in", 5), sql)
    assert (outcome.id, outcome.was) == (ItemId("in", 5), InboxState.DEAD)
    assert outcome.refused == "its content was discarded: nothing is left to post"


WHY_NOT = [
    (RETRY, SendState.SENT, "it is sent: WhatsApp accepted it, it is never sent again"),
    (RETRY, SendState.MARKED, "it is marked: WhatsApp accepted it, it is never sent again"),
    (RETRY, SendState.INTENT, "it is being sent right now"),
    (RETRY, InboxState.POSTED, "it is posted: the proxy has it, or it was discarded"),
    (RETRY, SendState.WAITING, "it is waiting: it will be tried anyway"),
    (RETRY, InboxState.PENDING, "it is pending: it will be tried anyway"),
    (DISCARD, SendState.WAITING, "it is waiting: take it out of the proxy's queue instead"),
    (DISCARD, SendState.INTENT, "it is being sent right now"),
    (DISCARD, SendState.MARKED, "it is marked: that is over"),
]


@pytest.mark.parametrize(("decision", "state", "reason"), WHY_NOT, ids=[reason for _, _, reason in WHY_NOT])
def test_who_decides_hears_why_nothing_was_done(
    sql: sqlite3.Connection, decision: Decision, state: State, reason: str
) -> None:
    outcome = carry_out(decision, ROW_OF[state], sql)
    assert (outcome.id, outcome.was, outcome.now, outcome.refused) == (ROW_OF[state], state, None, reason)


@pytest.mark.parametrize("id", [ItemId("in", 1), ItemId("out", 99)], ids=str)
def test_what_is_not_there_is_not_decided(sql: sqlite3.Connection, id: ItemId) -> None:  # noqa: A002
    outcome = carry_out(DISCARD, id, sql)
    assert (outcome.id, outcome.was, outcome.now) == (id, None, None)
    assert "no such message" in outcome.refused
