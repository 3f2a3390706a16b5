"""`wa-worker dev` as a person runs it: the real command, what it prints, and that nothing is left of it."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import trio

from wa_worker.dev.world.qr import read_png_data_url
from wa_worker.edge.qr import png_data_url

PATIENCE = 30.0
"""Seconds for what takes about two: the machine is shared."""

STEPS = [
    "simulated WhatsApp: no phone, no internet",
    "proxy     http://127.0.0.1:",
    "worker    started, health at http://127.0.0.1:",
    "status    CONNECTING",
    "qr        code 1 was posted",
    "phone     +5511999990001 scans the code",
    "status    CONNECTED",
    "out       #1 queued to +55 11 98888-0002: Hello from wa-worker",
    "in        /inbound from +5511988880002 (Ana): You said: Hello from wa-worker",
    "done      paired, message out, answer in",
    "worker    stopping",
    "status    DISCONNECTED",
    "worker    stopped",
]


class Dev:
    """A running command and what it has printed, errors included."""

    def __init__(self, process: trio.Process) -> None:
        self.process = process
        self.output = ""

    async def until(self, text: str) -> str:
        """Reads until this text has been printed; the line that ends with or holds it."""
        with trio.fail_after(PATIENCE):
            while text not in self.output or "\n" not in self.output[self.output.index(text) :]:
                assert await self._read(), f"ended without {text!r}:\n{self.output}"
        return next(line for line in self.output.splitlines() if text in line)

    async def end(self) -> int:
        with trio.fail_after(PATIENCE):
            while await self._read():
                pass
            return await self.process.wait()

    async def _read(self) -> bool:
        assert self.process.stdout is not None
        chunk = await self.process.stdout.receive_some()
        self.output += chunk.decode()
        return bool(chunk)

    def descendants(self) -> list[int]:
        found: list[int] = []
        todo = [self.process.pid]
        while todo:
            for task in Path(f"/proc/{todo.pop()}/task").glob("*/children"):
                children = [int(child) for child in task.read_text().split()]
                found += children
                todo += children
        return found

    def worker(self) -> int:
        commands = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in self.descendants()}
        (pid,) = (pid for pid, command in commands.items() if b"simulated_worker" in command)
        return pid


@asynccontextmanager
async def open_dev(*options: str, **variables: str) -> AsyncIterator[Dev]:
    process = await trio.lowlevel.open_process(
        [sys.executable, "-m", "wa_worker", "dev", *options],
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    dev = Dev(process)
    try:
        yield dev
    finally:
        print(dev.output)
        if process.returncode is None:
            process.terminate()
        with trio.move_on_after(15, shield=True):
            await process.wait()
        if process.stdout is not None:
            await trio.aclose_forcefully(process.stdout)


def names(folder: Path) -> list[str]:
    return [entry.name for entry in folder.iterdir()]


def read_png(file: Path) -> str:
    return read_png_data_url(f"data:image/png;base64,{b64encode(file.read_bytes()).decode()}")


def runs(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def gone(pids: list[int]) -> None:
    with trio.fail_after(5):
        while any(map(runs, pids)):  # noqa: ASYNC110 - other processes ring no event
            await trio.sleep(0.05)


async def test_once_shows_the_whole_loop(tmp_path: Path) -> None:
    async with open_dev("--simulate", "--once", TMPDIR=str(tmp_path)) as dev:
        assert await dev.end() == 0
    at = 0
    for step in STEPS:
        assert step in dev.output[at:], step
        at = dev.output.index(step, at)
    assert "#1 sent, WhatsApp id " in dev.output
    assert "contact   +5511988880002 decrypts: Hello from wa-worker" in dev.output
    assert "\x1b" not in dev.output  # a pipe gets plain text
    assert "warning" not in dev.output
    assert "console" not in dev.output  # nobody would look at it
    assert names(tmp_path) == []  # the temporary folder is gone


async def test_the_curl_line_gets_an_answer_and_ctrl_c_ends_it(tmp_path: Path) -> None:
    async with open_dev("--simulate", "--folder", str(tmp_path), WORKER_SECRET="it's-a-secret") as dev:
        curl = shlex.split(await dev.until("curl "))
        url = next(word for word in curl if word.startswith("http"))
        console = "http" + (await dev.until("console   http://127.0.0.1:")).partition("http")[2]
        name, value = curl[curl.index("-H") + 1].split(": ")
        assert (name, value) == ("Authorization", "Bearer it's-a-secret")
        body = json.loads(curl[curl.index("-d") + 1])
        async with httpx.AsyncClient(headers={name: value}) as http:
            assert "You said: Hello from wa-worker" in (await http.get(console)).text
            assert (await http.post(url, json=body)).status_code == 201
            await dev.until(f"You said: {body['body']}")
            # somebody else, and a text that a terminal would obey
            await http.post(url, json={**body, "to": "+55 11 97777-0001", "body": "a\x1b[2Jb\nc"})
            await dev.until("in        /inbound from +5511977770001 (Contact 5511977770001): You said: a\\x1b[2Jb / c")
            await http.post(url, json={**body, "to": "nobody"})
            await dev.until("out       #4 failed: ")

        below = dev.descendants()
        assert below
        started = trio.current_time()
        dev.process.send_signal(signal.SIGINT)
        assert await dev.end() == 0
        assert trio.current_time() - started < 10
        await gone(below)
    assert "Traceback" not in dev.output
    log = (tmp_path / "simulated" / "worker.log").read_text()
    assert "health answers" in log
    assert "How are you?" not in log


async def test_with_the_real_whatsapp_it_tells_a_person_what_to_do(tmp_path: Path) -> None:
    """The worker finds no network here; what it would post is posted by the test, while it stands still: it would say
    again and again that there is no code."""
    variables = {"WORKER_SECRET": "secret", "HTTPS_PROXY": "http://127.0.0.1:1", "TMPDIR": str(tmp_path)}
    async with open_dev(**variables) as dev:
        url = "http" + (await dev.until("proxy     http")).partition("http")[2].partition(",")[0]
        await dev.until("...       waiting for a QR code from WhatsApp (2 s)")
        await dev.until("network   no TCP connection to 127.0.0.1:1: ")
        standing = dev.descendants()
        for pid in standing:
            os.kill(pid, signal.SIGSTOP)

        async with httpx.AsyncClient(base_url=url, headers={"Authorization": "Bearer secret"}) as http:

            async def post(status: str, code: str | None, **pairing: object) -> None:
                qr_code = png_data_url(code) if code else None
                body = {"instanceId": "demo", "status": status, "qr_code": qr_code, **pairing}
                assert (await http.post("/update-status", json=body)).status_code == 200

            for number, code in ((1, "2@one"), (2, "2@two")):
                await post("CONNECTING", code)
                line = await dev.until(f"qr        code {number} is in ")
                assert line.endswith("; on your phone: WhatsApp > Linked devices > Link a device")
                file = Path(line.partition(" is in ")[2].partition(";")[0])
                assert read_png(file) == code
            await post("CONNECTING", "2@two", pairing_code="ABCD-1234", pairing_expires_at=1_800_000_000)
            assert "Link with phone number instead" in await dev.until("code      or type ABCD-1234 on the phone")
            await post("CONNECTED", None)
        assert '"to": "PHONE-NUMBER"' in await dev.until("curl ")  # nobody gets a message by mistake
        assert "code 3 was" not in dev.output, "a pairing code is no new QR code"
        assert file.name not in names(file.parent)
        for pid in standing:
            os.kill(pid, signal.SIGCONT)
        dev.process.send_signal(signal.SIGINT)
        assert await dev.end() == 0
    assert "To keep a session: wa-worker dev --folder DIR" in dev.output
    assert names(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_at_the_start_ends_it(number: signal.Signals) -> None:
    async with open_dev("--simulate") as dev:
        await dev.until("worker    starting")
        below = dev.descendants()
        dev.process.send_signal(number)
        assert await dev.end() == 0
        await gone(below)
    assert "Traceback" not in dev.output


async def test_a_second_ctrl_c_does_not_wait_for_a_worker_that_hangs() -> None:
    async with open_dev("--simulate") as dev:
        await dev.until("worker    started")
        below = dev.descendants()
        os.kill(dev.worker(), signal.SIGSTOP)
        dev.process.send_signal(signal.SIGINT)
        await dev.until("worker    stopping")
        dev.process.send_signal(signal.SIGINT)
        with trio.fail_after(5):
            assert await dev.end() == 0
        await gone(below)


async def test_a_worker_that_dies_is_told_with_its_last_lines() -> None:
    async with open_dev("--simulate") as dev:
        await dev.until("done ")
        os.kill(dev.worker(), signal.SIGKILL)
        assert await dev.end() == 1
    assert "error     the worker ended by itself (killed by SIGKILL); its last lines:" in dev.output
    assert "log       health answers port=" in dev.output
    assert "Traceback" not in dev.output


async def test_settings_that_the_worker_refuses_are_shown() -> None:
    async with open_dev("--simulate", "--once", LOG_LEVEL="shout") as dev:
        assert await dev.end() == 1
    assert "log       error: LOG_LEVEL is none of: debug, info, warning, error." in dev.output


async def test_it_ends_when_nobody_reads_any_more() -> None:
    async with open_dev("--simulate") as dev:
        await dev.until("status    CONNECTING")
        below = dev.descendants()
        assert dev.process.stdout is not None
        await dev.process.stdout.aclose()
        with trio.fail_after(PATIENCE):
            assert await dev.process.wait() == 0
        await gone(below)


@pytest.mark.parametrize("option", ["--proxy-port", "--console-port"])
async def test_a_taken_port_is_one_clear_line(option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with open_dev("--simulate", option, str(port)) as dev:
            assert await dev.end() == 1
    assert dev.output == f"error: cannot listen on port {port}: Address already in use. Give another {option}.\n"


async def test_an_address_that_cannot_be_had_is_one_clear_line() -> None:
    async with open_dev("--simulate", "--console-host", "192.0.2.1") as dev:  # RFC 5737: nobody has it
        assert await dev.end() == 1
    assert dev.output == (
        "error: cannot listen on 192.0.2.1 port 8765: Cannot assign requested address. "
        "Give another --console-host or --console-port.\n"
    )


@pytest.mark.parametrize("command", [["dev", "--simulate"], ["bench", "--quick"]], ids=lambda command: command[0])
def test_without_the_extra_it_says_what_to_install(command: list[str]) -> None:
    code = f"import sys; sys.modules['trustme'] = None; from wa_worker.cli.commands import cli; cli({command})"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE)
    assert run.returncode == 1
    assert run.stderr == (
        "error: trustme is not installed. Do: pip install 'wa-worker[dev]' "
        "(in a clone of the repository: pip install '.[dev]')\n"
    )


def test_once_is_for_the_simulation() -> None:
    command = [sys.executable, "-m", "wa_worker", "dev", "--once"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert run.returncode == 2
    assert "--once needs --simulate" in run.stderr
