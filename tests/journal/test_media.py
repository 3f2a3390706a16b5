"""The files of received messages in the journal: what a message waits for, and what is posted once more."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import attrs
import pytest

from tests.journal.rows import ANA, SHOP, inbound_message
from tests.journal.stores import ON_A_FILE, Store
from wa_worker.journal import FileState, FileStep, InboxResult, Journal, PendingInbound, open_journal
from wa_worker.journal.content import content_of
from wa_worker.journal.items import ItemId
from wa_worker.journal.migrations import STEPS
from wa_worker.messages import InboundMessage, Media, MediaError, MediaKind, MediaReference

REFERENCE = MediaReference(MediaKind.IMAGE, "/v/t62/x?oh=1", bytes(32), b"e" * 32, b"s" * 32, 1234)


def picture(wa_id: str = "A") -> InboundMessage:
    return attrs.evolve(inbound_message(wa_id), message_type="image", media=Media("image/jpeg"))


@pytest.fixture
def seq(journal: Journal) -> int:
    """A picture has come."""
    assert journal.inbox.record(SHOP, picture(), file=REFERENCE)
    return 1


def pending(journal: Journal) -> list[PendingInbound]:
    return [row for key in journal.inbox.keys(0, 9) for row in journal.inbox.pending(key, 9)]


def error_and_url(row: PendingInbound) -> tuple[str | None, str | None]:
    assert row.message.media is not None
    return row.message.media.error, row.message.media.url


def accept(journal: Journal) -> PendingInbound:
    (row,) = pending(journal)
    journal.inbox.settle([InboxResult(row.seq, file=row.file)])
    return row


def rows(journal: Journal) -> int:
    with journal.database.reading() as sql:
        return int(sql.execute("SELECT count(*) FROM media").fetchone()[0])


def test_the_reference_is_committed_with_the_message(journal: Journal, seq: int, store: Store) -> None:
    journal.database.close()
    with store.open() as again:
        assert again.media.keys(FileStep.WANTED, 0, 9) == [seq]
        file = again.media.get(seq)
        assert file is not None
        assert (file.reference, file.instance, file.message) == (REFERENCE, SHOP, picture())
        (row,) = pending(again)
        assert (row.file, error_and_url(row)) == (FileState.OPEN, ("pending", None))
        assert time.time() - row.received_at < 60


def test_a_repeat_adds_no_second_file(journal: Journal, seq: int) -> None:
    assert not journal.inbox.record(SHOP, picture(), file=REFERENCE)
    assert journal.media.keys(FileStep.WANTED, 0, 9) == [seq]


def test_a_text_has_no_file(journal: Journal) -> None:
    journal.inbox.record(SHOP, inbound_message("A"))
    (row,) = pending(journal)
    assert row.file is None
    assert row.message.media is None


def test_a_message_that_waits_goes_with_its_url(journal: Journal, seq: int) -> None:
    journal.media.stored(seq)
    assert journal.media.keys(FileStep.WANTED, 0, 9) == []
    assert journal.media.keys(FileStep.STORED, 0, 9) == [seq]
    journal.media.settle(seq, url="https://files/1")
    row = accept(journal)
    assert (row.file, error_and_url(row)) == (FileState.SETTLED, (None, "https://files/1"))
    assert row.message.update is None
    assert not pending(journal)
    assert rows(journal) == 0


@pytest.mark.parametrize("settled_first", [False, True])
@pytest.mark.parametrize(
    "failure", [None, MediaError.EXPIRED, MediaError.TOO_LARGE, MediaError.DAMAGED, MediaError.OFF]
)
def test_one_that_went_without_comes_once_more(
    journal: Journal, seq: int, failure: MediaError | None, settled_first: bool
) -> None:
    """`settled_first`: while the call with the message without its file is under way."""
    journal.inbox.record(SHOP, inbound_message("B"))
    first, second = pending(journal)
    url = "https://files/1" if failure is None else None
    if settled_first:
        journal.media.settle(seq, url=url, failure=failure)
    journal.inbox.settle([InboxResult(first.seq, file=first.file)])
    if not settled_first:
        journal.media.settle(seq, url=url, failure=failure)
    rest = pending(journal)
    assert [row.message.wa_id for row in rest] == ["B", "A"], "in the order of its chat, behind what was there"
    update = rest[1]
    assert (update.message.update, update.file) == (True, None)
    assert error_and_url(update) == (failure, url)
    assert update.message.body == picture().body
    assert rows(journal) == 0
    journal.inbox.settle([InboxResult(each.seq, file=each.file) for each in rest])
    assert not pending(journal)
    assert second.seq == rest[0].seq


def test_that_it_takes_no_files_is_no_news_to_the_proxy(journal: Journal, seq: int) -> None:
    accept(journal)
    assert journal.media.keys(FileStep.WANTED, 0, 9) == [seq], "it may come all the same"
    journal.media.settle(seq, failure=MediaError.NO_UPLOAD)
    assert not pending(journal)
    assert rows(journal) == 0


@pytest.mark.parametrize("posted_first", [False, True])
def test_that_its_storage_does_not_take_this_file_is_news(journal: Journal, seq: int, posted_first: bool) -> None:
    if posted_first:
        accept(journal)
    journal.media.settle(seq, failure=MediaError.NO_UPLOAD, refused=True)
    row = accept(journal)
    assert (row.message.update, error_and_url(row)) == (True if posted_first else None, ("no_upload", None))
    assert rows(journal) == 0


def test_what_is_taken_back_says_that_an_update_follows_only_if_one_does(journal: Journal, seq: int) -> None:
    row = accept(journal)
    journal.media.settle(seq, failure=MediaError.NO_UPLOAD)
    journal.inbox.take_back([row])
    (again,) = pending(journal)
    assert error_and_url(again) == ("no_upload", None)


@pytest.mark.parametrize("told", [False, True])
def test_what_is_taken_back_goes_before_its_update(journal: Journal, seq: int, told: bool) -> None:
    row = accept(journal)
    journal.media.settle(seq, url="https://files/1")
    update = accept(journal) if told else pending(journal)[0]
    journal.inbox.take_back([row, update] if told else [row])
    assert [(each.message.update, error_and_url(each)) for each in pending(journal)] == [
        (None, ("pending", None)),
        (True, (None, "https://files/1")),
    ]


@pytest.mark.parametrize("spoiled", ["{", '{"wa_id": 1}', "[]"])
def test_a_spoiled_row_ends_with_its_file_and_keeps_no_other(journal: Journal, seq: int, spoiled: str) -> None:
    accept(journal)
    journal.inbox.record(SHOP, picture("B"), file=REFERENCE)
    with journal.database.transaction() as sql:
        sql.execute("UPDATE media SET posted = ? WHERE message_seq = ?", (spoiled, seq))
    assert journal.media.settle_all(MediaError.OFF) == [1, 1]
    assert [error_and_url(row) for row in pending(journal)] == [("off", None)]
    assert rows(journal) == 1


def test_the_first_word_counts(journal: Journal, seq: int) -> None:
    journal.media.settle(seq, url="https://files/1")
    journal.media.settle(seq, failure=MediaError.EXPIRED)
    journal.media.lost(seq)
    assert error_and_url(accept(journal)) == (None, "https://files/1")


def test_what_was_posted_is_taken_back(journal: Journal, seq: int) -> None:
    """It was something else than the proxy that accepted it."""
    row = accept(journal)
    journal.inbox.take_back([row])
    journal.media.settle(seq, url="https://files/1")
    again = accept(journal)
    assert (again.message.update, error_and_url(again)) == (None, (None, "https://files/1"))
    assert not pending(journal), "no update of what has its file"


def test_a_message_that_is_refused_for_good_keeps_its_file(journal: Journal, seq: int) -> None:
    journal.inbox.settle([InboxResult(seq, "no", dead=True)])
    journal.media.settle(seq, url="https://files/1")
    with journal.review(write=True) as review:
        list(review.retry([ItemId("in", seq)]))
    assert error_and_url(accept(journal)) == (None, "https://files/1")
    assert rows(journal) == 0


def test_a_message_that_a_person_discards(journal: Journal, seq: int) -> None:
    with journal.review(write=True) as review:
        list(review.discard([ItemId("in", seq)]))
    file = journal.media.get(seq)
    assert file is not None
    assert file.message is None
    journal.media.settle(seq, failure=MediaError.DAMAGED)
    assert rows(journal) == 0
    assert not pending(journal)


def test_files_that_are_lost_are_wanted_again(journal: Journal, seq: int) -> None:
    journal.media.stored(seq)
    journal.media.lost(seq)
    assert journal.media.keys(FileStep.WANTED, 0, 9) == [seq]


def test_what_was_wanted_for_too_long_is_given_up(journal: Journal, seq: int) -> None:
    accept(journal)
    assert journal.media.give_up(3600) == 0
    assert journal.media.give_up(-1) == 1
    (update,) = pending(journal)
    assert error_and_url(update) == ("expired", None)


def test_all_are_settled_when_files_are_turned_off(journal: Journal, seq: int) -> None:
    journal.inbox.record(SHOP, picture("B"), file=REFERENCE)
    journal.media.stored(seq)
    assert journal.media.settle_all(MediaError.OFF) == [1, 1]
    assert [error_and_url(row) for row in pending(journal)] == [("off", None)] * 2


def test_a_message_that_is_forgotten_takes_its_file_along(journal: Journal, seq: int) -> None:
    accept(journal)
    assert journal.inbox.purge(-1) == 1
    assert rows(journal) == 0


@ON_A_FILE
def test_files_are_found_by_an_index(journal: Journal, seq: int) -> None:
    for step in ("wanted", "stored"):
        with journal.database.reading() as sql:
            plan = sql.execute(
                f"EXPLAIN QUERY PLAN SELECT message_seq FROM media WHERE step = '{step}' AND message_seq > 0"
                " ORDER BY message_seq LIMIT 9"
            ).fetchall()
        assert f"media_{step}" in str(plan)


def test_a_journal_of_before_is_upgraded(path: Path) -> None:
    """A journal of the format before files, with a message in it."""
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as sql:
        for step in STEPS[:5]:
            for statement in step:
                sql.execute(statement)
        sql.execute("INSERT INTO chats (id, instance, jid) VALUES (1, ?, ?)", (SHOP, ANA))
        row = (1, "A", content_of(inbound_message("A")), 1_790_000_000.0)
        sql.execute("INSERT INTO inbox (chat, wa_id, message, received_at) VALUES (?, ?, ?, ?)", row)
        sql.execute("PRAGMA user_version=5")
    with open_journal(path) as journal:
        assert [row.message.wa_id for row in pending(journal)] == ["A"]
        journal.inbox.record(SHOP, picture("B"), file=REFERENCE)
        assert len(journal.media.keys(FileStep.WANTED, 0, 9)) == 1
        assert pending(journal)[0].message.chat == ANA
