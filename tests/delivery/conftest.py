"""A journal in a file, and a clock that is fast."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from trio.abc import Clock
from trio.testing import MockClock

from wa_worker.journal import Journal, open_journal


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with open_journal(tmp_path / "journal.db") as opened:
        yield opened


@pytest.fixture
def jumping() -> Clock:
    """A clock that jumps to the next deadline when nothing has happened for 30 ms: a thread takes less."""
    return MockClock(autojump_threshold=0.03)


@pytest.fixture
def fast() -> Clock:
    """A second takes 5 ms on this clock. pytest-trio runs the test by the clock that is among its arguments."""
    return MockClock(rate=200.0)
