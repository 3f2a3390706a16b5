"""The way to WhatsApp, as the Go library goes it: DNS, TCP, the proxy of HTTPS_PROXY, TLS, WebSocket. No login."""

from __future__ import annotations

import base64
import os
import ssl
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from email.parser import BytesParser
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

import attrs
import trio

from wa_worker.check.clock import Clock
from wa_worker.check.result import Result, fail, not_checked, ok, quoted, reason, warn

NAME = "whatsapp"

STEP = 10.0
"""Seconds for each of DNS, TCP, the proxy's answer and TLS."""

UPGRADE = 5.0
"""Seconds for the WebSocket."""

HEAD_LIMIT = 16384

# Where Go looks on Linux (crypto/x509/root_linux.go), which need not be where Python does.
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
_FOLDERS = "/etc/ssl/certs:/etc/pki/tls/certs"

_NETWORK = "look at the host's DNS, firewall and way out; where a proxy leads out, set HTTPS_PROXY"
_PROXY = "look at HTTPS_PROXY, and at what that proxy allows"
_NO_CERTIFICATES = "apt install ca-certificates, or set SSL_CERT_FILE"
_TLS = (
    "something on the way answers in its place (a firewall that looks into TLS: exempt web.whatsapp.com), or this "
    f"machine lacks the certificates of public authorities: {_NO_CERTIFICATES}"
)
_EXPIRED = (9, 10)
"""OpenSSL's verify codes: not yet valid, no longer valid."""


class _Broken(Exception):
    def __init__(self, found: str, remedy: str) -> None:
        super().__init__(found)
        self.found = found
        self.remedy = remedy


@attrs.frozen
class _Proxy:
    """Says what HTTPS_PROXY names, which is dialled at `host:port`. Its `url` may hold a password."""

    url: SplitResult = attrs.field(repr=False)
    host: str
    port: int

    @property
    def name(self) -> str:
        return f"the proxy {self.host}:{self.port} (HTTPS_PROXY)"


async def check_route(environ: Mapping[str, str], clock: Clock) -> Result:
    """Has a deadline for each step. Closes the connection without a word of WhatsApp's protocol."""
    try:
        from wa_worker.whatsapp.probe import SERVER, target  # the package loads libmagic
    except ImportError:
        return not_checked(NAME, "libmagic is missing")
    started = trio.current_time()
    host, port = SERVER
    try:
        proxy = _proxy(environ, target, host)
        if proxy is not None and proxy.url.scheme not in ("", "http", "https"):
            async with _dialled(proxy, SERVER):
                found = f"{proxy.name} can be reached; what is behind a {proxy.url.scheme} proxy is not looked at"
                return warn(NAME, found, f"try it by hand: curl -sI https://{host}")
        context = await trio.to_thread.run_sync(_trust, environ)
        async with _dialled(proxy, SERVER) as stream:
            tunnel = stream if proxy is None else await _through(proxy, stream, context, host, port)
            tls = await _tls(tunnel, context, host)
            sent = time.time()
            head = await _upgrade(tls, host)
    except _Broken as broken:
        return fail(NAME, broken.found, broken.remedy)
    status, headers = head
    clock.saw("WhatsApp", headers.get("date"), sent, headers.get("age"))
    via = f" through {proxy.name}" if proxy else ""
    if status == 101:
        return ok(NAME, f"{host}:{port} answers{via} ({trio.current_time() - started:.1f} s)")
    found = f"{host}:{port} can be reached{via}, but opens no WebSocket: "
    found += "no answer" if status is None else f"it answered {status}"
    return warn(NAME, found, "if sessions do not connect: does a proxy or firewall on the way let WebSockets through?")


def _proxy(
    environ: Mapping[str, str], target: Callable[[Mapping[str, str]], tuple[str, int]], host: str
) -> _Proxy | None:
    text = environ.get("HTTPS_PROXY") or environ.get("https_proxy") or ""
    no_proxy = environ.get("NO_PROXY") or environ.get("no_proxy") or ""
    try:
        url = urlsplit(text if "://" in text else f"http://{text}")
        url.port  # noqa: B018 - reading it checks it
        address = target(environ)
    except ValueError:
        raise _Broken("HTTPS_PROXY is not a URL", "write it as http://host:port") from None
    if url.hostname is None or _is_exempt(host, no_proxy):
        return None
    return _Proxy(url, *address)


def _is_exempt(host: str, no_proxy: str) -> bool:
    """As golang.org/x/net/http/httpproxy reads NO_PROXY, for a name."""
    names = (entry.strip().lower().partition(":")[0] for entry in no_proxy.split(","))
    return any(name == "*" or host == name or (name and host.endswith(f".{name.lstrip('*.')}")) for name in names)


