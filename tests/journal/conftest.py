"""A journal in a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from wa_worker.journal import Journal, open_journal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "@worker" / "journal.db"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    with open_journal(path) as opened:
        yield opened
