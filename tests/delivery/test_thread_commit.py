"""What several threads have at once goes in one commit, and none returns before its own is committed."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import attrs
import pytest

from wa_worker.delivery.thread_commit import ThreadCommit
from wa_worker.errors import JournalError
from wa_worker.postgres.patience import patient_for

PATIENCE = 20.0


@attrs.define(eq=False)
class Disk:
    """Takes one transaction at a time, each once it may."""

    may: threading.Semaphore = attrs.field(factory=lambda: threading.Semaphore(0))
    begun: threading.Semaphore = attrs.field(factory=lambda: threading.Semaphore(0))
    transactions: list[list[int]] = attrs.Factory(list)
    fails: bool = False

    def commit(self, items: Sequence[int]) -> None:
        self.begun.release()
        assert self.may.acquire(timeout=PATIENCE)
        if self.fails:
            raise JournalError("disk I/O error")
        self.transactions.append(list(items))


@attrs.define(eq=False)
class Crowd:
    """Threads that add a number each."""

    commit: ThreadCommit[int]
    returned: list[int] = attrs.Factory(list)
    raised: list[int] = attrs.Factory(list)
    threads: list[threading.Thread] = attrs.Factory(list)

    def add(self, *items: int) -> None:
        for item in items:
            thread = threading.Thread(target=self._add, args=(item,))
            self.threads.append(thread)
            thread.start()

    def _add(self, item: int) -> None:
        try:
            self.commit.add(item)
        except JournalError:
            self.raised.append(item)
        else:
            self.returned.append(item)

    def join(self) -> None:
        for thread in self.threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()

    def wait(self, count: int) -> None:
        """Until so many of its items are in the group that is next."""
        while len(self.commit._group.items) < count:
            threading.Event().wait(0.001)


def test_those_who_wait_meanwhile_are_one_commit() -> None:
    disk = Disk()
    crowd = Crowd(ThreadCommit(disk.commit))
    crowd.add(1)
    assert disk.begun.acquire(timeout=PATIENCE)
    crowd.add(2, 3, 4, 5)
    crowd.wait(4)
    assert crowd.returned == [], "none returns before its own is committed"
    disk.may.release(2)
    crowd.join()
    assert disk.transactions[0] == [1]
    assert sorted(disk.transactions[1]) == [2, 3, 4, 5]
    assert sorted(crowd.returned) == [1, 2, 3, 4, 5]


def test_a_commit_that_fails_is_heard_of_by_each_who_is_in_it_and_nobody_else() -> None:
    disk = Disk(fails=True)
    crowd = Crowd(ThreadCommit(disk.commit))
    crowd.add(1)
    assert disk.begun.acquire(timeout=PATIENCE)
    crowd.add(2, 3)
    crowd.wait(2)
    disk.may.release(2)
    crowd.join()
    assert sorted(crowd.raised) == [1, 2, 3]
    disk.fails = False
    disk.may.release()
    crowd.commit.add(4)
    assert disk.transactions == [[4]]


def test_what_no_journal_raises_is_raised_too() -> None:
    def commit(_items: Sequence[int]) -> None:
        raise ZeroDivisionError

    committing = ThreadCommit(commit)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            committing.add(1)


def test_who_does_not_wait_for_long_waits_for_no_other_group() -> None:
    disk = Disk()
    commit = ThreadCommit(disk.commit)
    leader = threading.Thread(target=commit.add, args=(1,))
    leader.start()
    assert disk.begun.acquire(timeout=PATIENCE)
    with patient_for(0.2), pytest.raises(JournalError, match="others wait"):
        commit.add(2)
    disk.may.release()
    leader.join(PATIENCE)
    disk.may.release()
    commit.add(3)
    assert disk.transactions == [[1], [2, 3]], "what was not waited for is committed all the same"
