"""A journal in a file, and one in PostgreSQL: each test that takes `journal` or `store` runs on both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journal import machine
from tests.journal.stores import FileStore, StateStore, Store
from tests.postgres_server import Postgres
from tests.state_fixture import open_state_database
from tests.state_fixture import state_server as state_server
from tests.state_fixture import state_url as state_url
from wa_worker.journal import Journal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "@worker" / "journal.db"


@pytest.fixture(scope="session")
def shared_state(state_server: Postgres) -> Iterator[StateStore]:
    """One database for each process of tests, emptied before each."""
    with open_state_database(state_server) as url:
        store = StateStore.on(url)
        yield store
        store.admin.close()


@pytest.fixture
def state(shared_state: StateStore) -> StateStore:
    shared_state.empty()
    return shared_state


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, path: Path) -> Store:
    return request.getfixturevalue("state") if request.param == "postgres" else FileStore(path)


@pytest.fixture
def journal(store: Store) -> Iterator[Journal]:
    with store.open() as opened:
        yield opened


@pytest.fixture(scope="class")
def machines_on_postgres(shared_state: StateStore) -> Iterator[None]:
    """State machines are no functions that take fixtures."""
    machine.STATES.append(shared_state)
    yield
    machine.STATES.clear()
