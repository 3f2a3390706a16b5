"""What groups are called: what is newer counts, for each instance by itself, over restarts too."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.journal.rows import OTHER, SHOP, read_only
from wa_worker.errors import JournalError
from wa_worker.journal import open_journal
from wa_worker.models import Jid

GROUP, SECOND = Jid("120363041234567890@g.us"), Jid("5511988880001-1500000000@g.us")


@pytest.mark.parametrize(("set_at", "now"), [(100, "new"), (101, "new"), (99, "old")])
def test_what_is_newer_counts(tmp_path: Path, set_at: int, now: str) -> None:
    with open_journal(tmp_path / "journal.db") as journal:
        journal.inbox.groups.put(SHOP, GROUP, "old", 100)
        journal.inbox.groups.put(SHOP, GROUP, "new", set_at)
        assert journal.inbox.groups.subject(SHOP, GROUP) == now


def test_it_is_of_one_instance_and_one_group_and_stays(tmp_path: Path) -> None:
    with open_journal(tmp_path / "journal.db") as journal:
        journal.inbox.groups.put(SHOP, GROUP, "Loja", 100)
    with open_journal(tmp_path / "journal.db") as journal:
        groups = journal.inbox.groups
        known = [groups.subject(SHOP, GROUP), groups.subject(OTHER, GROUP), groups.subject(SHOP, SECOND)]
        assert known == ["Loja", None, None]
        read_only(journal, on=True)
        with pytest.raises(JournalError):
            groups.put(SHOP, GROUP, "Loja nova", 200)
