"""A volume with sessions in tables that whatsmeow made, a state database, and both ways between them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.state_fixture import state_server as state_server
from tests.state_fixture import state_url as state_url
from tests.transfer.volume import Bed
from wa_worker.postgres.url import StateUrl
from wa_worker.whatsapp.store_tables import file_dsn, make_tables


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session store as whatsmeow makes it, without a device; two seconds."""
    file = tmp_path_factory.mktemp("store") / "session.db"
    make_tables(file_dsn(file), os.environ)
    return file


@pytest.fixture
def bed(tmp_path: Path, empty_store: Path, state_url: StateUrl) -> Bed:
    return Bed(tmp_path, empty_store, state_url)
