"""The processes of the far side: the REST stand-in, and the Edge Function under Deno."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO

import attrs

from tests.worker_proxy import tools
from tests.worker_proxy.postgres import Postgres

SERVICE_KEY = "service-key-of-the-tests"
ANON_KEY = "anon-key-of-the-tests"


class DidNotStart(Exception):
    """The text is what the process wrote."""


@attrs.define
class Server:
    """A process that printed where it listens. `lines` is all that it wrote, both streams."""

    process: subprocess.Popen[str]
    url: str
    lines: list[str]


@contextmanager
def open_rest(postgres: Postgres, *, port: int = 0, old_storage: bool = False) -> Iterator[Server]:
    environment = {
        "REST_DSN": postgres.dsn("authenticator"),
        "REST_SERVICE_KEY": SERVICE_KEY,
        "REST_ANON_KEY": ANON_KEY,
        "REST_PORT": str(port),
        **({"REST_OLD_STORAGE": "1"} if old_storage else {}),
    }
    with open_server([sys.executable, "-m", "tests.worker_proxy.rest"], environment, tools.HERE.parents[1]) as rest:
        yield rest


@contextmanager
def open_function(folder: Path, rest_url: str, secret: str, **settings: str) -> Iterator[Server]:
    """The Edge Function, as it is, in a copy beside the npm packages. `url` is what a worker takes as EDGE_BASE_URL.

    Deno stands in for Supabase's Edge Runtime, which is Deno in a container image. It may reach 127.0.0.1 only.
    Raises DidNotStart.
    """
    project(folder)
    environment = {
        "SUPABASE_URL": rest_url,
        "SUPABASE_SERVICE_ROLE_KEY": SERVICE_KEY,
        "WORKER_SECRET": secret,
        "DENO_SERVE_ADDRESS": "tcp:127.0.0.1:0",
        **settings,
    }
    command = [*deno("run"), "--cached-only", "--no-prompt", "--allow-env", "--allow-net=127.0.0.1", "index.ts"]
    with open_server(command, {**deno_environment(folder), **environment}, folder) as function:
        function.url += "/functions/v1/worker-proxy"
        yield function


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """The address of a server that answers every request so."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def project(folder: Path, source: Path = tools.SOURCE) -> Path:
    """A folder that Deno resolves npm packages in, with the function of the `source` folder if it has none yet."""
    if not (folder / "index.ts").exists():
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(source / "index.ts", folder)
        shutil.copy(tools.HERE / "package.json", folder)
        (folder / "node_modules").symlink_to(tools.npm_tools() / "node_modules")
    return folder


def deno(command: str) -> list[str]:
    binary = tools.deno()
    assert binary is not None
    return [str(binary), command, "--no-lock", "--node-modules-dir=manual"]


def deno_environment(folder: Path) -> dict[str, str]:
    return {"DENO_DIR": str(folder / "deno"), "DENO_NO_UPDATE_CHECK": "1", "NO_COLOR": "1"}


@contextmanager
def open_server(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> Iterator[Server]:
    process = subprocess.Popen(
        command,
        env={"PATH": os.environ["PATH"], **environment},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        assert process.stdout is not None
        lines: list[str] = []
        try:
            url = _url(process.stdout, lines)
            reader = threading.Thread(target=lambda: lines.extend(process.stdout or ()), daemon=True)
            reader.start()
            yield Server(process, url, lines)
        finally:
            process.terminate()
            process.wait(10)
        reader.join(10)


def _url(output: IO[str], lines: list[str]) -> str:
    for line in output:
        lines.append(line)
        if found := re.search(r"http://127\.0\.0\.1:\d+", line):
            return found[0]
    raise DidNotStart("".join(lines))
