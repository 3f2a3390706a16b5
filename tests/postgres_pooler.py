"""A real PgBouncer before a state database, for as long as a block lasts. Debian's package: pgbouncer."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs

from wa_worker.postgres.url import StateUrl

PROGRAM = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")


@contextmanager
def open_pooler(url: StateUrl, mode: str, ignored: str = "extra_float_digits", size: int = 20) -> Iterator[StateUrl]:
    """Yields the URL that leads through it. ignored: the settings of a connection that it drops without a word."""
    assert PROGRAM is not None
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    folder = Path(tempfile.mkdtemp(prefix="wa-worker-pooler-"))
    (folder / "users").write_text(f'"{url.user}" "{url.password.reveal()}"\n')
    (folder / "ini").write_text(
        f"""
[databases]
{url.database} = host={url.host} port={url.port} dbname={url.database}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users
pool_mode = {mode}
default_pool_size = {size}
ignore_startup_parameters = {ignored}
"""
    )
    identity: dict[str, Any] = {}
    if os.geteuid() == 0:  # it refuses to be root
        names = {entry.pw_name for entry in pwd.getpwall()}
        user = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
        identity = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        for path in (folder, folder / "users", folder / "ini"):
            os.chown(path, user.pw_uid, user.pw_gid)
    try:
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(
                [PROGRAM, folder / "ini"],
                cwd=folder,
                stdout=log,
                stderr=log,
                **identity,
            )
        with process:
            try:
                _wait(port, process, folder / "log")
                yield attrs.evolve(url, host="127.0.0.1", port=port)
            finally:
                process.kill()
    finally:
        shutil.rmtree(folder)


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PgBouncer does not start:\n{log.read_text()}") from None
            time.sleep(0.05)
        else:
            return
