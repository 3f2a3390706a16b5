"""What a ledger that came from a backup makes of what the proxy lists."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journal.rows import ANA, OTHER, SHOP, admit, send, states
from wa_worker.errors import JournalError
from wa_worker.journal import Journal, SendState, open_journal
from wa_worker.journal.restored import FILE, Restored, read_gaps, write_gaps


@pytest.fixture
def restored(path: Path) -> Iterator[Journal]:
    """One whose ledger has rows of each kind from before the restore."""
    with open_journal(path) as journal:
        admit(journal, "waited", "sent")
        send(journal, "sent", SendState.SENT)
    write_gaps(path.with_name(FILE), time.time(), [SHOP, OTHER])
    with open_journal(path) as journal:
        yield journal


def listed(journal: Journal, *ids: str, hold: bool) -> None:
    journal.restored.listed(SHOP, dict.fromkeys(ids, ANA), hold=hold)


def test_with_hold_what_is_not_known_waits_for_a_person(restored: Journal) -> None:
    listed(restored, "new", "waited", "sent", hold=True)
    assert states(restored) == {'"waited"': "uncertain", '"sent"': "sent", '"new"': "uncertain"}
    admission = admit(restored, "new", "waited", "sent")
    assert (admission.due, admission.held) == ((), 2)


def test_with_resend_it_is_sent_and_a_doubt_is_counted(restored: Journal) -> None:
    listed(restored, "new", "waited", "sent", hold=False)
    assert set(admit(restored, "new", "waited", "sent").due) == {"new", "waited"}
    with restored.database.reading() as sql:
        assert dict(sql.execute("SELECT message_id, doubts FROM ledger")) == {'"waited"': 1, '"sent"': 0, '"new"': 1}
    listed(restored, "new", "waited", hold=False)
    with restored.database.reading() as sql:
        assert sql.execute("SELECT max(doubts) FROM ledger").fetchone() == (1,)


def test_it_is_over_for_an_instance_when_a_list_has_nothing_new_and_nothing_held(restored: Journal, path: Path) -> None:
    at_once = Restored(restored.database, path.with_name(FILE), quiet=0.0)
    for _ in range(2):
        at_once.listed(SHOP, {"new": ANA}, hold=True)
        assert at_once.has_gap(SHOP)
    at_once.listed(SHOP, {}, hold=True)
    assert not at_once.has_gap(SHOP)
    assert at_once.has_gap(OTHER)
    assert read_gaps(path.with_name(FILE))[1] == {OTHER}
    at_once.listed(SHOP, {"newer": ANA}, hold=True)
    assert admit(restored, "newer").due == ("newer",)


def test_one_empty_list_is_not_believed(restored: Journal) -> None:
    for _ in range(3):
        restored.restored.listed(SHOP, {}, hold=True)
    assert restored.restored.has_gap(SHOP)
    listed(restored, "new", hold=True)
    assert admit(restored, "new").held == 1


def test_quiet_time_counts_from_the_last_doubt(restored: Journal, path: Path) -> None:
    some = Restored(restored.database, path.with_name(FILE), quiet=0.2)
    some.listed(SHOP, {}, hold=False)
    time.sleep(0.25)
    some.listed(SHOP, {"new": ANA}, hold=False)
    some.listed(SHOP, {"new": ANA}, hold=False)
    assert some.has_gap(SHOP)
    time.sleep(0.25)
    some.listed(SHOP, {"new": ANA}, hold=False)
    assert not some.has_gap(SHOP)


def test_it_is_not_over_because_of_a_restart(restored: Journal, path: Path) -> None:
    with open_journal(path) as journal:
        assert journal.restored.has_gap(SHOP)


def test_the_file_goes_with_the_last_instance(restored: Journal, path: Path) -> None:
    at_once = Restored(restored.database, path.with_name(FILE), quiet=0.0)
    for instance in (SHOP, OTHER):
        at_once.listed(instance, {}, hold=False)
    assert not path.with_name(FILE).exists()


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("{}")
    with pytest.raises(JournalError, match="sent before the restore"), open_journal(tmp_path / "journal.db"):
        pass
