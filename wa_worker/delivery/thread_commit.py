"""Commits what several threads have at the same moment in one transaction: the first who gets his turn, for all.

For the library's threads: a callback must not return before what it brought is committed. Trio's tasks have
group_commit.py.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import attrs

from wa_worker.errors import JournalError
from wa_worker.postgres.patience import seconds_left

T = TypeVar("T")


@attrs.define(eq=False)
class _Group(Generic[T]):
    items: list[T] = attrs.field(factory=list)
    done: bool = False
    error: Exception | None = None


class ThreadCommit(Generic[T]):
    """Commits by `commit`, which is called on one of the threads at a time."""

    def __init__(self, commit: Callable[[Sequence[T]], None]) -> None:
        self._commit = commit
        self._group: _Group[T] = _Group()
        self._adding = threading.Lock()
        self._turn = threading.Lock()

    def add(self, item: T) -> None:
        """Returns when `item` is committed. Blocking. Raises what the commit of its group raises, and JournalError if
        another group takes longer than this thread waits: then it may be committed later all the same."""
        with self._adding:
            group = self._group
            group.items.append(item)
        left = seconds_left()
        if not self._turn.acquire(timeout=-1 if left is None else left):
            raise JournalError("others wait for the journal, too")
        try:
            if not group.done:
                self._commit_group(group)
        finally:
            self._turn.release()
        if group.error is not None:
            raise group.error

    def _commit_group(self, group: _Group[T]) -> None:
        with self._adding:
            self._group = _Group()
        try:
            self._commit(group.items)
        except Exception as error:  # noqa: BLE001 - raised by each who has something in it
            group.error = error
        group.done = True
