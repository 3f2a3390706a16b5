"""Whether WhatsApp's server can be reached at all: a TCP connection, before each costly native connect().

Every connect() of the library leaks a handle, so one that cannot succeed is not made. The answer is shared: while
the network is away, two hundred instances ask once every few seconds between them. What it cannot see, the circuit
breaker in bridge.py does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import urlsplit

import trio

SERVER = ("web.whatsapp.com", 443)
"""Where whatsmeow dials (socket/constants.go)."""

PATIENCE = 10.0
"""Seconds for a TCP connection."""

FRESH = 5.0
"""Seconds for which an answer holds."""

LINGER = 0.1
"""Seconds for which a connection must last to count. Proxies and firewalls that have no way on to the server take a
connection and drop it at once; the server itself waits for us to speak."""


def target(environ: Mapping[str, str]) -> tuple[str, int]:
    """Host and port to probe: the proxy that Go would use, else WhatsApp itself. Nonsense counts as no proxy: Go then
    says what is wrong with it."""
    proxy = environ.get("HTTPS_PROXY") or environ.get("https_proxy") or ""
    parts = urlsplit(proxy if "://" in proxy else f"//{proxy}")
    try:
        port = parts.port
    except ValueError:
        return SERVER
    if parts.hostname is None:
        return SERVER
    return parts.hostname, port or {"https": 443, "socks5": 1080}.get(parts.scheme, 80)


class SharedAnswer:
    """Keeps an answer for FRESH seconds; whoever wants it meanwhile waits for the same question."""

    def __init__(self, ask: Callable[[], Awaitable[str | None]]) -> None:
        self._ask = ask
        self._turn = trio.Lock()
        self._answer: str | None = None
        self._valid_until = -1.0

    @property
    def wanted(self) -> bool:
        """Says whether it is being asked for, or holds."""
        return self._turn.locked() or trio.current_time() < self._valid_until

    async def get(self) -> str | None:
        """Returns the answer, None for no problem."""
        async with self._turn:
            if trio.current_time() >= self._valid_until:
                self._answer = await self._ask()
                self._valid_until = trio.current_time() + FRESH
            return self._answer


class ReachabilityProbe:
    """Probes whether WhatsApp can be reached. One per process."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._shared = SharedAnswer(self._ask)

    async def problem(self) -> str | None:
        """Returns None if the server can be reached, else why not."""
        return await self._shared.get()

    async def _ask(self) -> str | None:
        try:
            with trio.fail_after(PATIENCE):
                stream = await trio.open_tcp_stream(self._host, self._port)
        except trio.TooSlowError:
            return f"no TCP connection to {self._host}:{self._port} within {PATIENCE:.0f} s"
        except OSError as error:
            return f"no TCP connection to {self._host}:{self._port}: {error}"
        dropped = False
        try:
            with trio.move_on_after(LINGER):
                dropped = not await stream.receive_some(1)
        except trio.BrokenResourceError:
            dropped = True
        finally:
            await trio.aclose_forcefully(stream)
        return f"{self._host}:{self._port} takes a TCP connection and drops it" if dropped else None
