"""Receipts in the journal: of messages of ours alone, by the furthest, and due once the proxy knows the message."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.journal.rows import ANA, BIA, OTHER, SHOP, YEAR, admit, read_only, send
from tests.journal.stores import ON_A_FILE, ON_POSTGRES, Store
from wa_worker.errors import JournalError
from wa_worker.journal import Journal, SendState, Settled, open_journal
from wa_worker.messages import MessageStatus, Progress, Receipt
from wa_worker.models import InstanceId, Jid, WaMessageId

A, B = WaMessageId("3EB0A"), WaMessageId("3EB0B")
GROUP = Jid("120363@g.us")
DELIVERED, READ, PLAYED = Progress.DELIVERED, Progress.READ, Progress.PLAYED


def heard(
    journal: Journal,
    progress: Progress,
    *wa_ids: WaMessageId,
    by: Jid | None = None,
    instance: InstanceId = SHOP,
    at: int = 1_700_000_000,
) -> bool:
    return journal.receipts.record([(instance, Receipt(wa_ids or (A,), progress, at, by))])


def sent(journal: Journal, message_id: str = "m", wa_id: WaMessageId = A, *, marked: bool = True) -> None:
    admit(journal, message_id)
    send(journal, message_id, SendState.SENT, wa_id=wa_id, to=ANA, timestamp=1_699_999_999)
    if marked:
        journal.ledger.reported(journal.ledger.unreported(0, 9))


def due(journal: Journal) -> list[tuple[str, Progress]]:
    return [(row.status.wa_id, row.status.progress) for row in journal.receipts.due(0, 99)]


def told(journal: Journal) -> None:
    journal.receipts.told(journal.receipts.due(0, 99))


def kept(journal: Journal) -> int:
    with journal.database.reading() as sql:
        return int(sql.execute("SELECT count(*) FROM receipts").fetchone()[0])


def test_a_receipt_of_a_message_of_ours_is_due(journal: Journal) -> None:
    sent(journal)
    assert heard(journal, READ, at=1_700_000_005)
    (row,) = journal.receipts.due(0, 99)
    assert row.status == MessageStatus(SHOP, "m", A, ANA, ANA, READ, 1_700_000_005)
    told(journal)
    assert due(journal) == []


def test_one_of_any_other_message_is_not_kept(journal: Journal) -> None:
    sent(journal)
    assert not heard(journal, READ, B)
    assert not heard(journal, READ, A, instance=OTHER), "an id is one of an instance"
    assert kept(journal) == 0


SAID = st.lists(st.sampled_from(list(Progress)), min_size=1, max_size=8)
TOLD_AFTER = st.lists(st.booleans(), min_size=8)


@ON_A_FILE
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(said=SAID, told_after=TOLD_AFTER)
@example(said=[Progress.READ, Progress.DELIVERED], told_after=[False, False])
def test_it_never_goes_back(store: Store, said: list[Progress], told_after: list[bool]) -> None:
    never_goes_back(store, said, told_after)


@ON_POSTGRES
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(said=SAID, told_after=TOLD_AFTER)
def test_it_never_goes_back_in_postgres(store: Store, said: list[Progress], told_after: list[bool]) -> None:
    never_goes_back(store, said, told_after)


def never_goes_back(store: Store, said: list[Progress], told_after: list[bool]) -> None:
    store.empty()
    with store.open() as journal:
        sent(journal)
        told_of: list[Progress] = []
        for progress, tell in zip(said, told_after, strict=False):
            heard(journal, progress)
            if tell:
                told_of += [progress for _, progress in due(journal)]
                told(journal)
        told_of += [progress for _, progress in due(journal)]
        assert told_of == sorted(set(told_of)), "each further than the one before"
        assert told_of[-1] == max(said)


def test_each_participant_of_a_group_is_told_of(journal: Journal) -> None:
    journal.ledger.admit(SHOP, {"m": GROUP}, listed_at=0)
    send(journal, "m", SendState.SENT, wa_id=A, to=GROUP, timestamp=1)
    journal.ledger.reported(journal.ledger.unreported(0, 9))
    heard(journal, DELIVERED, by=ANA)
    heard(journal, READ, by=BIA)
    rows = [row.status for row in journal.receipts.due(0, 99)]
    assert [(row.chat, row.recipient, row.progress) for row in rows] == [(GROUP, ANA, DELIVERED), (GROUP, BIA, READ)]


def test_one_for_many_messages_is_one_for_each(journal: Journal) -> None:
    sent(journal, "a", A)
    sent(journal, "b", B)
    assert heard(journal, READ, A, WaMessageId("not ours"), B)
    assert due(journal) == [(A, READ), (B, READ)]


def test_the_proxy_hears_of_the_message_first(journal: Journal) -> None:
    sent(journal, marked=False)
    assert not heard(journal, DELIVERED), "nothing to tell yet"
    assert due(journal) == []
    assert journal.ledger.reported(journal.ledger.unreported(0, 9)), "now there is"
    assert due(journal) == [(A, DELIVERED)]
    assert heard(journal, READ)


def test_a_mark_without_a_receipt_is_no_news(journal: Journal) -> None:
    sent(journal, marked=False)
    assert not journal.ledger.reported(journal.ledger.unreported(0, 9))


def test_one_may_come_before_the_outcome_of_the_send(journal: Journal) -> None:
    admit(journal, "m")
    journal.ledger.step(SHOP, [], "m")
    assert not heard(journal, DELIVERED)
    assert not heard(journal, DELIVERED, A, instance=OTHER), "nothing is under way there"
    journal.ledger.step(SHOP, [Settled("m", SendState.SENT, A, to=ANA, timestamp=5)], None)
    assert due(journal) == []
    journal.ledger.reported(journal.ledger.unreported(0, 9))
    assert due(journal) == [(A, DELIVERED)]
    assert kept(journal) == 1


def test_one_that_proves_an_uncertain_send_is_of_a_message_of_ours(journal: Journal) -> None:
    admit(journal, "m")
    send(journal, "m", SendState.UNCERTAIN, error="?", doubt=True, maybe_id=A)
    heard(journal, READ)
    assert not heard(journal, READ, B), "not one that may have left"
    journal.doubts.prove(SHOP, {"m": A})
    (mark,) = journal.ledger.unreported(0, 9)
    assert mark.to == ANA
    assert mark.timestamp is not None
    assert mark.timestamp > 1_700_000_000
    journal.ledger.reported([mark])
    assert due(journal) == [(A, READ)]
    assert kept(journal) == 1


def test_what_comes_while_it_is_told_of_is_still_due(journal: Journal) -> None:
    sent(journal)
    heard(journal, DELIVERED)
    under_way = journal.receipts.due(0, 99)
    heard(journal, READ)
    journal.receipts.told(under_way)
    assert due(journal) == [(A, READ)]


def test_it_is_forgotten_after_its_time(journal: Journal) -> None:
    sent(journal)
    heard(journal, READ)
    assert journal.receipts.purge(older_than=YEAR) == 0
    assert journal.receipts.purge(older_than=-1.0) == 1
    assert kept(journal) == 0


def test_a_mark_says_where_and_when(journal: Journal) -> None:
    sent(journal, marked=False)
    (mark,) = journal.ledger.unreported(0, 9)
    assert (mark.to, mark.timestamp) == (ANA, 1_699_999_999)


def test_what_the_disk_does_not_take_raises_and_nothing_of_it_has_happened(journal: Journal) -> None:
    sent(journal)
    read_only(journal, on=True)
    with pytest.raises(JournalError):
        heard(journal, READ)
    read_only(journal, on=False)
    assert due(journal) == []
    assert heard(journal, READ)


@ON_A_FILE
def test_its_commits_alone_do_not_wait_for_the_disk(journal: Journal) -> None:
    sent(journal)
    with journal.database.transaction(durable=False) as sql:
        assert sql.execute("PRAGMA synchronous").fetchone() == (1,), "NORMAL"
    said: list[str] = []
    with journal.database.reading() as sql:
        assert isinstance(sql, sqlite3.Connection)
        sql.set_trace_callback(said.append)
    heard(journal, READ)
    assert [line for line in said if line.startswith("PRAGMA")] == [
        "PRAGMA synchronous=NORMAL",
        "PRAGMA synchronous=FULL",
    ]
    with journal.database.transaction() as sql:
        assert sql.execute("PRAGMA synchronous").fetchone() == (2,), "FULL again"


_KILLED = """
import os, signal, sys
from pathlib import Path
from tests.journal.rows import SHOP
from tests.journal.test_receipts import A, READ, heard, sent
from wa_worker.journal import open_journal
with open_journal(Path(sys.argv[1])) as journal:
    sent(journal)
    heard(journal, READ)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_it_survives_a_kill(path: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", _KILLED, str(path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    with open_journal(path) as journal:
        assert due(journal) == [(A, READ)]
        assert Receipt((A,), READ, 1)


@ON_A_FILE
@pytest.mark.parametrize("query", ["_RECORD", "_FIND_DUE"])
def test_no_query_walks_a_table(journal: Journal, query: str) -> None:
    from wa_worker.journal import receipts

    names = dict.fromkeys(("instance", "wa_id", "recipient", "rank", "timestamp", "now"), "x")
    with journal.database.reading() as sql:
        values: Any = names if query == "_RECORD" else (0, 9)
        plan = sql.execute(f"EXPLAIN QUERY PLAN {getattr(receipts, query)}", values).fetchall()
    walks = [row[3] for row in plan if row[3].startswith("SCAN") and "json_each" not in row[3]]
    assert [walk for walk in walks if "CONSTANT ROW" not in walk and "INDEX" not in walk] == []
