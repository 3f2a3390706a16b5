"""`wa-worker check` as people run it: which line says what, and the exit code."""

from __future__ import annotations

import json
import os
import pty
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from tests.e2e.world import PATIENCE, SECRET, World, open_world
from tests.state_fixture import state_server as state_server
from tests.state_fixture import state_url as state_url
from wa_worker.check import state
from wa_worker.dev.proxy import Fault
from wa_worker.ownership.volume import hold_volume
from wa_worker.postgres.url import StateUrl

NAMES = [
    *("configuration", "volume", "free space", "permissions", "file system", "lock"),
    *(
        "journal",
        "port",
        "neonize",
        "libmagic",
        "whatsapp",
        "proxy",
        "secret",
        "wrong secret",
        "disconnected-instances",
        "queued-messages",
        "contract",
        "events",
        "clock",
    ),
]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A world whose proxy speaks version 2, of which there is more to check."""
    async with open_world(tmp_path, contract=2) as opened:
        yield opened


@attrs.frozen
class Ran:
    code: int
    out: str
    err: str

    def line(self, name: str) -> str:
        """The line of this check, and the one with the remedy if there is one."""
        shown = self.out.splitlines()
        (at,) = (number for number, line in enumerate(shown) if line[6:].startswith(f"{name}  "))
        return "\n".join(line for line in shown[at : at + 2] if line == shown[at] or line.lstrip().startswith("->"))

    def failed(self) -> list[str]:
        return [name for name in NAMES if f"\nfail  {name} " in f"\n{self.out}"]


async def check(world: World, *arguments: str, **settings: str) -> Ran:
    done = await trio.run_process(
        [sys.executable, "-m", "wa_worker", "check", *arguments],
        env=world.environment(**settings),
        stdin=subprocess.DEVNULL,
        capture_stdout=True,
        capture_stderr=True,
        check=False,
    )
    ran = Ran(done.returncode, done.stdout.decode(), done.stderr.decode())
    assert SECRET not in ran.out + ran.err
    assert "Traceback" not in ran.out + ran.err
    return ran


async def test_a_good_set_up(world: World) -> None:
    world.auth_dir.mkdir(mode=0o700)
    world.proxy.store.add_instance("shop")
    ran = await check(world)
    assert (ran.code, ran.failed()) == (0, [])
    *shown, last = ran.out.splitlines()
    assert [line[6:28].rstrip() for line in shown if line[:4].strip()] == NAMES
    passed, warnings = (sum(line.startswith(grade) for line in shown) for grade in ("ok ", "warn"))
    assert last == f"{passed} passed, {warnings} warning{'' if warnings == 1 else 's'}, 0 failed"
    assert "\x1b" not in ran.out
    assert "EDGE_BASE_URL, WORKER_SECRET, PORT" in ran.line("configuration")
    assert "web.whatsapp.com:443 answers through the proxy 127.0.0.1" in ran.line("whatsapp")
    assert "1 instance to connect" in ran.line("disconnected-instances")
    assert list(world.auth_dir.iterdir()) == []
    assert world.simulator.faults == []


async def test_a_wrong_secret(world: World) -> None:
    ran = await check(world, WORKER_SECRET="another-secret-of-the-tests")
    assert (ran.code, ran.failed()) == (1, ["secret"])
    assert "answered 401" in ran.line("secret")
    assert "-> set WORKER_SECRET" in ran.line("secret")
    assert "another-secret-of-the-tests" not in ran.out + ran.err


async def test_a_wrong_secret_is_accepted(world: World) -> None:
    world.proxy.faults.set("disconnected-instances", Fault(body=b'[{"id": "shop"}]'))
    ran = await check(world)
    assert (ran.code, ran.failed()) == (1, ["wrong secret"])
    assert "anybody can read" in ran.line("wrong secret")


async def test_a_proxy_that_answers_html(world: World) -> None:
    world.proxy.faults.set("*", Fault(body=b"<!doctype html><title>Log in</title>", content_type="text/html"))
    ran = await check(world)
    assert (ran.code, ran.failed()) == (1, ["disconnected-instances", "queued-messages"])
    assert "the answer is HTML" in ran.line("disconnected-instances")
    assert "-> EDGE_BASE_URL must be" in ran.line("disconnected-instances")


@pytest.fixture
def read_only(world: World) -> Iterator[Path]:
    world.auth_dir.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "ro,mode=700", "tmpfs", str(world.auth_dir)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("cannot mount a tmpfs here")
    yield world.auth_dir
    subprocess.run(["umount", "--lazy", world.auth_dir], check=True)


async def test_a_read_only_volume(read_only: Path, world: World) -> None:
    ran = await check(world)
    assert (ran.code, ran.failed()) == (1, ["volume"])
    assert f"cannot write to {read_only}: Read-only file system" in ran.line("volume")
    assert "-> mount the volume read-write" in ran.line("volume")


async def test_a_volume_below_a_file(world: World) -> None:
    (world.folder / "data").touch()
    ran = await check(world, AUTH_DIR=str(world.folder / "data" / "auth"))
    assert (ran.code, ran.failed()) == (1, ["volume"])
    assert "Not a directory" in ran.line("volume")


async def test_no_network(world: World) -> None:
    world.simulator.refusing = True
    await world.proxy.down()
    ran = await check(world)
    assert (ran.code, ran.failed()) == (1, ["whatsapp", "proxy"])
    assert f"the proxy 127.0.0.1:{world.simulator.port} (HTTPS_PROXY)" in ran.line("whatsapp")
    assert "Connection refused" in ran.line("proxy")
    assert "not checked" in ran.line("clock")

    ran = await check(world, EDGE_BASE_URL="https://worker-proxy.invalid", HTTPS_PROXY="http://nowhere.invalid:3128")
    assert (ran.code, ran.failed()) == (1, ["whatsapp", "proxy"])
    assert "no address of nowhere.invalid from DNS" in ran.line("whatsapp")


async def test_a_firewall_that_answers_in_the_place_of_whatsapp(world: World) -> None:
    ran = await check(world, SSL_CERT_FILE="")  # so that the simulator's authority is not one to trust
    assert (ran.code, ran.failed()) == (1, ["whatsapp"])
    assert "no TLS with web.whatsapp.com: " in ran.line("whatsapp")
    assert "certificate" in ran.line("whatsapp")


async def test_unusable_settings_are_lines_and_the_rest_is_checked(world: World) -> None:
    ran = await check(world, EDGE_BASE_URL="", PORT="many")
    assert ran.code == 2
    assert ran.out.count("fail  configuration") == 2
    assert "not checked: EDGE_BASE_URL" in ran.line("proxy")
    assert ran.line("volume").startswith("ok")
    assert ran.line("whatsapp").startswith("ok")


async def test_what_keeps_run_from_starting_fails(world: World) -> None:
    """And `run` does end with 1 for each of them."""
    journal = world.auth_dir / "@worker" / "journal.db"
    journal.parent.mkdir(parents=True, mode=0o700)
    journal.write_bytes(b"no database at all. " * 1000)
    ran = await check(world)
    assert (ran.code, ran.failed()) == (1, ["journal"])
    assert "-> restore a backup" in ran.line("journal")
    assert await run_ends(world) == 1

    journal.unlink()
    with socket.create_server(("127.0.0.1", 0)) as busy:
        taken = str(busy.getsockname()[1])
        ran = await check(world, PORT=taken)
        assert (ran.code, ran.failed()) == (1, ["port"])
        assert await run_ends(world, PORT=taken) == 1


async def run_ends(world: World, **settings: str) -> int:
    """The exit code of `wa-worker run` that cannot start."""
    command = [sys.executable, "-m", "wa_worker", "run"]
    with trio.fail_after(PATIENCE):
        done = await trio.run_process(
            command, env=world.environment(**settings), stdin=subprocess.DEVNULL, capture_stderr=True, check=False
        )
    return done.returncode


async def test_run_warns_of_the_same_settings_as_check(world: World) -> None:
    unwise = {"MSG_POL_MS": "500", "EDGE_BASE_URL": "http://proxy.invalid/worker-proxy"}
    ran = await check(world, **unwise)
    assert "warn  configuration" in ran.out
    worker = await world.start_worker(**unwise)
    lines = [await worker.logged("a setting is unwise", reason=reason) for reason in UNWISE]
    assert [line["remedy"] for line in lines] == ["call it MSG_POLL_MS, or take it out", "use https"]
    assert all(reason in ran.out for reason in UNWISE)


UNWISE = [
    "MSG_POL_MS is no setting; MSG_POLL_MS is one",
    "EDGE_BASE_URL is plain http to proxy.invalid: the secret and all messages can be read on the way",
]


async def on_a_terminal(world: World, **settings: str) -> str:
    """What it writes to a terminal."""
    ours, its = pty.openpty()
    try:
        command = [sys.executable, "-m", "wa_worker", "check"]
        environment = world.environment(AUTH_DIR="", EDGE_BASE_URL="", HTTPS_PROXY="http://127.0.0.1:1", **settings)
        await trio.run_process(command, env=environment, stdin=subprocess.DEVNULL, stdout=its, check=False)
        return os.read(ours, 100_000).decode()
    finally:
        os.close(ours)
        os.close(its)


async def test_colours_are_for_a_terminal_that_wants_them(world: World) -> None:
    coloured = await on_a_terminal(world, TERM="xterm")
    assert "\x1b[31mfail\x1b[0m  configuration" in coloured
    for refused in ({"NO_COLOR": "1", "TERM": "xterm"}, {"TERM": "dumb"}):
        plain = await on_a_terminal(world, **refused)
        assert "fail  configuration" in plain
        assert "\x1b" not in plain


async def test_json_beside_a_running_worker(world: World) -> None:
    async with hold_volume(world.auth_dir):
        world.proxy.faults.set("queued-messages", Fault(delay=2.1))
        ran = await check(world, "--json")
    rows: list[dict[str, Any]] = json.loads(ran.out)
    assert [row["check"] for row in rows] == NAMES
    for row in rows:
        assert list(row) == ["check", "result", "found", "remedy"]
        assert row["result"] in ("ok", "warn", "fail")
        assert isinstance(row["found"], str)
        assert row["remedy"] is None or isinstance(row["remedy"], str)
    found = {row["check"]: row for row in rows}
    assert (found["lock"]["result"], found["lock"]["found"]) == ("warn", "a worker is running here")
    assert found["queued-messages"]["result"] == "warn"
    assert "took 2." in found["queued-messages"]["found"]
    assert "waiting for: " in ran.err
    assert "proxy" in ran.err
    assert ran.code == 0


async def test_a_library_that_does_not_load(world: World) -> None:
    package = world.folder / "broken" / "neonize"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise OSError('GLIBC_2.34 not found')")
    ran = await check(world, PYTHONPATH=str(package.parent))
    assert (ran.code, ran.failed()) == (1, ["neonize"])
    assert "GLIBC_2.34 not found" in ran.line("neonize")
    (package / "__init__.py").write_text("import os; os.abort()")
    ran = await check(world, PYTHONPATH=str(package.parent))
    assert (ran.code, ran.failed()) == (1, ["neonize"])
    assert "killed by SIGABRT" in ran.line("neonize")


async def test_writing_is_asked_for(world: World) -> None:
    world.proxy.store.add_instance("shop")
    ran = await check(world, "--instance", "shop")
    assert (ran.code, ran.failed()) == (0, [])
    assert ran.line("update-status").startswith("ok")
    assert ran.line("mark-sent").startswith("ok")
    assert (await check(world, "--instance", "../shop")).code == 2


async def test_a_worker_that_shares_postgresql(world: World, state_url: StateUrl) -> None:
    """The journal is there too, and what is to be known of it comes in its place."""
    ran = await check(world, STATE_URL=state_url.with_options().reveal())
    assert ran.line("journal").endswith("in the database of STATE_URL")
    assert ran.line("state role").endswith(f"{state_url.user} owns the database")
    assert state_url.password.reveal() not in ran.out + ran.err
    found = [line[6:].split("  ")[0] for line in ran.out.splitlines()[:-1] if line[:4].strip()]
    assert found == [*NAMES[:7], *state.NAMES, *NAMES[7:]]
    assert "\nfail" not in ran.out
    assert ran.code == 0
