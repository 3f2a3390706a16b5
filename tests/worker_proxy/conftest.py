"""The far side for real: PostgreSQL with the migration, the Edge Function under Deno, and stand-ins for PostgREST and
for Storage.

All three start once per session, in about four seconds; the tables are emptied before each test.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from tests.dev.console.conftest import chromium as chromium
from tests.e2e.world import SECRET
from tests.worker_proxy import tools
from tests.worker_proxy.backend import Backend, EdgeProxy
from tests.worker_proxy.postgres import Postgres, open_postgres
from tests.worker_proxy.processes import Server, open_function, open_rest
from tests.worker_proxy.tenants import Customers


@pytest.fixture(scope="session")
def installed() -> None:
    if reason := tools.missing():
        pytest.skip(reason)


@pytest.fixture(scope="session")
def postgres(installed: None) -> Iterator[Postgres]:
    """With the migration, run twice."""
    with open_postgres() as postgres:
        for _ in range(2):
            postgres.psql(tools.SOURCE / "migration.sql")
        yield postgres


@pytest.fixture(scope="session")
def customers_postgres(installed: None) -> Iterator[Postgres]:
    """With all that customers need, too, run twice."""
    with open_postgres() as postgres:
        for _ in range(2):
            for name in ("migration.sql", *tools.CUSTOMERS):
                postgres.psql(tools.SOURCE / name)
        yield postgres


@pytest.fixture
def customers(customers_postgres: Postgres) -> Iterator[Customers]:
    """Empty tables."""
    with psycopg.connect(customers_postgres.dsn("supabase_admin"), autocommit=True) as db:
        backend = Backend(db)
        backend.clear()
        db.execute("truncate public.wa_tenants, public.wa_notices")
        yield Customers(customers_postgres, backend)


@pytest.fixture(scope="session")
def database(postgres: Postgres) -> Iterator[psycopg.Connection]:
    """As a superuser, each statement by itself."""
    with psycopg.connect(postgres.dsn("supabase_admin"), autocommit=True) as db:
        db.execute(
            "create trigger zz_test_keep_status after update on public.wa_instances for each row "
            "when (current_user = 'service_role') execute function test.keep_status()"
        )
        yield db


@pytest.fixture(scope="session")
def rest(postgres: Postgres) -> Iterator[Server]:
    with open_rest(postgres) as rest:
        yield rest


@pytest.fixture(scope="session")
def function_folder(installed: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("function") / "worker-proxy"


@pytest.fixture(scope="session")
def function(rest: Server, function_folder: Path) -> Iterator[Server]:
    with open_function(function_folder, rest.url, SECRET) as function:
        yield function


@pytest.fixture
def backend(database: psycopg.Connection) -> Backend:
    """Empty tables."""
    backend = Backend(database)
    backend.clear()
    return backend


@pytest.fixture
def proxy(function: Server, backend: Backend) -> EdgeProxy:
    """As the contract tests want it: with the instance "shop"."""
    backend.add_instance("shop")
    return EdgeProxy(function.url, SECRET, backend, function.lines)


@pytest.fixture
def connected(proxy: EdgeProxy) -> dict[str, str]:
    """What a worker says whose three instances are connected and have nothing to do."""
    for id_ in ("shop", "two", "three"):
        proxy.store.add_instance(id_)
        proxy.store.set_status(id_, "CONNECTED")
    return dict.fromkeys(("shop", "two", "three"), "CONNECTED")


@pytest.fixture
async def client(proxy: EdgeProxy) -> AsyncIterator[httpx.AsyncClient]:
    async with open_client(proxy.url) as client:
        yield client


def open_client(url: str, secret: str = SECRET) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=url,
        headers={b"Authorization": b"Bearer " + secret.encode()},
        timeout=15,
        verify=False,  # there is no TLS, and loading the certificates takes longer than most tests
        limits=httpx.Limits(max_connections=None),
    )
