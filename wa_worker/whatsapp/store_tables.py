"""Has whatsmeow make its tables in a store that has none, without a session: it does so when it looks for devices.

Run as a child process, `python -m wa_worker.whatsapp.store_tables`: neonize never closes what it opens. The store's DSN
comes over standard input, for it may hold a password.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from wa_worker.errors import SessionError
from wa_worker.models import Secret
from wa_worker.whatsapp.host_environment import host_environment
from wa_worker.whatsapp.sqlite import uri_path

PATIENCE = 60.0
"""Seconds: it takes one or two."""


def make_tables(dsn: Secret, environ: Mapping[str, str]) -> None:
    """Makes them, or upgrades older ones. Blocking. Raises SessionError, also if it cannot be told that it worked."""
    if Path("postgres:").exists():
        raise SessionError("a folder 'postgres:' in the working directory: neonize would make an SQLite file there")
    command = [sys.executable, "-m", __name__]
    environment = host_environment(environ)
    try:
        done = subprocess.run(  # noqa: S603 - of ours
            command, env=environment, input=dsn.reveal().encode(), capture_output=True, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        raise SessionError(f"whatsmeow has not made its tables within {PATIENCE:.0f} s") from None
    if done.returncode:
        raise SessionError("whatsmeow could not make its tables")  # what it printed may hold the password


def file_dsn(file: Path) -> Secret:
    """Returns the DSN of a store in a file, which is made if it is not there."""
    return Secret(f"{uri_path(file)}?_foreign_keys=on&x=")  # neonize appends an option of its own


def _main() -> None:
    import wa_worker.whatsapp.libmagic  # noqa: F401 - before neonize
    from wa_worker.whatsapp.kept_out import kept_out

    with kept_out():
        from neonize.client import ClientFactory

    os._exit(0 if ClientFactory.get_all_devices_from_db(sys.stdin.read()) == [] else 1)


if __name__ == "__main__":
    _main()
