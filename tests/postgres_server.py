"""A PostgreSQL server of the tests' own: in a temporary folder, on a socket file in it, gone when the block is left.

With `port` it listens on that port of 127.0.0.1, too, as drivers want it that know no socket files.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import psycopg
from psycopg.conninfo import make_conninfo

START_PATIENCE = 60.0
"""Seconds: initdb and the start take two when the machine is idle."""


def program(name: str) -> Path | None:
    """The newest of that program. Debian keeps the server's out of PATH."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: float(folder.parent.name))
    found = [str(folder / name) for folder in reversed(folders) if (folder / name).exists()]
    path = found[0] if found else shutil.which(name)
    return Path(path) if path else None


@attrs.frozen
class Postgres:
    folder: Path
    password: str = attrs.field(repr=False)
    superuser: str = "supabase_admin"
    port: int | None = None
    """Of 127.0.0.1, if it listens there."""

    def dsn(self, user: str) -> str:
        """Users: supabase_admin (superuser), postgres (who runs migrations), authenticator (the REST side)."""
        return make_conninfo(
            host=str(self.folder), port=self.port or 5432, dbname="postgres", user=user, password=self.password
        )

    def psql(self, script: Path) -> None:
        """Run a file as `postgres`. Raises CalledProcessError, with psql's message in `stderr`, at its first error."""
        psql = program("psql")
        assert psql is not None
        subprocess.run(
            [psql, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", self.dsn("postgres"), "-f", script],
            check=True,
            capture_output=True,
            text=True,
        )

    def schema(self) -> str:
        """All of the schema `public`, grants and policies included."""
        dump = program("pg_dump")
        assert dump is not None
        command = [str(dump), "--schema-only", "--schema=public", "-d", self.dsn("supabase_admin")]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        # \restrict and \unrestrict carry a key that is new each time.
        return "".join(line for line in done.stdout.splitlines(keepends=True) if "restrict " not in line[:12])


@contextmanager
def open_empty_postgres(
    secret: str, superuser: str = "supabase_admin", *, on_port: bool = False, disk: Path | None = None
) -> Iterator[Postgres]:
    """As initdb makes it, with that superuser. on_port: it listens on a free port of 127.0.0.1, too. disk: a folder
    that it is to be in."""
    initdb = program("initdb")
    assert initdb is not None
    folder = Path(tempfile.mkdtemp(prefix="wa-worker-pg-", dir=disk))
    postgres = Postgres(folder, secret, superuser, _free_port() if on_port else None)
    identity = _unprivileged()
    try:
        password = folder / "password"
        password.write_text(postgres.password)
        data = folder / "data"
        if identity:
            for path in (folder, password):
                shutil.chown(path, identity["user"], identity["group"])
        subprocess.run(
            [
                *(initdb, "-D", data, "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"),
                *("-U", superuser, "-A", "scram-sha-256", f"--pwfile={password}"),
            ],
            check=True,
            cwd=folder,
            stdout=subprocess.DEVNULL,
            **identity,
        )
        with running(postgres):
            yield postgres
    finally:
        shutil.rmtree(folder)


@contextmanager
def open_standby(primary: Postgres) -> Iterator[Postgres]:
    """A server that follows another one and can take its place. What that commits is here before anybody is told."""
    copy = program("pg_basebackup")
    assert copy is not None
    folder = Path(tempfile.mkdtemp(prefix="wa-worker-pg-"))
    identity = _unprivileged()
    standby = attrs.evolve(primary, folder=folder, port=_free_port())
    try:
        if identity:
            shutil.chown(folder, identity["user"], identity["group"])
        subprocess.run(
            [copy, "-d", primary.dsn(primary.superuser), "-D", folder / "data", "-R", "--checkpoint=fast", "--no-sync"],
            check=True,
            cwd=folder,
            **identity,
        )
        with running(standby), psycopg.connect(primary.dsn(primary.superuser), autocommit=True) as sql:
            sql.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            sql.execute("SELECT pg_reload_conf()")
            deadline = time.monotonic() + START_PATIENCE
            while not sql.execute("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'").fetchone():
                if time.monotonic() > deadline:
                    raise RuntimeError("the standby does not follow")
                time.sleep(0.1)
            yield standby
    finally:
        shutil.rmtree(folder)


@contextmanager
def running(postgres: Postgres) -> Iterator[None]:
    """Runs the server: again, once it was killed."""
    server, folder, identity = program("postgres"), postgres.folder, _unprivileged()
    assert server is not None
    settings = {
        "listen_addresses": "" if postgres.port is None else "127.0.0.1",
        "port": str(postgres.port or 5432),
        "unix_socket_directories": str(folder),
        "fsync": "off",  # nothing here outlives the machine
        "shared_buffers": "32MB",
        "max_connections": "600",  # docs/scaling.md, Connections: 200 instances that all log in at once
        "track_functions": "pl",  # a test counts the calls of one
    }
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [server, "-D", folder / "data", *options], cwd=folder, stdout=log, stderr=log, **identity
        )
    with process:
        try:
            _wait_until_it_answers(postgres, process, folder / "log")
            yield
        finally:
            process.send_signal(2)  # a fast shutdown: it ends the sessions itself


def kill(postgres: Postgres) -> None:
    """Ends the server at once and all that is connected to it, as `pg_ctl stop -m immediate` does."""
    pid = int((postgres.folder / "data" / "postmaster.pid").read_text().split()[0])
    os.kill(pid, signal.SIGQUIT)


def _wait_until_it_answers(postgres: Postgres, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_PATIENCE
    while True:
        try:
            psycopg.connect(postgres.dsn(postgres.superuser), connect_timeout=5).close()
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL does not start:\n{log.read_text()}") from None
            time.sleep(0.1)
        else:
            return


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _unprivileged() -> dict[str, Any]:
    """Who the server runs as, for subprocess: PostgreSQL refuses to be root."""
    if os.geteuid() != 0:
        return {}
    names = {entry.pw_name for entry in pwd.getpwall()}
    user = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
