"""Entry point. Before anything is imported that loads Go, its environment must be what we want it to be.

The Go runtime reads the environment the process was started with, so a variable that is set later does not count:
if one is missing, the program starts itself again, in the same process, with it.
"""

from __future__ import annotations

import os
import sys

NATIVE_ENVIRONMENT = {
    "NEONIZE_BOT_TAG": "off",  # else neonize marks every 1:1 message as sent by a bot
}


def with_native_environment() -> None:
    """Replaces this process by itself if Go would not see NATIVE_ENVIRONMENT. A container image sets it at once."""
    missing = {name: value for name, value in NATIVE_ENVIRONMENT.items() if os.environ.get(name) != value}
    if missing:
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **missing})  # noqa: S606


def main() -> None:
    with_native_environment()
    from wa_worker.cli import cli

    cli()


if __name__ == "__main__":
    main()
