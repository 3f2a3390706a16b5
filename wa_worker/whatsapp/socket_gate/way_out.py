"""The connection from the gate to the outside: the same way that the library would take without the gate.

That is the instance's own proxy (http, https or socks5), else the one that the worker's environment names, else none. A
proxy that cannot be used is no leave to go out without. Each failure is a NoWay; its text is for people and has no
credentials.
"""

from __future__ import annotations

import base64
import contextlib
import socket
from collections.abc import Mapping
from functools import partial
from ssl import SSLContext

import attrs
import h11
import httpcore
import httpx
import trio

from wa_worker.edge.egress_url import egress_from
from wa_worker.models import Egress, EgressProxy, Unusable
from wa_worker.whatsapp.egress_probe import credentials
from wa_worker.whatsapp.environment_proxy import environment_proxy
from wa_worker.whatsapp.socket_gate.opening import Opening
from wa_worker.whatsapp.socket_gate.stream import GuardedStream, taken_from
from wa_worker.whatsapp.socks import SocksBackend

_HEAD_PIECE = 4096

NAMES = 8
"""Threads that look names up. When DNS is away every session asks, and the journal's threads are not to wait for it."""

ATTEMPT = 3.0
"""Seconds for a TCP connection to an address that is not the last one of its name."""


class NoWay(Exception):
    """There is no connection to be had; the text says why."""


@attrs.frozen
class WayOut:
    """A connection. early: what came on it before anything was sent."""

    stream: trio.abc.Stream
    early: bytes = b""


class WaysOut:
    """Connects. One per process; Trio thread only. `environ`: the worker's."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._context: SSLContext | None = None
        self._names = trio.CapacityLimiter(NAMES)

    async def connect(self, opening: Opening, host: str, port: int) -> WayOut:
        """Raises NoWay, or Barred. Cancelled: leaves nothing open."""
        egress = opening.egress or self._shared(host)
        if isinstance(egress, Unusable):
            raise NoWay(f"the proxy that HTTPS_PROXY names cannot be used: {egress.why}")
        if egress is None:
            return WayOut(await self._dial(opening, host, port))
        name = f"the proxy {egress.place}"
        try:
            if egress.scheme == "socks5":
                return WayOut(await self._socks(opening, egress, host, port))
            return await self._through(opening, egress, _target(host, port))
        except httpcore.ProxyError as error:
            raise NoWay(f"{name} {error}") from None
        except (httpcore.NetworkError, httpcore.TimeoutException, NoWay) as error:
            raise NoWay(f"{name}: {error or type(error).__name__}") from error
        except (h11.RemoteProtocolError, trio.BrokenResourceError):
            raise NoWay(f"{name} does not speak {egress.scheme}, or ends the connection") from None

    def _shared(self, host: str) -> Egress:
        url = environment_proxy(self._environ, host)
        return None if url is None else egress_from(url)

    async def _through(self, opening: Opening, proxy: EgressProxy, target: str) -> WayOut:
        stream: trio.abc.Stream = await self._dial(opening, proxy.host.strip("[]"), proxy.port)
        try:
            if proxy.scheme == "https":
                stream = trio.SSLStream(
                    stream, await self._trust(), server_hostname=proxy.host.strip("[]"), https_compatible=True
                )
            return WayOut(stream, await _ask(stream, target, credentials(proxy)))
        except BaseException:
            await trio.aclose_forcefully(stream)
            raise

    async def _socks(self, opening: Opening, proxy: EgressProxy, host: str, port: int) -> GuardedStream:
        address = (await self._addresses(proxy.host.strip("[]"), proxy.port))[0]
        stream = await SocksBackend(address, proxy.port, credentials(proxy)).connect_tcp(host, port)
        return GuardedStream(taken_from(trio.SocketStream(stream.get_extra_info("socket"))), opening)

    async def _dial(self, opening: Opening, host: str, port: int) -> GuardedStream:
        *others, last = await self._addresses(host, port)
        for address in others:
            with trio.move_on_after(ATTEMPT), contextlib.suppress(OSError):
                return GuardedStream(taken_from(await trio.open_tcp_stream(address, port)), opening)
        try:
            return GuardedStream(taken_from(await trio.open_tcp_stream(last, port)), opening)
        except OSError as error:
            raise NoWay(f"no TCP connection to {_target(host, port)}: {error}") from error

    async def _addresses(self, host: str, port: int) -> list[str]:
        """Returns the addresses of a name, the best first."""
        look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        try:
            found = await trio.to_thread.run_sync(look_up, limiter=self._names, abandon_on_cancel=True)
        except (OSError, UnicodeError) as error:  # the latter of what can be no name
            raise NoWay(f"no address of {host}: {error}") from error
        return [str(entry[4][0]) for entry in found]

    async def _trust(self) -> SSLContext:
        if self._context is None:
            self._context = await trio.to_thread.run_sync(httpx.create_ssl_context)
        return self._context


def _target(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def _ask(stream: trio.abc.Stream, target: str, pair: tuple[bytes, bytes] | None) -> bytes:
    """Asks a proxy for a tunnel with CONNECT. Returns what came behind its answer."""
    headers = [(b"Host", target.encode())]
    if pair is not None:
        headers.append((b"Proxy-Authorization", b"Basic " + base64.b64encode(b":".join(pair))))
    line = h11.Connection(h11.CLIENT)
    request = line.send(h11.Request(method="CONNECT", target=target, headers=headers)) or b""
    await stream.send_all(request + (line.send(h11.EndOfMessage()) or b""))
    while not isinstance(event := line.next_event(), h11.Response):
        if event is h11.NEED_DATA:
            line.receive_data(bytes(await stream.receive_some(_HEAD_PIECE)))
        elif not isinstance(event, h11.InformationalResponse):
            raise NoWay("ends the connection")
    if not 200 <= event.status_code <= 299:
        raise NoWay(f"answers {event.status_code} when asked for {target}")
    return bytes(line.trailing_data[0])
