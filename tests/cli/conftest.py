"""Volumes with journals."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.volume import BAR, ESCAPE, PHONE, SHOP, Volume, message
from tests.state_fixture import state_server as state_server
from tests.state_fixture import state_url as state_url
from wa_worker.journal import InboxResult, SendState, open_journal


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Volume]:
    with open_journal(tmp_path / "@worker" / "journal.db") as journal:
        yield Volume(tmp_path, journal)


@pytest.fixture
def full(volume: Volume) -> Volume:
    """One message of each state."""
    volume.dead("D1", error=f"inbound: answered 422 (no customer {PHONE}{ESCAPE})")
    volume.journal.inbox.record(SHOP, message("P1"))
    volume.journal.inbox.record(BAR, message("P2"))
    volume.journal.inbox.settle([InboxResult(3)])
    for number, state in enumerate(SendState):
        volume.send(number, state)
    return volume
