"""The copy of the journal that is made before its tables change."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tests.journal.old_journal import dump
from tests.journal.rows import SHOP, inbound_message
from tests.journal.stores import ON_A_FILE
from wa_worker.errors import JournalError
from wa_worker.journal import Journal
from wa_worker.journal.backup import back_up


@ON_A_FILE
def test_it_is_a_private_copy_of_what_is_committed(journal: Journal, path: Path) -> None:
    journal.inbox.record(SHOP, inbound_message("1"))
    committed = dump(path)
    with journal.database.transaction():  # as the upgrade holds the lock
        backup = back_up(path, 7)
    assert backup == path.with_name("journal.db.v7-backup")
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert {file.name for file in path.parent.iterdir()} == {
        "journal.db",
        "journal.db-wal",
        "journal.db-shm",
        "journal.db.v7-backup",
    }
    assert dump(backup) == committed


@ON_A_FILE
def test_only_the_newest_is_kept(journal: Journal, path: Path) -> None:
    back_up(path, 1)
    path.with_name("journal.db.v1-backup.tmp").write_text("of a process that was killed")
    path.with_name("journal.db.v2-backup.tmp").write_text("of a process that was killed")
    journal.inbox.record(SHOP, inbound_message("1"))
    for _again in range(2):
        backup = back_up(path, 2)
        assert list(path.parent.glob("*backup*")) == [backup]
    assert dump(backup) == dump(path)


@ON_A_FILE
def test_one_that_cannot_be_made_says_what_to_do_and_leaves_nothing(journal: Journal, path: Path) -> None:
    older = back_up(path, 1)
    path.with_name("journal.db.v2-backup").mkdir()  # the name is taken: it fails at the very end
    with pytest.raises(JournalError, match=r"Nothing of it was changed: make room on the volume"):
        back_up(path, 2)
    assert not list(path.parent.glob("*.tmp"))
    assert older.exists()
