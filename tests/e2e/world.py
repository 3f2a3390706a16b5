"""The world of an end-to-end test: the simulated WhatsApp, the reference proxy and real worker processes."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import attrs
import httpx
import trio

from tests.e2e.privacy import leaks
from wa_worker.dev.proxy import InstanceRow, ReferenceProxy, Store, open_proxy
from wa_worker.dev.simulator import Simulator, open_simulator
from wa_worker.dev.world.qr import read_png_data_url
from wa_worker.dev.world.simulated_worker import worker_command
from wa_worker.dev.world.worker_process import parsed

T = TypeVar("T")
SECRET = "a-secret-of-the-tests"
PATIENCE = 30.0
"""Seconds a test waits for something that takes well under one: the machine is shared."""


class Worker:
    """A worker process and what it logged."""

    def __init__(self, process: trio.Process) -> None:
        self.process = process
        self.lines: list[dict[str, Any]] = []
        self.raw: list[str] = []
        self._logged = trio.Condition()
        self.port = 0

    async def read_log(self) -> None:
        assert self.process.stderr is not None
        rest = b""
        while chunk := await _some(self.process.stderr):
            *lines, rest = (rest + chunk).split(b"\n")
            async with self._logged:
                for line in lines:
                    self.raw.append(line.decode())
                    self.lines.append(parsed(self.raw[-1]))
                self._logged.notify_all()

    async def logged(self, event: str, **fields: Any) -> dict[str, Any]:
        """The first line of this event with these fields; a field may be a predicate on the value."""

        def fits(line: dict[str, Any]) -> bool:
            return line.get("event") == event and all(
                wanted(line.get(name)) if callable(wanted) else line.get(name) == wanted
                for name, wanted in fields.items()
            )

        with trio.fail_after(PATIENCE):
            async with self._logged:
                while True:
                    for line in self.lines:
                        if fits(line):
                            return line
                    await self._logged.wait()
        raise AssertionError("unreachable")

    async def health(self, path: str = "/health") -> Any:
        async with httpx.AsyncClient() as http:
            response = await http.get(f"http://127.0.0.1:{self.port}{path}")
            return response.json() if response.status_code == 200 else response.status_code

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        self.process.send_signal(number)

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> float:
        """Signals it and waits; how many seconds it took. Its exit code is `process.returncode`."""
        started = trio.current_time()
        self.process.send_signal(number)
        with trio.fail_after(12):
            await self.process.wait()
        return trio.current_time() - started

    def descendants(self) -> list[int]:
        """Pids of the processes below it (Linux)."""
        found: list[int] = []
        todo = [self.process.pid]
        while todo:
            pid = todo.pop()
            for task in Path(f"/proc/{pid}/task").glob("*/children"):
                children = [int(child) for child in task.read_text().split() if alive(int(child))]
                found += children
                todo += children
        return found


@attrs.define
class World:
    simulator: Simulator
    proxy: ReferenceProxy
    folder: Path
    _nursery: trio.Nursery
    _workers: list[Worker] = attrs.Factory(list)
    _codes: set[str] = attrs.Factory(set)

    @property
    def auth_dir(self) -> Path:
        return self.folder / "auth"

    def environment(self, **settings: str) -> dict[str, str]:
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        simulated = self.simulator.environment(self.folder)
        del simulated["NEONIZE_BOT_TAG"]  # the worker sees to it by itself
        return {
            **inherited,
            **simulated,
            "EDGE_BASE_URL": self.proxy.url,
            "WORKER_SECRET": SECRET,
            "AUTH_DIR": str(self.auth_dir),
            "BIND_HOST": "127.0.0.1",
            "PORT": "0",
            "INSTANCE_POLL_MS": "300",
            "MSG_POLL_MS": "200",
            "PYTHONUNBUFFERED": "1",
            **settings,
        }

    async def start_worker(self, **settings: str) -> Worker:
        """A worker process whose health answers. It is killed at the end of the test if it still runs."""
        process = await trio.lowlevel.open_process(
            worker_command(),
            env=self.environment(**settings),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        worker = Worker(process)
        self._workers.append(worker)
        self._nursery.start_soon(worker.read_log)
        worker.port = (await worker.logged("health answers"))["port"]
        return worker

    async def until(self, predicate: Callable[[Store], T | None]) -> T:
        """The first truthy value of `predicate` for the proxy's state."""
        with trio.fail_after(PATIENCE):
            found = await self.proxy.wait_for(predicate)
        assert found
        return found

    async def status(self, instance: str, status: str) -> InstanceRow:
        return await self.until(lambda store: _if(store.instance(instance), status))

    async def qr(self, instance: str, *, other_than: str | None = None) -> str:
        """The code in the QR picture that the proxy shows, read by an independent decoder."""

        def new_code(store: Store) -> str | None:
            row = store.instance(instance)
            return row.qr_code if row and row.qr_code != other_than else None

        code = read_png_data_url(await self.until(new_code))
        self._codes.add(code)
        return code

    async def pair(self, instance: str, phone: str) -> str:
        """Adds the instance at the proxy unless it is there, scans its code, waits for CONNECTED; the device JID."""
        if self.proxy.store.instance(instance) is None:
            self.proxy.store.add_instance(instance)
        code = await self.qr(instance)
        with trio.fail_after(PATIENCE):
            jid = await self.simulator.scan(code, phone)
        await self.status(instance, "CONNECTED")
        return jid

    def private(self) -> dict[str, list[str]]:
        """What no log may show (P8), by kind."""
        store = self.proxy.store
        inbound = store.inbound()
        names = [row.payload["push_name"] for row in inbound if row.payload.get("push_name")]
        return {
            "body": [row.body for row in store.messages()] + [row.body for row in inbound] + names,
            "LID": [row.payload["sender_lid"] for row in inbound if row.payload.get("sender_lid")],
            "QR code": [*self._codes, *(part for code in self._codes for part in code.split("#")[-1].split(",")[:4])],
            "QR picture": ["data:image/png;base64"],
            "secret": [SECRET],
        }

    async def close(self) -> None:
        for worker in self._workers:
            print(f"--- worker {worker.process.pid}", *worker.raw, sep="\n")  # shown by pytest when a test fails
            if worker.process.returncode is None:
                worker.process.kill()
            await worker.process.wait()
            if worker.process.stderr is not None:
                await trio.aclose_forcefully(worker.process.stderr)
        self._nursery.cancel_scope.cancel()
        leaked = leaks((line for worker in self._workers for line in worker.raw), self.private())
        assert not leaked, f"a worker logged what is private: {leaked[:3]}"
        unexpected = [line for worker in self._workers for line in worker.lines if "exception" in line]
        assert not unexpected, f"a worker logged a traceback: {unexpected[0]['exception'][-2000:]}"


def alive(pid: int) -> bool:
    """Whether a process runs: neither gone nor a zombie (neonize leaves one when it is imported)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def eventually(holds: Callable[[], object]) -> None:
    """Waits for what rings no bell, such as a process of somebody else's that ends."""
    with trio.fail_after(PATIENCE):
        while not holds():  # noqa: ASYNC110 - nothing tells
            await trio.sleep(0.05)


def _if(row: InstanceRow | None, status: str) -> InstanceRow | None:
    return row if row is not None and row.status == status else None


async def _some(stream: trio.abc.ReceiveStream) -> bytes:
    try:
        return bytes(await stream.receive_some())
    except trio.ClosedResourceError:
        return b""


@asynccontextmanager
async def open_world(folder: Path) -> AsyncIterator[World]:
    async with open_simulator() as simulator, open_proxy(secret=SECRET) as proxy, trio.open_nursery() as nursery:
        world = World(simulator, proxy, folder, nursery)
        try:
            yield world
        finally:
            with trio.CancelScope(shield=True):
                await world.close()
