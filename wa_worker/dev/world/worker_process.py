"""The worker as a child process: its environment, its log and its end.

Owns the process and what it logs. The process has a session of its own, so that a Ctrl-C in the terminal is not its
second signal: whoever opened it stops it. It is gone when `open_worker` is left.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO

import httpx
import trio

STOP_PATIENCE = 12.0
"""Seconds from SIGTERM to SIGKILL: a worker that is told to stop ends by itself within 10."""

REAL_COMMAND = (sys.executable, "-m", "wa_worker", "run")

LAST_LINES = 12
"""Lines of the log that are shown when the worker dies."""

_PROXIES = {"http_proxy", "https_proxy", "all_proxy", "no_proxy"}

LogLine = dict[str, Any]


class WorkerProcess:
    """Controls a running worker and reads its log.

    `port` is that of its health endpoint, 0 until it answers. `lines` are those of the log, parsed, and `raw` the same
    as they came: all of them, or the last ones if `keep` says how many. `started` is in seconds of trio's clock.
    `patience` is for how many seconds `logged` and `answers` wait.
    """

    patience = 30.0

    def __init__(
        self, process: trio.Process, started: float, on_log: Callable[[LogLine], None], keep: int | None
    ) -> None:
        self.process = process
        self.started = started
        self.port = 0
        self.lines: deque[LogLine] = deque(maxlen=keep)
        self.raw: deque[str] = deque(maxlen=keep)
        self.log_ended = trio.Event()
        self._on_log = on_log
        self._reading = trio.CancelScope(shield=True)
        self._waiting = trio.lowlevel.ParkingLot()

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def last_lines(self) -> list[str]:
        """Returns the end of the log, for people."""
        return [in_words(line) for line in self.lines][-LAST_LINES:]

    # --- log and health

    async def read_log(self, file: BinaryIO | None) -> None:
        """Reads the log, and copies it to the file, until it ends. A cancel takes effect when `end` is through."""
        assert self.process.stderr is not None
        rest = b""
        with self._reading:
            async for chunk in self.process.stderr:
                if file is not None:
                    file.write(chunk)
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    self._take(line.decode(errors="replace"))
        self.log_ended.set()

    async def logged(self, event: str, **fields: Any) -> LogLine:
        """Waits for the first line of this event with these fields; a field may be a predicate on the value.

        Raises trio.TooSlowError.
        """

        def fits(line: LogLine) -> bool:
            return line.get("event") == event and all(
                wanted(line.get(name)) if callable(wanted) else line.get(name) == wanted
                for name, wanted in fields.items()
            )

        await trio.lowlevel.checkpoint()
        with trio.fail_after(self.patience):
            while (found := next((line for line in self.lines if fits(line)), None)) is None:
                await self._waiting.park()
        return found

    async def answers(self) -> None:
        """Waits until the health endpoint answers. Raises trio.TooSlowError."""
        await trio.lowlevel.checkpoint()
        with trio.fail_after(self.patience):
            while not self.port:
                await self._waiting.park()

    async def health(self, path: str = "/health") -> Any:
        """Returns the JSON that this path of the health endpoint answers, or the status if it is not 200."""
        async with httpx.AsyncClient() as http:
            response = await http.get(f"http://127.0.0.1:{self.port}{path}")
            return response.json() if response.status_code == 200 else response.status_code

    def _take(self, line: str) -> None:
        event = parsed(line)
        if event.get("event") == "health answers":
            self.port = event["port"]
        self.raw.append(line)
        self.lines.append(event)
        self._on_log(event)
        self._waiting.unpark_all()

    # --- processes

    def descendants(self) -> list[int]:
        """Returns pids of the processes below it (Linux)."""
        found: list[int] = []
        todo = [self.pid]
        while todo:
            pid = todo.pop()
            for task in Path(f"/proc/{pid}/task").glob("*/children"):
                children = [int(child) for child in task.read_text().split() if alive(int(child))]
                found += children
                todo += children
        return found

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        self.process.send_signal(number)

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> float:
        """Signals it and waits until it has ended; returns how many seconds that took.

        Its exit code is `process.returncode`. Raises trio.TooSlowError after STOP_PATIENCE.
        """
        began = trio.current_time()
        self.process.send_signal(number)
        with trio.fail_after(STOP_PATIENCE):
            await self.process.wait()
        return trio.current_time() - began

    async def end(self, grace: float = STOP_PATIENCE) -> None:
        """Ends it in any case: SIGTERM, and SIGKILL after `grace` seconds. Takes up to 1 s more, cancelled or not."""
        if self.process.returncode is None and grace:
            self.process.terminate()
            with trio.move_on_after(grace, shield=True):
                await self.process.wait()
        if self.process.returncode is None:
            self.process.kill()
        with trio.move_on_after(1, shield=True):
            await self.process.wait()
            await self.log_ended.wait()
        self._reading.cancel()


@asynccontextmanager
async def open_worker(
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    log: Path | None = None,
    on_log: Callable[[LogLine], None] = lambda line: None,
    keep: int | None = None,
    grace: float = STOP_PATIENCE,
) -> AsyncIterator[WorkerProcess]:
    """Starts the worker. On leaving, it is told to stop, and killed after `grace` seconds if it still runs.

    The log is appended to a file, if `log` names one. `on_log` gets each line, as a JSON object or as {"event": line};
    `keep` is how many of them are kept, None for all. Takes up to `grace` + 1 s to leave, cancelled or not.
    """
    with nullcontext() if log is None else log.open("ab", buffering=0) as file:
        started = trio.current_time()
        process = await trio.lowlevel.open_process(
            list(command),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert process.stderr is not None
        worker = WorkerProcess(process, started, on_log, keep)
        async with process.stderr, trio.open_nursery() as nursery:
            nursery.start_soon(worker.read_log, file)
            try:
                yield worker
            finally:
                await worker.end(grace)
                nursery.cancel_scope.cancel()


def environment(
    inherited: Mapping[str, str], *, url: str, secret: str, auth_dir: Path, simulation: Mapping[str, str] | None
) -> dict[str, str]:
    """Returns the worker's environment: the inherited one, this proxy, polls that a person can watch.

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


def alive(pid: int) -> bool:
    """Says whether a process runs: neither gone nor a zombie (neonize leaves one when it is imported)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def parsed(line: str) -> LogLine:
    """Returns a line of the worker's log; {"event": line} if it is no JSON object."""
    try:
        fields = json.loads(line)
    except ValueError:
        fields = None
    return fields if isinstance(fields, dict) else {"event": line}


def in_words(event: Mapping[str, Any]) -> str:
    """Returns a line of the worker's log for people."""
    skipped = {"event", "level", "timestamp", "logger"}
    fields = " ".join(f"{name}={value}" for name, value in event.items() if name not in skipped)
    level = event.get("level", "info")
    return f"{'' if level == 'info' else f'{level}: '}{event.get('event', '')} {fields}".rstrip()
