"""A worker's instance and an account on Baileys, on one simulated WhatsApp."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.baileys.conversation import Conversation, open_conversation
from tests.baileys.installation import NotInstalled, installed


@pytest.fixture(scope="session")
def baileys() -> Path:
    """The folder in which Baileys is installed."""
    try:
        return installed()
    except NotInstalled as error:
        pytest.skip(str(error))


@pytest.fixture
async def conversation(baileys: Path, tmp_path: Path) -> AsyncIterator[Conversation]:
    async with open_conversation(baileys, tmp_path) as opened:
        yield opened
