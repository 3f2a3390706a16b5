"""What several tasks finished, in one transaction: all of it, each of it once, whatever is cancelled meanwhile."""

from __future__ import annotations

import threading
import time

import attrs
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs
from trio.testing import wait_all_tasks_blocked

from wa_worker.delivery.group_commit import GroupCommit
from wa_worker.errors import JournalError


@attrs.define
class Disk:
    """Takes `delay` seconds for a transaction, and fails the first `failures` of them."""

    delay: float = 0.0
    failures: int = 0
    transactions: list[list[int]] = attrs.Factory(list)
    at_work: threading.Lock = attrs.field(factory=threading.Lock, init=False)

    def commit(self, items: list[int]) -> None:
        assert self.at_work.acquire(blocking=False), "one transaction at a time"
        try:
            time.sleep(self.delay)
            if self.failures:
                self.failures -= 1
                raise JournalError("disk I/O error")
            self.transactions.append(list(items))
        finally:
            self.at_work.release()

    @property
    def kept(self) -> list[int]:
        return [item for transaction in self.transactions for item in transaction]


async def test_an_item_is_on_disk_when_it_returns() -> None:
    disk = Disk(0.02)
    group = GroupCommit(disk.commit)
    for number in range(3):
        await group.add(number)
        assert disk.kept[-1] == number


async def test_what_comes_during_a_transaction_goes_into_the_next_one_together() -> None:
    disk = Disk(0.1)
    group = GroupCommit(disk.commit)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(group.add, 0)
        await trio.sleep(0.03)
        for number in range(1, 20):
            nursery.start_soon(group.add, number)
    assert [len(transaction) for transaction in disk.transactions] == [1, 19]


async def test_while_the_disk_takes_nothing_it_tries_again(autojump_clock: trio.abc.Clock) -> None:
    """The clock may jump: what is awaited is a pause, the threads return at once."""
    disk = Disk(failures=2)
    with capture_logs() as lines:
        await GroupCommit(disk.commit).add(1)
    assert disk.kept == [1]
    assert [line["log_level"] for line in lines] == ["error"] * 2


async def test_a_cancel_while_the_disk_takes_nothing_ends_the_waiting_and_keeps_the_item() -> None:
    """Whoever comes next commits it, too."""
    disk = Disk(failures=6)
    group = GroupCommit(disk.commit)
    with trio.move_on_after(0.1) as patience:
        await group.add(1)
    assert patience.cancelled_caught
    disk.failures = 0
    with trio.fail_after(10):
        await group.add(2)
    assert disk.kept == [1, 2]


async def test_one_who_waits_for_a_turn_is_cancelled_without_harm_to_the_others() -> None:
    disk = Disk(0.05)
    group = GroupCommit(disk.commit)
    scopes = [trio.CancelScope() for _ in range(6)]

    async def add(number: int) -> None:
        with scopes[number]:
            await group.add(number)

    async with trio.open_nursery() as nursery:
        for number in range(6):
            nursery.start_soon(add, number)
        await wait_all_tasks_blocked()
        for number in (0, 2, 5):
            scopes[number].cancel()
    assert sorted(disk.kept) == list(range(6))


async def test_the_last_in_line_is_cancelled_and_its_item_is_kept_all_the_same() -> None:
    """Nobody comes after it, who would commit it along."""
    disk = Disk(0.1)
    group = GroupCommit(disk.commit)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(group.add, 0)
        await wait_all_tasks_blocked()
        with trio.move_on_after(0.02):
            await group.add(1)
    assert disk.kept == [0, 1]


@given(st.lists(st.tuples(st.floats(0, 0.01), st.floats(0, 0.01)), min_size=1, max_size=12))
@settings(max_examples=40, deadline=None)
def test_whoever_is_cancelled_whenever_nothing_is_lost_or_kept_twice(plan: list[tuple[float, float]]) -> None:
    """Each task begins after a moment, and is cancelled after another one, in the middle of its commit or before."""
    disk = Disk(0.002)

    async def main() -> None:
        group = GroupCommit(disk.commit)

        async def add(number: int, begins: float, lasts: float) -> None:
            await trio.sleep(begins)
            added.add(number)
            with trio.move_on_after(lasts):
                await group.add(number)

        added: set[int] = set()
        async with trio.open_nursery() as nursery:
            for number, (begins, lasts) in enumerate(plan):
                nursery.start_soon(add, number, begins, lasts)
        assert sorted(disk.kept) == sorted(added)

    trio.run(main)


async def test_who_commits_for_the_others_does_not_wait_for_them(nursery: trio.Nursery) -> None:
    """Else a chat stands still for as long as the others have a backlog."""

    def slow_disk(_items: list[int]) -> None:
        time.sleep(0.02)

    group = GroupCommit(slow_disk)
    done = dict.fromkeys(range(6), 0)

    async def key(number: int) -> None:
        while True:
            await group.add(number)
            done[number] += 1
            await trio.sleep(0.015)  # the proxy's answer to the next one

    for number in done:
        nursery.start_soon(key, number)
        await trio.sleep(0.01)  # not all in step
    await trio.sleep(2)
    nursery.cancel_scope.cancel()
    assert min(done.values()) > 5, done
