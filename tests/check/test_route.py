"""What `wa-worker check` makes of the way to WhatsApp."""

from __future__ import annotations

import base64
import ssl
import time
from email.utils import formatdate
from functools import partial
from pathlib import Path

import attrs
import pytest
import trio
import trustme

from wa_worker.check.clock import Clock
from wa_worker.check.result import Grade
from wa_worker.check.route import _is_exempt, check_route


@pytest.mark.parametrize(
    ("no_proxy", "exempt"),
    [
        ("", False),
        ("*", True),
        ("web.whatsapp.com", True),
        ("example.com, .whatsapp.com:443", True),
        ("whatsapp.com", True),
        ("app.com", False),
    ],
)
def test_no_proxy_is_read_as_go_does(no_proxy: str, exempt: bool) -> None:
    assert _is_exempt("web.whatsapp.com", no_proxy) is exempt


@attrs.define
class WayOut:
    """An https proxy that wants a password, and a web server behind it that knows no WebSockets. One CA for both."""

    environ: dict[str, str]
    asked: list[bytes] = attrs.Factory(list)
    answer: bytes = b"HTTP/1.1 200 OK\r\n\r\n"


@pytest.fixture
async def way_out(tmp_path: Path, nursery: trio.Nursery) -> WayOut:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "web.whatsapp.com").configure_cert(context)

    async def head(stream: trio.abc.Stream) -> bytes:
        got = b""
        while b"\r\n\r\n" not in got and (data := await stream.receive_some(4096)):
            got += data
        return got

    async def serve_connection(tcp: trio.SocketStream) -> None:
        async with tcp:
            outer = trio.SSLStream(tcp, context, server_side=True)
            way.asked.append(await head(outer))
            await outer.send_all(way.answer)
            if b" 200 " in way.answer:
                inner = trio.SSLStream(outer, context, server_side=True)
                way.asked.append(await head(inner))
                date = formatdate(time.time() - 3600, usegmt=True)
                await inner.send_all(f"HTTP/1.1 403 Forbidden\r\nDate: {date}\r\n\r\n".encode())

    listeners = await nursery.start(partial(trio.serve_tcp, serve_connection, 0, host="127.0.0.1"))
    port = listeners[0].socket.getsockname()[1]
    way = WayOut({"HTTPS_PROXY": f"https://ana:s%40fe@localhost:{port}", "SSL_CERT_FILE": str(tmp_path / "ca.pem")})
    return way


async def test_a_proxy_that_lets_no_websocket_through(way_out: WayOut) -> None:
    clock = Clock()
    found = await check_route(way_out.environ, clock)
    connect, upgrade = way_out.asked
    assert connect.startswith(b"CONNECT web.whatsapp.com:443 HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic " + base64.b64encode(b"ana:s@fe") + b"\r\n" in connect
    assert upgrade.startswith(b"GET /ws/chat HTTP/1.1\r\n")
    assert found.grade is Grade.WARN
    assert "it answered 403" in found.found
    assert "s%40fe" not in str(found)
    ahead, _, rest = clock.result().found.partition(" ")
    # it told whole seconds, and some pass on the way: what is sure is a little less
    assert 3590 <= int(ahead) <= 3600
    assert rest == "s ahead of the clock of WhatsApp"


async def test_a_proxy_that_refuses(way_out: WayOut) -> None:
    way_out.answer = b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"
    found = await check_route(way_out.environ, Clock())
    assert found.grade is Grade.FAIL
    assert "answered 407 when asked for web.whatsapp.com:443" in found.found


async def test_proxies_that_go_does_not_know() -> None:
    found = await check_route({"HTTPS_PROXY": "http://proxy:many"}, Clock())
    assert (found.grade, found.found) == (Grade.FAIL, "HTTPS_PROXY is not a URL")
