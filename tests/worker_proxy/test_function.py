"""The Edge Function as a program: its types, its settings, its bad days and what it says in the log."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.dev.proxy.test_endpoints import INBOUND, QR
from tests.e2e.world import SECRET
from tests.worker_proxy import tools
from tests.worker_proxy.backend import Backend
from tests.worker_proxy.conftest import open_client
from tests.worker_proxy.postgres import Postgres
from tests.worker_proxy.processes import (
    ANON_KEY,
    SERVICE_KEY,
    DidNotStart,
    Server,
    answering,
    deno,
    deno_environment,
    open_function,
    open_rest,
    project,
)


@pytest.mark.parametrize(
    "command",
    [
        deno("check") if tools.deno() else [],
        # A function is deployed as one file: it names its package itself.
        [*deno("lint")[:2], "--rules-exclude=no-import-prefix"] if tools.deno() else [],
        [*deno("fmt")[:2], "--check", "--line-width=120"] if tools.deno() else [],
    ],
    ids=["check", "lint", "fmt"],
)
def test_deno_has_nothing_to_say(command: list[str], function_folder: Path) -> None:
    folder = project(function_folder)
    done = subprocess.run(
        [*command, "index.ts"], cwd=folder, env=deno_environment(folder), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["WORKER_SECRET", "SUPABASE_URL", "SUPABASE_SERVICE_ROLE_KEY"])
def test_it_does_not_start_without_its_settings(function_folder: Path, name: str) -> None:
    with (
        pytest.raises(DidNotStart, match=f"{name} is not set"),
        open_function(function_folder, "http://127.0.0.1:9", SECRET, **{name: ""}),
    ):
        pass


async def test_it_takes_the_newer_kind_of_key(rest: Server, function_folder: Path, backend: Backend) -> None:
    backend.add_instance("shop")
    keys = {"SUPABASE_SECRET_KEYS": f'{{"default": "{SERVICE_KEY}"}}', "SUPABASE_SERVICE_ROLE_KEY": "revoked"}
    with open_function(function_folder, rest.url, SECRET, **keys) as function:
        async with open_client(function.url) as client:
            assert (await client.get("/disconnected-instances")).json() == [{"id": "shop"}]


async def test_a_secret_that_is_not_ascii(rest: Server, function_folder: Path, backend: Backend) -> None:
    with open_function(function_folder, rest.url, "s3crét") as function:
        for secret, status in (("s3crét", 200), ("s3cret", 401)):
            async with open_client(function.url, secret) as client:
                assert (await client.get("/disconnected-instances")).status_code == status


async def test_the_key_of_the_browser_can_do_nothing(rest: Server, function_folder: Path, backend: Backend) -> None:
    backend.add_instance("shop")
    with open_function(function_folder, rest.url, SECRET, SUPABASE_SERVICE_ROLE_KEY=ANON_KEY) as function:
        async with open_client(function.url) as client:
            assert (await client.get("/disconnected-instances")).status_code == 500
            assert (await client.post("/inbound", json=INBOUND)).status_code == 500
    assert backend.count_inbound() == 0
    assert function.lines[-2:] == [
        "disconnected-instances: database error 42501\n",
        "inbound: database error 42501\n",
    ]


async def test_an_outage_of_the_database_is_500_and_passes(
    postgres: Postgres, function_folder: Path, backend: Backend
) -> None:
    backend.add_instance("shop")
    with (
        tools.held_port() as port,
        open_function(function_folder, f"http://127.0.0.1:{port}", SECRET) as function,
    ):
        async with open_client(function.url) as client:
            for statuses in (500, 200, 500, 200):
                if statuses == 200:
                    with open_rest(postgres, port=port):
                        answers = await _one_of_each(client)
                else:
                    answers = await _one_of_each(client)
                assert {answer.status_code for answer in answers} == {statuses}
    assert backend.count_inbound() == 1
    # One line for each call that failed: the name of the call, a code, and nothing of the request or the settings.
    assert len(function.lines) == 1 + 2 * 3
    assert {line.partition(": ")[2] for line in function.lines[1:]} == {"database error unreachable\n"}
    said = "".join(function.lines)
    assert not [secret for secret in (SECRET, SERVICE_KEY, INBOUND["body"], QR, "55119") if secret in said]


async def test_a_database_that_hangs_is_500_before_the_worker_gives_up(function_folder: Path, installed: None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        rest_url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with open_function(function_folder, rest_url, SECRET) as function:
            async with open_client(function.url) as client:
                assert (await client.get("/disconnected-instances")).status_code == 500
    assert function.lines[1:] == ["disconnected-instances: database error unreachable\n"]


@pytest.mark.parametrize(
    ("status", "body"),
    [(404, b""), (200, b""), (200, b"null"), (200, b"<html>"), (200, b'"what?"'), (302, b"")],
)
async def test_an_answer_in_the_place_of_the_database_is_500(function_folder: Path, status: int, body: bytes) -> None:
    """A gateway's, say: nothing was stored, so nothing may be said to be, and no instance to be gone."""
    with (
        answering(status, body) as rest_url,
        open_function(function_folder, rest_url, SECRET) as function,
    ):
        async with open_client(function.url) as client:
            answers = await _one_of_each(client)
            mark = {"messageId": 1, "wa_message_id": "W", "error": "no"}
            answers += [await client.post(path, json=mark) for path in ("/mark-sent", "/mark-failed")]
            answers.append(await client.get("/queued-messages?instanceId=shop"))
    assert [answer.status_code for answer in answers] == [500] * 6
    assert len(function.lines) == 1 + 6


async def test_a_secret_that_was_set_with_a_line_break(rest: Server, function_folder: Path, backend: Backend) -> None:
    with open_function(function_folder, rest.url, f"{SECRET}\n") as function:
        async with open_client(function.url) as client:
            assert (await client.get("/disconnected-instances")).status_code == 200


async def test_a_huge_body_is_not_taken_into_memory(function: Server, backend: Backend) -> None:
    async with open_client(function.url) as client:
        assert (await client.post("/inbound", content=bytes(2**20))).status_code == 400
        before = _peak_memory(function)
        assert (await client.post("/inbound", content=bytes(200 * 2**20))).status_code == 413
        assert (await client.post("/inbound", content=b"{}")).status_code == 400
    assert _peak_memory(function) - before < 50_000


def _peak_memory(server: Server) -> int:
    """KiB."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


async def _one_of_each(client: httpx.AsyncClient) -> list[httpx.Response]:
    status = {"instanceId": "shop", "status": "CONNECTING", "qr_code": QR}
    return [
        await client.get("/disconnected-instances"),
        await client.post("/update-status", json=status),
        await client.post("/inbound", json=INBOUND),
    ]
