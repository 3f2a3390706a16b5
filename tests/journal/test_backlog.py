"""What waits in the journal, as monitoring reads it: counts, ages, and from indexes alone."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.journal.stores import ON_A_FILE
from wa_worker.errors import JournalError
from wa_worker.journal import InboxResult, Journal, SendState, Settled
from wa_worker.journal.backlog import QUERIES, Backlog, Queue, read_backlog
from wa_worker.messages import ChatType, InboundMessage
from wa_worker.models import InstanceId, Jid, MessageId, WaMessageId

SHOP = InstanceId("shop")
ANA = Jid("5511988880002@s.whatsapp.net")
ME = Jid("5511999990001@s.whatsapp.net")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a #1?.db"


def _receive(journal: Journal, wa_id: str) -> None:
    message = InboundMessage(WaMessageId(wa_id), ANA, ChatType.DIRECT, ME, ANA, None, None, "oi", "text", 1)
    assert journal.inbox.record(SHOP, message)


def _age(journal: Journal, column: str, seconds: float) -> None:
    table = "inbox" if column == "received_at" else "ledger"
    with journal.database.transaction() as sql:
        sql.execute(
            f"UPDATE {table} SET {column} = ? WHERE seq = (SELECT min(seq) FROM {table})", (time.time() - seconds,)
        )


def _rounded(queue: Queue) -> tuple[int, int]:
    return queue.size, round(queue.age / 10) * 10


def test_nothing_waits(journal: Journal) -> None:
    none = Queue(0, 0.0)
    assert read_backlog(journal.database) == Backlog(none, none, none, 0, 0)


def test_each_message_is_counted_where_it_waits(journal: Journal) -> None:
    for wa_id in "abcd":
        _receive(journal, wa_id)
    key = journal.inbox.keys(0, 1)[0]
    rows = journal.inbox.pending(key, 9)
    journal.inbox.settle([InboxResult(rows[2].seq), InboxResult(rows[3].seq, "no", dead=True)])
    _age(journal, "received_at", 200)

    ids: list[MessageId] = [1, 2, 3, 4, 5, 6, 7]
    journal.ledger.admit(SHOP, dict.fromkeys(ids, ANA), listed_at=time.time())
    _age(journal, "created_at", 500)
    for message_id, state in (
        (2, SendState.SENT),
        (3, SendState.SENT),
        (4, SendState.FAILED),
        (5, SendState.UNCERTAIN),
    ):
        journal.ledger.step(SHOP, [], message_id)
        journal.ledger.step(SHOP, [Settled(message_id, state, WaMessageId("x"))], None)
    journal.ledger.reported(row for row in journal.ledger.unreported(0, 9) if row.message_id == 3)
    journal.ledger.step(SHOP, [], 7)  # under way

    backlog = read_backlog(journal.database)
    assert _rounded(backlog.to_deliver) == (2, 200)
    assert _rounded(backlog.to_send) == (3, 500)
    assert _rounded(backlog.to_tell) == (2, 0)
    assert (backlog.dead, backlog.uncertain) == (1, 1)


@ON_A_FILE
def test_it_is_read_from_indexes(journal: Journal) -> None:
    with journal.database.reading() as sql:
        for query in QUERIES.values():
            steps = [row[3] for row in sql.execute(f"EXPLAIN QUERY PLAN {query}")]
            assert all(" INDEX " in step for step in steps if step.startswith(("SCAN", "SEARCH"))), (query, steps)


def test_a_writer_does_not_wait_for_it_nor_it_for_a_writer(journal: Journal) -> None:
    with journal.database.transaction():
        assert read_backlog(journal.database).dead == 0


@ON_A_FILE
def test_no_file_is_made_where_there_is_none(journal: Journal, path: Path) -> None:
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()
    with pytest.raises(JournalError):
        read_backlog(journal.database)
    assert not path.exists()
