"""The worker as a child process of `wa-worker dev`: its environment, its log and its end.

Owns the process and the file its log goes to. It has a session of its own, so that a Ctrl-C in the terminal is not
its second signal: whoever opened it stops it. It is gone when `open_worker` is left.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, BinaryIO

import trio

from wa_worker.config import Settings

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

    async def read_log(self, file: BinaryIO) -> None:
        """Copies the log until it ends."""
        assert self.process.stderr is not None
        rest = b""
        async for chunk in self.process.stderr:
            file.write(chunk)
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._take(line.decode(errors="replace"))
        self.log_ended.set()

    def _take(self, line: str) -> None:
        try:
            fields = json.loads(line)
            event = fields if isinstance(fields, dict) else {"event": line}
        except ValueError:
            event = {"event": line}
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
            with trio.CancelScope(shield=True) as reading:
                nursery.start_soon(_within, reading, worker.read_log, file)
            try:
                yield worker
            finally:
                pass
