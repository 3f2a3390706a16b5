"""`wa-worker instances` against the health port of a worker, over loopback."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest
import trio
from click.testing import CliRunner, Result

from tests.proxy_fixture import until
from wa_worker.cli.commands import cli
from wa_worker.instances.registry import Registry
from wa_worker.metrics import Metrics
from wa_worker.models import InstanceId, Jid, Reason, Secret
from wa_worker.monitoring.health import listen, run_health
from wa_worker.monitoring.readiness import Readiness
from wa_worker.states import Event, State

TOKEN = "a-token-of-the-tests"
SHOP, CAFE, PUB = InstanceId("shop"), InstanceId("cafe"), InstanceId("pub")


@attrs.frozen
class _Port:
    registry: Registry
    number: int

    async def call(self, *arguments: str, token: str | None = TOKEN) -> Result:
        """Runs `wa-worker instances ...` with the settings of a worker that is asked here."""
        environment = {"ADMIN_TOKEN": token, "PORT": str(self.number), "BIND_HOST": None, "NO_COLOR": None}
        return await trio.to_thread.run_sync(
            lambda: CliRunner().invoke(cli, ["instances", *arguments], env=environment)
        )


@asynccontextmanager
async def _port(token: str | None = TOKEN) -> AsyncIterator[_Port]:
    registry, metrics = Registry(), Metrics()
    listener = listen("127.0.0.1", 0)
    async with trio.open_nursery() as nursery:
        secret = None if token is None else Secret(token)
        await nursery.start(run_health, registry, Readiness(registry, 10.0), metrics, listener, secret)
        yield _Port(registry, listener.getsockname()[1])
        nursery.cancel_scope.cancel()


@pytest.fixture
async def port() -> AsyncIterator[_Port]:
    async with _port() as opened:
        yield opened


def _fill(registry: Registry) -> None:
    registry.set(CAFE, State.CONNECTED, because=Event.CONNECTED)
    registry.set_reason(CAFE, Reason.CONNECTED, None)
    registry.set_account(CAFE, Jid("5511999990001@s.whatsapp.net"))
    registry.set(PUB, State.PAIRING, because=Event.QR)
    registry.set(SHOP, State.HELD, because=Event.BANNED, detail="code 101")
    registry.set_reason(SHOP, Reason.BANNED, 4_000_000_000)


async def test_list_shows_trouble_first_and_counts(port: _Port) -> None:
    _fill(port.registry)
    result = await port.call("list")
    assert result.exit_code == 0
    heading, *lines, last = result.stdout.splitlines()
    assert heading.split() == ["INSTANCE", "STATE", "FOR", "NUMBER", "IN", "OUT", "WAITS", "WHY"]
    assert [line.split()[:2] for line in lines] == [["shop", "held"], ["pub", "pairing"], ["cafe", "connected"]]
    assert "banned, for" in lines[0]
    assert "***0001" in lines[2]
    assert last == "3 instances: 1 held, 1 pairing, 1 connected"
    assert "\x1b" not in result.stdout


async def test_filters_choose_and_fail_is_an_exit_code(port: _Port) -> None:
    _fill(port.registry)
    assert [row["id"] for row in json.loads((await port.call("list", "--trouble", "--json")).stdout)] == ["shop"]
    chosen = await port.call("list", "--state", "pairing", "--state", "connected", "--fail")
    assert chosen.exit_code == 0
    assert chosen.stdout.splitlines()[-1].startswith("2 of 3 instances")
    assert (await port.call("list", "--fail")).exit_code == 1
    assert (await port.call("list", "--state", "asleep")).exit_code == 2


async def test_restricted_and_logged_out_are_trouble_and_the_first_scan_is_not(port: _Port) -> None:
    port.registry.set(SHOP, State.CONNECTED, because=Event.RESTRICTED)
    port.registry.set_reason(SHOP, Reason.RESTRICTED, None)
    port.registry.set(CAFE, State.LOGGED_OUT, because=Event.LOGGED_OUT)
    port.registry.set(CAFE, State.PAIRING, because=Event.QR)
    port.registry.set(PUB, State.PAIRING, because=Event.QR)
    rows = json.loads((await port.call("list", "--json")).stdout)
    assert [(row["id"], row["trouble"]) for row in rows] == [("cafe", True), ("shop", True), ("pub", False)]


async def test_show_has_all_of_one(port: _Port) -> None:
    _fill(port.registry)
    result = await port.call("show", "shop")
    assert result.exit_code == 0
    assert result.stdout.startswith("shop  held\n")
    assert "code 101" in result.stdout
    assert json.loads((await port.call("show", "cafe", "--json")).stdout)["trouble"] is False
    missing = await port.call("show", "nobody")
    assert (missing.exit_code, missing.stdout) == (1, "")
    assert "runs no such instance" in missing.stderr


async def test_no_instance_is_no_trouble(port: _Port) -> None:
    assert (await port.call("list", "--fail")).stdout == "0 instances\n"
    assert (await port.call("list", "--json")).stdout == "[]\n"


async def test_a_wrong_token_is_told_from_none_on_either_side(port: _Port) -> None:
    wrong = await port.call("list", token="another-token")
    assert (wrong.exit_code, wrong.stdout) == (3, "")
    assert "has another ADMIN_TOKEN" in wrong.stderr
    here = await port.call("list", token=None)
    assert here.exit_code == 2
    assert "ADMIN_TOKEN is not set here" in here.stderr
    async with _port(None) as without:
        there = await without.call("list")
    assert there.exit_code == 3
    assert "has no ADMIN_TOKEN" in there.stderr
    assert TOKEN not in wrong.output + here.output + there.output


async def test_nobody_there_is_told_with_what_to_do() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        result = await _Port(Registry(), taken.getsockname()[1]).call("list")
    assert result.exit_code == 3
    assert "is the worker running?" in result.stderr


@pytest.mark.parametrize("status", ["200 OK", "401 Unauthorized", "404 Not Found", "302 Found"])
async def test_something_else_that_answers_is_no_worker(status: str) -> None:
    page = b"<html>a portal</html>"
    answer = f"HTTP/1.1 {status}\r\nContent-Length: {len(page)}\r\nLocation: /x\r\nConnection: close\r\n\r\n"

    async def portal(stream: trio.SocketStream) -> None:
        with contextlib.suppress(trio.BrokenResourceError):
            await stream.receive_some()
            await stream.send_all(answer.encode() + page)
            await stream.aclose()

    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, portal, listeners)
        result = await _Port(Registry(), listeners[0].socket.getsockname()[1]).call("list")
        nursery.cancel_scope.cancel()
    assert (result.exit_code, result.stdout) == (3, "")
    assert "something else than a worker answers" in result.stderr


async def test_any_free_port_needs_an_address() -> None:
    result = await _Port(Registry(), 0).call("list")
    assert result.exit_code == 2
    assert "--url" in result.stderr


@pytest.fixture
def watched(port: _Port, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """`wa-worker instances watch` in a pipe, once it runs."""
    _fill(port.registry)
    path = tmp_path / "watched.txt"
    with path.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "wa_worker", "instances", "watch", "--every", "1"],
            env={"PATH": os.environ["PATH"], "ADMIN_TOKEN": TOKEN, "PORT": str(port.number)},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    yield process, path
    process.kill()
    process.wait(10)


async def test_watch_prints_a_line_a_change_and_ends_by_ctrl_c(
    port: _Port, watched: tuple[subprocess.Popen[bytes], Path]
) -> None:
    process, path = watched
    await until(lambda: len(path.read_text().splitlines()) == 3)
    port.registry.set(SHOP, State.OPENING, because=Event.PAIRED)
    await until(lambda: len(path.read_text().splitlines()) == 4)
    port.registry.remove(CAFE)
    await until(lambda: len(path.read_text().splitlines()) == 5)
    process.send_signal(signal.SIGINT)
    await until(lambda: process.poll() is not None)
    assert process.returncode == 0
    said = [line.split("  ")[1:3] for line in path.read_text().splitlines()]
    assert said == [["shop", "held"], ["pub", "pairing"], ["cafe", "connected"], ["shop", "opening"], ["cafe", "gone"]]
