"""The worker as an operating system process: what must be so before Go is loaded, and how it runs and ends.

The Go runtime reads the environment the process was started with, so a variable that is set later does not count:
if one is missing, the program starts itself again, in the same process, with it. Nothing heavy is imported here
before `run_worker()` needs it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import signal
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NoReturn

NATIVE_ENVIRONMENT = {
    "NEONIZE_BOT_TAG": "off",  # else neonize marks every 1:1 message as sent by a bot
}


MEMORY_LIMIT = 32
"""MiB to which Go keeps its own memory, besides 1 for each session on the volume: a session takes a sixth of that. So
what an upload leaves (twice the file) is cleared away before the next one takes as much again. It is a soft limit:
above it Go works harder, and goes on."""


SHARED_SESSIONS = 1000
"""Sessions for which a worker without WORKER_CAPACITY gets room that shares its instances: how many come is not known
at the start."""


def prepare_process() -> None:
    """To be called first. Takes signals, and sees to it that Go gets NATIVE_ENVIRONMENT and a limit on its memory: if
    they are not set, this process is replaced by itself with them."""
    for number in (signal.SIGTERM, signal.SIGINT):  # until app.main() takes them there is nothing to put away
        signal.signal(number, lambda *_: os._exit(0))
    allow_descriptors()
    missing = {name: value for name, value in NATIVE_ENVIRONMENT.items() if os.environ.get(name) != value}
    if not os.environ.get("GOMEMLIMIT"):
        missing["GOMEMLIMIT"] = memory_limit(Path(os.environ.get("AUTH_DIR") or "/data/auth"))
    if missing:
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **missing})  # noqa: S606


def memory_limit(auth_dir: Path) -> str:
    """Returns the GOMEMLIMIT for the sessions that are on the volume; with STATE_URL for those that may come."""
    if os.environ.get("STATE_URL") or os.environ.get("STATE_URL_FILE"):
        capacity = os.environ.get("WORKER_CAPACITY") or "0"
        return f"{MEMORY_LIMIT + (int(capacity) if capacity.isdecimal() and int(capacity) else SHARED_SESSIONS)}MiB"
    try:
        sessions = sum(1 for _ in auth_dir.glob("*/session.db"))
    except OSError:
        sessions = 0
    return f"{MEMORY_LIMIT + sessions}MiB"


def allow_descriptors() -> None:
    """Raises the soft limit of open files to the hard one: a session needs five, more each time it is opened again, and
    hosts that start services with a soft limit of 1024 would stop us at two hundred."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def run_worker(pairing_command: Sequence[str]) -> NoReturn:
    """`wa-worker run`, with a choice of what hosts the pairings. Ends the process."""
    import trio

    from wa_worker.app import main
    from wa_worker.config import Settings
    from wa_worker.errors import ConfigError, LeaseLost, StartupError
    from wa_worker.logs import log_crash, set_up_logs
    from wa_worker.whatsapp.native_output import standard_output_logged

    try:
        settings = Settings.from_environ(os.environ)
    except ConfigError as error:
        for fault in error.faults:
            _say(f"error: {fault}")
        sys.exit(2)
    os.umask(0o077)
    set_up_logs(settings.log_level, settings.log_format, settings.default_region)
    code = 0
    try:
        with standard_output_logged():
            trio.run(partial(main, settings, os.environ, pairing_command))
    except* StartupError as group:
        code = 1
        for problem in _leaves(group):
            _say(f"error: {problem}")
    except* LeaseLost:  # the keeper has said so
        code = 1
    except* Exception as group:  # noqa: BLE001 - the last line of a crash is a line of the log like any other
        code = 1
        log_crash(group)
    # not sys.exit: a native thread that was abandoned must not be there when the interpreter takes itself down
    logging.shutdown()
    sys.stdout.flush()
    os._exit(code)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in group.exceptions:
        found.extend(_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    return found
