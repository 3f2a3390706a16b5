"""The worker as a child process of `wa-worker dev` or `bench`: its environment, its log and its end.

Owns the process and the file its log goes to. It has a session of its own, so that a Ctrl-C in the terminal is not
its second signal: whoever opened it stops it. It is gone when `open_worker` is left.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, BinaryIO

import trio

STOP_PATIENCE = 12.0
"""Seconds from SIGTERM to SIGKILL: a worker that is told to stop ends by itself within 10."""

REAL_COMMAND = (sys.executable, "-m", "wa_worker", "run")

_LAST_LINES = 12
"""Lines of the log that are shown when the worker dies."""

_PROXIES = {"http_proxy", "https_proxy", "all_proxy", "no_proxy"}


class WorkerProcess:
    """A running worker. `port` is that of its health endpoint, 0 until it answers."""

    def __init__(self, process: trio.Process, on_log: Callable[[dict[str, Any]], None]) -> None:
        self.process = process
        self.port = 0
        self.last_lines: deque[str] = deque(maxlen=_LAST_LINES)
        self.log_ended = trio.Event()
        self._on_log = on_log
        self._reading = trio.CancelScope(shield=True)

    async def read_log(self, file: BinaryIO) -> None:
        """Copies the log until it ends. A cancel is heeded once `stop` has had its time."""
        assert self.process.stderr is not None
        rest = b""
        with self._reading:
            async for chunk in self.process.stderr:
                file.write(chunk)
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    self._take(line.decode(errors="replace"))
        self.log_ended.set()

    async def stop(self) -> None:
        """SIGTERM, then SIGKILL. Takes up to STOP_PATIENCE + 1 s, cancelled or not."""
        with trio.move_on_after(STOP_PATIENCE, shield=True):
            if self.process.returncode is None:
                self.process.terminate()
            await self.process.wait()
        if self.process.returncode is None:
            self.process.kill()
        with trio.move_on_after(1, shield=True):
            await self.process.wait()
            await self.log_ended.wait()
        self._reading.cancel()

    def _take(self, line: str) -> None:
        event = parsed(line)
        if event.get("event") == "health answers":
            self.port = event["port"]
        self.last_lines.append(in_words(event))
        self._on_log(event)


@asynccontextmanager
async def open_worker(
    command: Sequence[str], environment: Mapping[str, str], log: Path, *, on_log: Callable[[dict[str, Any]], None]
) -> AsyncIterator[WorkerProcess]:
    """Starts the worker and appends its log to a file. On leaving, it is told to stop, and killed if it does not.

    `on_log` gets each line, as a JSON object or as {"event": line}. Takes up to STOP_PATIENCE to leave, cancelled
    or not.
    """
    with log.open("ab", buffering=0) as file:
        process = await trio.lowlevel.open_process(
            list(command),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        worker = WorkerProcess(process, on_log)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(worker.read_log, file)
            try:
                yield worker
            finally:
                await worker.stop()
                nursery.cancel_scope.cancel()


def environment(
    inherited: Mapping[str, str], *, url: str, secret: str, auth_dir: Path, simulation: Mapping[str, str] | None
) -> dict[str, str]:
    """The worker's environment: the inherited one, this proxy, polls that a person can watch.

    `simulation` is what the simulated WhatsApp asks for, None for the real one.
    """
    ours = {
        "EDGE_BASE_URL": url,
        "WORKER_SECRET": secret,
        "AUTH_DIR": str(auth_dir),
        "BIND_HOST": "127.0.0.1",
        "PORT": inherited.get("PORT") or "0",
        "INSTANCE_POLL_MS": "1000",
        "MSG_POLL_MS": "500",
        "LOG_FORMAT": "json",
        "NEONIZE_BOT_TAG": "off",
        "PYTHONUNBUFFERED": "1",
    }
    replaced = {f"{name}_FILE" for name in ours}
    if simulation is not None:
        ours |= simulation
        replaced |= {name for name in inherited if name.lower() in _PROXIES}
    else:
        # The proxy is on this machine, also for those who reach WhatsApp through another.
        no_proxy = ",".join(filter(None, (inherited.get("no_proxy") or inherited.get("NO_PROXY"), "127.0.0.1")))
        ours |= {"NO_PROXY": no_proxy, "no_proxy": no_proxy}
    return {**{name: value for name, value in inherited.items() if name not in replaced}, **ours}


def parsed(line: str) -> dict[str, Any]:
    """A line of the worker's log; {"event": line} if it is no JSON object."""
    try:
        fields = json.loads(line)
    except ValueError:
        fields = None
    return fields if isinstance(fields, dict) else {"event": line}


def in_words(event: Mapping[str, Any]) -> str:
    """A line of the worker's log for people."""
    skipped = {"event", "level", "timestamp", "logger"}
    fields = " ".join(f"{name}={value}" for name, value in event.items() if name not in skipped)
    level = event.get("level", "info")
    return f"{'' if level == 'info' else f'{level}: '}{event.get('event', '')} {fields}".rstrip()
