"""What groups are called: from memory, from the journal, and who is asked for what is not known."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from tests.journal.rows import OTHER, SHOP, read_only
from wa_worker.errors import JournalError
from wa_worker.journal import Groups, Journal, open_journal
from wa_worker.models import Jid, Secret
from wa_worker.whatsapp.client import QuietClient
from wa_worker.whatsapp.gate import StartGate
from wa_worker.whatsapp.group_changes import Subject
from wa_worker.whatsapp.group_subjects import ASK_AGAIN, MOST_WAITING, GroupSubjects, SubjectLookUp
from wa_worker.whatsapp.native_session import NativeSession

GROUP = Jid("120363041234567890@g.us")


@pytest.fixture
def journal(tmp_path: Path) -> object:
    with open_journal(tmp_path / "journal.db") as opened:
        yield opened


def test_a_name_is_read_once_and_the_newest_counts(journal: Journal) -> None:
    asked: list[Jid] = []
    subjects = GroupSubjects(journal.inbox.groups)
    subjects.ask[SHOP] = asked.append
    assert (subjects.get(SHOP, GROUP), subjects.get(OTHER, GROUP), asked) == (None, None, [GROUP])
    subjects.learn(SHOP, Subject(GROUP, "Loja", 100))
    assert subjects.get(SHOP, GROUP) == "Loja"
    journal.database.close()
    assert subjects.get(SHOP, GROUP) == "Loja", "from memory"


def test_an_older_name_that_comes_late_changes_nothing(journal: Journal) -> None:
    subjects = GroupSubjects(journal.inbox.groups)
    subjects.learn(SHOP, Subject(GROUP, "Loja", 100))
    subjects.learn(SHOP, Subject(GROUP, "Velha", 50))
    assert subjects.get(SHOP, GROUP) == "Loja"
    subjects.learn(SHOP, Subject(GROUP, "Nova", 150))
    assert subjects.get(SHOP, GROUP) == "Nova"
    read_only(journal, on=True)
    with pytest.raises(JournalError):
        subjects.learn(SHOP, Subject(GROUP, "Novissima", 200))
    assert subjects.get(SHOP, GROUP) == "Nova"


def test_memory_is_bounded(journal: Journal) -> None:
    subjects = GroupSubjects(journal.inbox.groups, most_known=3)
    for number in range(10):
        subjects.learn(SHOP, Subject(Jid(f"{number}@g.us"), f"{number}", 1))
        assert subjects.get(SHOP, Jid(f"{number}@g.us")) == f"{number}"
        assert len(subjects._known) <= 3


def look_up(groups: Groups, nursery: trio.Nursery) -> SubjectLookUp:
    gate = StartGate()
    native = NativeSession(SHOP, QuietClient(Secret("nowhere"), "x", "the device", gate), gate, nursery)
    return SubjectLookUp(native, GroupSubjects(groups))


async def test_a_group_is_asked_for_once_in_a_while(journal: Journal) -> None:
    async with trio.open_nursery() as nursery:
        asking = look_up(journal.inbox.groups, nursery)
        for _ in range(5):
            asking.ask(GROUP)
        assert list(asking._waiting) == [GROUP]
        asking._waiting.clear()
        asking.ask(GROUP)
        assert not asking._waiting
        asking._asked[GROUP] -= ASK_AGAIN
        asking.ask(GROUP)
        assert list(asking._waiting) == [GROUP]
        for number in range(MOST_WAITING + 5):
            asking.ask(Jid(f"{number}@g.us"))
        assert len(asking._waiting) == MOST_WAITING


async def test_a_session_that_has_ended_is_not_asked(journal: Journal) -> None:
    async with trio.open_nursery() as nursery:
        first, second = look_up(journal.inbox.groups, nursery), look_up(journal.inbox.groups, nursery)
        second._subjects = first._subjects
        first.start(nursery)
        second.start(nursery)
        first.stop()
        assert first._subjects.ask == {SHOP: second.ask}, "the one after it is"
        second.stop()
        assert first._subjects.ask == {}
