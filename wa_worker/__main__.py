"""Entry point. Before anything is imported that loads Go, its environment must be what we want it to be.

The Go runtime reads the environment the process was started with, so a variable that is set later does not count:
if one is missing, the program starts itself again, in the same process, with it.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys

NATIVE_ENVIRONMENT = {
    "NEONIZE_BOT_TAG": "off",  # else neonize marks every 1:1 message as sent by a bot
}


def prepare_process() -> None:
    """To be called first. Takes signals, and sees to it that Go gets NATIVE_ENVIRONMENT: if it is not set, this process
    is replaced by itself with it (a container image sets it at once)."""
    for number in (signal.SIGTERM, signal.SIGINT):  # until app.main() takes them there is nothing to put away
        signal.signal(number, lambda *_: os._exit(0))
    allow_descriptors()
    missing = {name: value for name, value in NATIVE_ENVIRONMENT.items() if os.environ.get(name) != value}
    if missing:
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **missing})  # noqa: S606


def allow_descriptors() -> None:
    """Raises the soft limit of open files to the hard one: a session needs five, more each time it is opened again, and
    hosts that start services with a soft limit of 1024 would stop us at two hundred."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main() -> None:
    prepare_process()
    from wa_worker.cli import cli

    cli()


if __name__ == "__main__":
    main()
