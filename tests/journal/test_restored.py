"""What a ledger that came from a backup makes of what the proxy lists."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journal.rows import ANA, OTHER, SHOP, admit, send, states
from wa_worker.delivery.pace import LONGEST_HOLD
from wa_worker.errors import JournalError
from wa_worker.journal import Journal, SendState, open_journal
from wa_worker.journal.restored import FILE, LISTENING, Restored, read_gaps, write_gaps
from wa_worker.journal.review import open_review
from wa_worker.models import InstanceId


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


class Hours:
    """A Restored whose clock goes when it is told to."""

    def __init__(self, journal: Journal, path: Path) -> None:
        self.now = 1000.0
        self.restored = Restored(journal.database, path.with_name(FILE), clock=lambda: self.now)

    def listen(self, seconds: float, *ids: str, hold: bool = True, every: float = 60.0) -> None:
        """Lists are answered every so often, for so long."""
        for _ in range(math.ceil(seconds / every)):
            self.now += every
            if ids:
                self.restored.listed(SHOP, dict.fromkeys(ids, ANA), hold=hold)
            elif self.restored.wants_nothing(SHOP):
                self.restored.nothing_listed(SHOP)

    @property
    def in_doubt(self) -> bool:
        return self.restored.has_gap(SHOP)


@pytest.fixture
def hours(restored: Journal, path: Path) -> Hours:
    return Hours(restored, path)


def test_what_was_left_out_for_as_long_as_a_proxy_may_is_in_doubt_when_it_is_listed(
    restored: Journal, hours: Hours
) -> None:
    """PACE held it back when the backup was restored: the contract lets the proxy leave it out for an hour."""
    hours.listen(LONGEST_HOLD + 60)
    hours.restored.listed(SHOP, {"sent after the backup": ANA}, hold=True)
    assert admit(restored, "sent after the backup").due == ()


def test_it_is_over_when_lists_have_held_no_doubt_for_long_enough(restored: Journal, hours: Hours, path: Path) -> None:
    hours.listen(LISTENING - 60, "sent")
    assert hours.in_doubt
    hours.listen(120)
    assert not hours.in_doubt
    assert hours.restored.has_gap(OTHER)
    assert read_gaps(path.with_name(FILE))[1] == {OTHER}
    hours.restored.listed(SHOP, {"newer": ANA}, hold=True)
    assert admit(restored, "newer").due == ("newer",)


def test_time_in_which_nothing_is_answered_does_not_count(hours: Hours) -> None:
    hours.listen(60)
    hours.now += 10 * LISTENING  # the proxy was away
    hours.listen(LISTENING / 2)
    assert hours.in_doubt


def test_time_in_which_a_row_waits_for_a_person_does_not_count_whether_it_is_listed_or_not(
    hours: Hours, path: Path
) -> None:
    hours.listen(60, "new")
    hours.listen(2 * LISTENING)
    hours.listen(1.5 * LISTENING, "new", every=600.0)
    assert hours.in_doubt
    with open_review(path, write=True) as review:
        assert [outcome.now for outcome in review.discard(list(review.ids([SendState.UNCERTAIN], SHOP)))]
    hours.listen(LISTENING - 60)
    assert hours.in_doubt
    hours.listen(120)
    assert not hours.in_doubt


def test_a_list_with_a_doubt_does_not_count_and_takes_nothing_away(hours: Hours) -> None:
    for number in range(20):
        hours.listen(60, f"new {number}", hold=False)
    hours.listen(LISTENING - 60)
    assert hours.in_doubt
    hours.listen(120)
    assert not hours.in_doubt


def test_empty_lists_are_looked_at_now_and_then(hours: Hours) -> None:
    assert hours.restored.wants_nothing(SHOP)
    hours.restored.nothing_listed(SHOP)
    hours.now += 1
    assert not hours.restored.wants_nothing(SHOP)
    hours.now += 30
    assert hours.restored.wants_nothing(SHOP)
    assert not hours.restored.wants_nothing(InstanceId("never restored"))


def test_it_is_not_over_because_of_a_restart(restored: Journal, path: Path) -> None:
    with open_journal(path) as journal:
        assert journal.restored.has_gap(SHOP)


def test_the_file_goes_with_the_last_instance(restored: Journal, path: Path) -> None:
    at_once = Restored(restored.database, path.with_name(FILE), listening=0.0)
    for instance in (SHOP, OTHER):
        at_once.nothing_listed(instance)
    assert not path.with_name(FILE).exists()


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("{}")
    with pytest.raises(JournalError, match="sent before the restore"), open_journal(tmp_path / "journal.db"):
        pass
