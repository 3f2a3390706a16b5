"""The port of the health endpoint: whether the worker can have it, or has it."""

from __future__ import annotations

import errno

import httpx
import trio

from wa_worker.check.result import Result, fail, ok
from wa_worker.errors import StartupError
from wa_worker.monitoring.health import listen

NAME = "port"

ANSWERS_WITHIN = 3.0
"""Seconds for whoever has the port to say that it is a worker: its health answers at once, or never."""

_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - an address to connect to for each to listen on


async def check_port(host: str, port: int, *, worker_is_running: bool) -> Result:
    """Takes the port and lets it go at once. Cancelled: it is free again."""
    try:
        await trio.to_thread.run_sync(lambda: listen(host, port).close(), abandon_on_cancel=True)
    except StartupError as error:
        found, _, remedy = str(error).partition(". ")
        if not isinstance(error.__cause__, OSError) or error.__cause__.errno != errno.EADDRINUSE:
            return fail(NAME, found, "set BIND_HOST to an address of this machine, and PORT to one that it may use")
        if not await _is_a_worker(_ANY.get(host, host), port):
            return fail(NAME, found, remedy.rstrip(".").replace("Set", "set", 1))
        if worker_is_running:
            return ok(NAME, f"{port} is the running worker's")
        return fail(NAME, f"{found}: a worker with another AUTH_DIR has it", "set PORT to a free port")
    return ok(NAME, f"{port} on {host} is free" if port else "any free one is taken")


async def _is_a_worker(host: str, port: int) -> bool:
    address = f"[{host}]" if ":" in host else host
    try:
        async with httpx.AsyncClient(timeout=ANSWERS_WITHIN, trust_env=False) as http:
            said = (await http.get(f"http://{address}:{port}/health")).json()
        return set(said["instances"]) >= {"connected", "connecting", "reconnecting"}
    except (httpx.HTTPError, ValueError, TypeError, KeyError):
        return False
