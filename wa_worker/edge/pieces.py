"""How much of a file is taken in one piece: a lot while few files are under way, since each piece is a thread hop.

What all of them hold at once is bounded by that. Trio thread only.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

SMALLEST, LARGEST = 64 * 1024, 256 * 1024
"""Bytes of a piece. With more, a slow line would seem silent for too long."""

TOGETHER = 1024 * 1024
"""Bytes of the pieces of all files that are under way, as long as pieces are not the smallest."""


class Pieces:
    """Counts files, one way. One per process and way."""

    def __init__(self) -> None:
        self._files = 0

    @property
    def size(self) -> int:
        """Says how many bytes the next piece should have."""
        return max(SMALLEST, min(LARGEST, TOGETHER // max(self._files, 1)))

    @contextmanager
    def file(self) -> Iterator[None]:
        """Counts a file while the block runs."""
        self._files += 1
        try:
            yield
        finally:
            self._files -= 1
