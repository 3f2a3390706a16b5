"""Whether a proxy lets an instance through to WhatsApp: it is asked for a tunnel to the server, and no more.

Before each costly native connect, as probe.py asks for the others. What the proxy says here is about the proxy: its 403
or 407 is never WhatsApp's word on the number. Whoever wants to know of the same proxy within FRESH shares the answer.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from ssl import SSLContext
from urllib.parse import unquote_to_bytes, urlsplit

import httpcore
import httpx
import trio

from wa_worker.models import Egress, EgressProxy, Unusable
from wa_worker.whatsapp.environment_proxy import environment_proxy
from wa_worker.whatsapp.probe import PATIENCE, SERVER, SharedAnswer
from wa_worker.whatsapp.socks import SocksBackend

_TARGET = f"{SERVER[0]}:{SERVER[1]}"
_TIMEOUTS = {"timeout": httpx.Timeout(PATIENCE).as_dict()}


class EgressProbe:
    """One per process. Trio thread only. `environ`: the worker's, whose HTTPS_PROXY the library sees, too: with socks5,
    it dials that one through the other."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._passes_on = environment_proxy(environ, SERVER[0]) is not None
        self._answers: dict[EgressProxy, SharedAnswer] = {}
        self._context: SSLContext | None = None

    async def problem(self, egress: Egress) -> str | None:
        """Returns None if an instance may try to connect this way, else why not: for people, without credentials."""
        if egress is None:
            return None
        if isinstance(egress, Unusable):
            return f"its proxy cannot be used: {egress.why}"
        if egress.scheme == "socks5" and self._passes_on:
            return "its proxy cannot be used: with HTTPS_PROXY set, what goes out through socks5 goes on to that one"
        self._answers = {proxy: answer for proxy, answer in self._answers.items() if answer.wanted or proxy == egress}
        answer = self._answers.setdefault(egress, SharedAnswer(lambda: self._ask(egress)))
        return await answer.get()

    async def _ask(self, proxy: EgressProxy) -> str | None:
        name = f"its proxy {proxy.place}"
        try:
            with trio.fail_after(PATIENCE):
                if proxy.scheme == "socks5":
                    refusal = await _socks(proxy)
                else:
                    refusal = await _connect(proxy, await self._trust() if proxy.scheme == "https" else None)
        except trio.TooSlowError:
            return f"{name} does not answer within {PATIENCE:.0f} s"
        except (httpcore.NetworkError, httpcore.TimeoutException) as error:
            return f"{name} cannot be reached: {_cause(error)}"
        except httpcore.ProtocolError:
            return f"{name} does not speak {proxy.scheme}, or ends the connection"
        return None if refusal is None else f"{name} {refusal} when asked for {_TARGET}"

    async def _trust(self) -> SSLContext:
        if self._context is None:
            self._context = await trio.to_thread.run_sync(httpx.create_ssl_context)
        return self._context


def credentials(proxy: EgressProxy) -> tuple[bytes, bytes] | None:
    """Returns the user and the password, None if it has none."""
    url = urlsplit(proxy.url.reveal())
    return None if url.username is None else (unquote_to_bytes(url.username), unquote_to_bytes(url.password or ""))


async def _connect(proxy: EgressProxy, context: SSLContext | None) -> str | None:
    """Asks with CONNECT. Returns what the proxy does instead of giving a tunnel."""
    at = (proxy.scheme.encode(), proxy.host.strip("[]").encode(), proxy.port)
    headers = [(b"Host", _TARGET.encode())]
    if pair := credentials(proxy):
        headers.append((b"Proxy-Authorization", b"Basic " + base64.b64encode(b":".join(pair))))
    async with httpcore.AsyncHTTPConnection(
        httpcore.Origin(*at), ssl_context=context, network_backend=httpcore.TrioBackend()
    ) as connection:
        url = httpcore.URL(scheme=at[0], host=at[1], port=at[2], target=_TARGET.encode())
        request = httpcore.Request("CONNECT", url, headers=headers, extensions=_TIMEOUTS)
        status = (await connection.handle_async_request(request)).status
    return None if 200 <= status <= 299 else f"answers {status}"


async def _socks(proxy: EgressProxy) -> str | None:
    """The same through a socks5 proxy."""
    try:
        stream = await SocksBackend(proxy.host.strip("[]"), proxy.port, credentials(proxy)).connect_tcp(*SERVER)
    except httpcore.ProxyError as error:
        return str(error)
    await stream.aclose()
    return None


def _cause(error: BaseException) -> str:
    reason: BaseException | None = error
    while reason is not None and not str(reason):
        reason = reason.__cause__
    return str(reason or type(error).__name__)
