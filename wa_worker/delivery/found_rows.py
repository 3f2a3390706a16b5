"""Rows that a queue has looked up, each a key of its own, until their turn comes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar


class Row(Protocol):
    @property
    def seq(self) -> int: ...


T = TypeVar("T", bound=Row)


class FoundRows(Generic[T]):
    """One per queue. look(after, limit): rows with a `seq` above `after`, ascending. Blocking."""

    def __init__(self, look: Callable[[int, int], list[T]]) -> None:
        self._look = look
        self._found: dict[int, T] = {}
        """Those that are settled meanwhile are dropped."""

    def find(self, after: int, limit: int) -> list[int]:
        """Looks rows up and returns their keys, for a KeyedQueue. Blocking. Raises JournalError."""
        rows = {row.seq: row for row in self._look(after, limit)}
        # a row that is being told of is found again, and not taken once that has been told
        last = max(rows) if len(rows) == limit else math.inf
        for seq in list(self._found):  # a copy: tasks take rows out while this thread looks
            if after < seq <= last and seq not in rows:
                self._found.pop(seq, None)
        self._found.update(rows)
        return list(rows)

    def take(self, seq: int) -> T | None:
        """Returns a row whose turn it is; None if it was settled meanwhile."""
        return self._found.pop(seq, None)
