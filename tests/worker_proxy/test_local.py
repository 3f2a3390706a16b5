"""The other side on a laptop (compose.yaml, profile `local`): its roles, its keys and its gateway.

The SQL runs on a real PostgreSQL, as its image runs it at its first start, and the server under the real Deno with
supabase-js. PostgREST is the stand-in of rest.py, which is given the key that the real one would verify.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import subprocess
import sys
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import attrs
import httpx
import psycopg
import pytest
import yaml

from tests.postgres_server import open_empty_postgres, program
from tests.worker_proxy import tools
from tests.worker_proxy.processes import deno, deno_environment, open_server, project

SECRET = "0123456789abcdef" * 4
LOCAL = tools.SOURCE / "local"
COMPOSE = yaml.safe_load((tools.HERE.parents[1] / "compose.yaml").read_text("utf-8"))["services"]


def key(role: str) -> str:
    """The JWT that the server makes, by another hand."""

    def part(text: bytes) -> str:
        return urlsafe_b64encode(text).decode().rstrip("=")

    header, claims = {"alg": "HS256", "typ": "JWT"}, {"role": role}
    said = ".".join(part(json.dumps(each, separators=(",", ":")).encode()) for each in (header, claims))
    return f"{said}.{part(hmac.digest(SECRET.encode(), said.encode(), hashlib.sha256))}"


@attrs.frozen
class Local:
    url: str
    database: psycopg.Connection
    http: httpx.Client


@pytest.fixture(scope="module")
def local(installed: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    folder = project(tmp_path_factory.mktemp("local") / "worker-proxy")
    (folder / "local").mkdir()
    (folder / "local" / "server.ts").write_bytes((LOCAL / "server.ts").read_bytes())
    with ExitStack() as stack:
        postgres = stack.enter_context(open_empty_postgres(SECRET, "postgres"))
        _first_start(postgres.dsn("postgres"))
        rest = stack.enter_context(
            open_server(
                [sys.executable, "-m", "tests.worker_proxy.rest"],
                {
                    "REST_DSN": postgres.dsn("authenticator"),
                    "REST_SERVICE_KEY": key("service_role"),
                    "REST_ANON_KEY": key("anon"),
                    "REST_PREFIX": "/rpc/",
                },
                tools.HERE.parents[1],
            )
        )
        command, lock, *options, script = COMPOSE["functions"]["command"]
        assert (command, lock, script) == ("run", "--no-lock", "/worker-proxy/local/server.ts")
        server = stack.enter_context(
            open_server(
                [*deno("run"), "--cached-only", "--no-prompt", *options, "local/server.ts"],
                {**deno_environment(folder), "WORKER_SECRET": SECRET, "REST_URL": rest.url, "PORT": str(_free_port())},
                folder,
            )
        )
        database = stack.enter_context(psycopg.connect(postgres.dsn("postgres"), autocommit=True))
        http = stack.enter_context(httpx.Client(base_url=server.url, trust_env=False, timeout=20))
        yield Local(server.url, database, http)


def _first_start(dsn: str) -> None:
    """What the image of PostgreSQL does in an empty volume: the mounted files, in the order of their names."""
    psql = program("psql")
    assert psql is not None
    mounts = [volume.split(":") for volume in COMPOSE["db"]["volumes"] if "initdb.d" in volume]
    for source, _, _ in sorted(mounts, key=lambda mount: mount[1]):
        subprocess.run(
            [psql, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", dsn, "-f", tools.HERE.parents[1] / source],
            check=True,
            capture_output=True,
            env={"PATH": os.environ["PATH"], "POSTGRES_PASSWORD": SECRET},
        )


def _free_port() -> int:
    with tools.held_port() as port:
        return port


def test_the_function_answers_where_the_worker_asks(local: Local) -> None:
    local.database.execute("insert into public.wa_instances (id) values ('shop')")
    path = COMPOSE["worker"]["environment"]["EDGE_BASE_URL"].partition("54321")[2].rstrip("}")
    answer = local.http.get(f"{path}/disconnected-instances", headers={"Authorization": f"Bearer {SECRET}"})
    assert answer.status_code == 200, answer.text
    assert [row["id"] for row in answer.json()] == ["shop"]


def test_another_secret_is_refused(local: Local) -> None:
    path = "/functions/v1/worker-proxy/disconnected-instances"
    assert local.http.get(path, headers={"Authorization": "Bearer other"}).status_code == 401


def test_the_rest_side_takes_its_keys_and_no_others(local: Local) -> None:
    bearer = {"Authorization": f"Bearer {key('service_role')}", "apikey": key("service_role")}
    found = local.http.post("/rest/v1/rpc/wa_disconnected_instances", headers=bearer, json={})
    assert found.status_code == 200, found.text
    assert local.http.post("/rest/v1/rpc/wa_disconnected_instances", json={}).status_code == 401


def test_there_is_nothing_else(local: Local) -> None:
    assert [local.http.get(path).status_code for path in ("/", "/auth/v1/user")] == [404, 404]


def test_a_short_secret_is_named(installed: None, tmp_path: Path) -> None:
    folder = project(tmp_path / "worker-proxy")
    (folder / "local").mkdir()
    (folder / "local" / "server.ts").write_bytes((LOCAL / "server.ts").read_bytes())
    environment = {"PATH": os.environ["PATH"], **deno_environment(folder), "WORKER_SECRET": "short", "REST_URL": "x"}
    command = [*deno("run"), "--cached-only", "--no-prompt", "--allow-env", "--allow-net", "local/server.ts"]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "WORKER_SECRET to 32 characters or more" in done.stderr


def test_who_is_signed_in_is_read_from_the_token_as_postgrest_passes_it_on(local: Local) -> None:
    user = "3f1e2d4c-0000-4000-8000-000000000001"
    with local.database.transaction():
        local.database.execute("select set_config('request.jwt.claims', %s, true)", (json.dumps({"sub": user}),))
        row = local.database.execute("select auth.uid()::text").fetchone()
        assert row == (user,)
    assert local.database.execute("select auth.uid()").fetchone() == (None,)
