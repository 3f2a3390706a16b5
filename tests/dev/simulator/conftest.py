"""A simulator, and client processes that talk to it."""

import json
import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio

from wa_worker.dev.simulator import Simulator, open_simulator
from wa_worker.dev.simulator.trust import command

Event = dict[str, Any]


class Client:
    """A client process; `events` is what it has said so far."""

    def __init__(self, process: trio.Process) -> None:
        self.process = process
        self.events: list[Event] = []
        self._news = trio.lowlevel.ParkingLot()

    async def read(self) -> None:
        assert self.process.stdout is not None
        buffer = b""
        async for chunk in self.process.stdout:
            *lines, buffer = (buffer + chunk).split(b"\n")
            self.events += (json.loads(line) for line in lines)
            self._news.unpark_all()

    async def tell(self, session: int = 0, **command: Any) -> None:
        assert self.process.stdin is not None
        await self.process.stdin.send_all(json.dumps({"session": session, **command}).encode() + b"\n")

    def said(self, event: str, session: int = 0, **fields: Any) -> list[Event]:
        wanted = {"event": event, "session": session, **fields}
        return [each for each in self.events if wanted.items() <= each.items()]

    async def wait(self, event: str, session: int = 0, count: int = 1, **fields: Any) -> Event:
        """Wait for the count-th such event; 15 s at most, then say what came instead."""
        with trio.move_on_after(15):
            while len(self.said(event, session, **fields)) < count:
                await self._news.park()
            return self.said(event, session, **fields)[count - 1]
        raise AssertionError(f"no {event} {fields}, but {self.events}")

    async def kill(self) -> None:
        self.process.kill()
        await self.process.wait()


class Clients:
    """Starts client processes in `folder`; they live as long as `nursery`."""

    def __init__(self, simulator: Simulator, folder: Path, nursery: trio.Nursery) -> None:
        self._simulator = simulator
        self._folder = folder
        self._nursery = nursery

    async def start(self, *stores: str) -> Client:
        client: Client = await self._nursery.start(self._run, stores or ("store",))
        return client

    async def pair(self, *phones: str) -> tuple[Client, list[str]]:
        """A new client with a connected session for each of these phones, and their device JIDs."""
        client = await self.start(*phones)
        jids = []
        for index, phone in enumerate(phones):
            jids.append(await self._simulator.scan((await client.wait("qr", index))["code"], phone))
        for index in range(len(phones)):
            await client.wait("connected", index)
        return client, jids

    async def _run(self, stores: tuple[str, ...], *, task_status: trio.TaskStatus[Client]) -> None:
        environment = {**os.environ, **self._simulator.environment(self._folder)}
        run = command("tests.dev.simulator.client", *(str(self._folder / f"{store}.db") for store in stores))
        with (self._folder / "client.log").open("ab") as log:
            process = await trio.lowlevel.open_process(
                run, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
            )
        client = Client(process)
        try:
            task_status.started(client)
            await client.read()
            await trio.sleep_forever()
        finally:
            process.kill()
            with trio.CancelScope(shield=True):  # it was killed: this does not take long
                await process.wait()
                for pipe in (process.stdin, process.stdout):
                    assert pipe is not None
                    await pipe.aclose()


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    with trio.fail_after(20):
        async with open_simulator() as simulator:
            yield simulator
        assert simulator.faults == []
        assert simulator.connections == 0


@pytest.fixture
async def clients(simulator: Simulator, tmp_path: Path) -> AsyncIterator[Clients]:
    async with trio.open_nursery() as nursery:
        yield Clients(simulator, tmp_path, nursery)
        nursery.cancel_scope.cancel()