def _trust(environ: Mapping[str, str]) -> ssl.SSLContext:
    """Returns the authorities that Go trusts."""
    if sys.platform != "linux":
        return ssl.create_default_context()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    given = environ.get("SSL_CERT_FILE")
    bundle = given or next((path for path in _BUNDLES if Path(path).exists()), None)
    folders = [path for path in (environ.get("SSL_CERT_DIR") or _FOLDERS).split(":") if Path(path).is_dir()]
    try:
        if bundle is not None:
            context.load_verify_locations(cafile=bundle)
        for folder in folders:
            context.load_verify_locations(capath=folder)
    except OSError as error:  # ssl.SSLError is one
        found = f"the certificates of public authorities cannot be read: {bundle}: {quoted(reason(error))}"
        raise _Broken(found, _NO_CERTIFICATES) from None
    if bundle is None and not any(os.scandir(folder) for folder in folders):
        raise _Broken("this machine has no certificates of public authorities", _NO_CERTIFICATES)
    return context


@contextmanager
def _step(what: str, remedy: str) -> Iterator[None]:
    """One step, with its deadline. Raises _Broken."""
    try:
        with trio.fail_after(STEP):
            yield
    except trio.TooSlowError:
        raise _Broken(f"{what}: nothing within {STEP:.0f} s", remedy) from None
    except OSError as error:
        raise _Broken(f"{what}: {quoted(reason(error))}", remedy) from None
    except trio.BrokenResourceError as error:
        cause = error.__cause__
        if isinstance(cause, ssl.SSLCertVerificationError):
            remedy = "set this machine's clock" if cause.verify_code in _EXPIRED else remedy
            raise _Broken(f"{what}: {cause.verify_message}", remedy) from None
        raise _Broken(f"{what}: {quoted(reason(cause)) if cause else 'the connection was cut'}", remedy) from None


@asynccontextmanager
async def _dialled(proxy: _Proxy | None, server: tuple[str, int]) -> AsyncIterator[trio.SocketStream]:
    host, port = (proxy.host, proxy.port) if proxy else server
    remedy = _NETWORK if proxy is None else _PROXY
    with _step(f"no address of {host} from DNS", remedy):
        await trio.socket.getaddrinfo(host, port, type=trio.socket.SOCK_STREAM)
    with _step(f"no TCP connection to {host}:{port}{'' if proxy is None else ' (HTTPS_PROXY)'}", remedy):
        stream = await trio.open_tcp_stream(host, port)
    try:
        yield stream
    finally:
        await trio.aclose_forcefully(stream)


async def _through(
    proxy: _Proxy, stream: trio.abc.Stream, context: ssl.SSLContext, host: str, port: int
) -> trio.abc.Stream:
    """CONNECT, as Go does it."""
    if proxy.url.scheme == "https":
        with _step(f"no TLS with {proxy.name}", _PROXY):
            stream = trio.SSLStream(stream, context, server_hostname=proxy.host)
            await stream.do_handshake()
    request = f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n"
    if proxy.url.username is not None:
        pair = f"{unquote(proxy.url.username)}:{unquote(proxy.url.password or '')}"
        request += f"Proxy-Authorization: Basic {base64.b64encode(pair.encode()).decode()}\r\n"
    with _step(f"no answer from {proxy.name}", _PROXY):
        await stream.send_all(f"{request}\r\n".encode())
        status, _ = await _head(stream)
    if status is None:
        raise _Broken(f"{proxy.name} ended the connection", _PROXY)
    if status != 200:
        raise _Broken(f"{proxy.name} answered {status} when asked for {host}:{port}", _PROXY)
    return stream


async def _tls(stream: trio.abc.Stream, context: ssl.SSLContext, host: str) -> trio.abc.Stream:
    tls = trio.SSLStream(stream, context, server_hostname=host, https_compatible=True)
    with _step(f"no TLS with {host}", _TLS):
        await tls.do_handshake()
    return tls


async def _upgrade(stream: trio.abc.Stream, host: str) -> tuple[int | None, Mapping[str, str]]:
    """Asks for the WebSocket, as whatsmeow does. (None, {}): no answer."""
    request = (
        f"GET /ws/chat HTTP/1.1\r\nHost: {host}\r\nOrigin: https://{host}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n\r\n"
    )
    with trio.move_on_after(UPGRADE):
        try:
            await stream.send_all(request.encode())
            return await _head(stream)
        except trio.BrokenResourceError:
            pass
    return None, {}


async def _head(stream: trio.abc.Stream) -> tuple[int | None, Mapping[str, str]]:
    """Status and headers (lower case) of an HTTP answer; (None, {}) if what comes is none."""
    head = b""
    while b"\r\n\r\n" not in head and len(head) < HEAD_LIMIT:
        data = await stream.receive_some(1)  # what follows a CONNECT's answer is not ours
        if not data:
            return None, {}
        head += data
    first, _, rest = head.partition(b"\r\n")
    words = first.split()
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
        return None, {}
    return int(words[1]), {name.lower(): value for name, value in BytesParser().parsebytes(rest).items()}
