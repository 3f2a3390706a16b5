"""A bare copy of a file from one host to another, to compare with: whoever does nothing else is about this fast.

`curl_copy()` is curl's, into a file and out of it; `httpx_copy()` is that of httpx in a process of its own, which runs
this module. Both give seconds without the start of the process. Nothing is decrypted, and no hash is checked.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import attrs
import httpx
import trio

PIECE = 65536
PATIENCE = 120.0


@attrs.frozen
class Copy:
    """Says what is copied where. `method`, `headers`: of the request that takes the file to `target`."""

    source: str
    target: str
    method: str = "PUT"
    headers: Mapping[str, str] = attrs.field(factory=dict)


async def httpx_copy(copy: Copy, file: Path, environ: Mapping[str, str]) -> float:
    """Returns seconds. `file` is where it lies in between, `environ` names the proxy and the trusted authority."""
    command = [sys.executable, "-m", __name__, json.dumps(attrs.asdict(copy)), str(file)]
    return float(await _output(command, environ))


async def curl_copy(copy: Copy, file: Path, environ: Mapping[str, str]) -> float:
    """Returns seconds, as `httpx_copy`. Raises FileNotFoundError where there is no curl."""
    curl = ["curl", "--silent", "--fail", "--http1.1", "--write-out", "%{time_total}", "--noproxy", "127.0.0.1"]
    curl += ["--cacert", environ["SSL_CERT_FILE"]]
    took = float(await _output([*curl, "--output", str(file), copy.source], environ))
    headers = [part for name, value in copy.headers.items() for part in ("--header", f"{name}: {value}")]
    sending = [*curl, "--output", "/dev/null", "--request", copy.method, *headers, "--header", "Expect:"]
    return took + float(await _output([*sending, "--upload-file", str(file), copy.target], environ))


async def _output(command: list[str], environ: Mapping[str, str]) -> bytes:
    with trio.fail_after(PATIENCE):
        done = await trio.run_process(command, capture_stdout=True, stdin=subprocess.DEVNULL, env=environ)
    return bytes(done.stdout)


def main(copy: Copy, path: Path) -> float:
    """Copies, and returns seconds. Raises httpx.HTTPError."""
    with httpx.Client(timeout=PATIENCE) as http:
        began = time.perf_counter()
        with path.open("wb") as file, http.stream("GET", copy.source) as response:
            response.raise_for_status()
            for piece in response.iter_raw(PIECE):
                file.write(piece)
        with path.open("rb") as file:
            headers = {**copy.headers, "Content-Length": str(path.stat().st_size)}
            answer = http.request(copy.method, copy.target, content=_pieces(file), headers=headers)
            answer.raise_for_status()
        return time.perf_counter() - began


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(PIECE):
        yield piece


if __name__ == "__main__":
    sys.stdout.write(str(main(Copy(**json.loads(sys.argv[1])), Path(sys.argv[2]))))
