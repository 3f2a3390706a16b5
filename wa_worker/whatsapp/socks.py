"""Connections through a socks5 proxy (RFC 1928, 1929), with socksio, as httpcore's own but for two things.

An answer may come in pieces; and what is no answer is a ProxyError like a refusal, where httpcore (1.0) lets an error
of socksio through that nobody expects. Names are resolved by the proxy.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

import httpcore
from httpcore import SOCKET_OPTION
from socksio import ProtocolError, socks5

_MOST = 262
"""Bytes of an answer."""


class SocksBackend(httpcore.AsyncNetworkBackend):
    """Connects through the proxy at `host`:`port`. auth: user and password, None for none."""

    def __init__(self, host: str, port: int, auth: tuple[bytes, bytes] | None) -> None:
        self._host = host
        self._port = port
        self._auth = auth
        self._network = httpcore.TrioBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - of the interface
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Returns a connection to `host`. Raises httpcore's errors; ProxyError says what the proxy has against it."""
        stream = await self._network.connect_tcp(self._host, self._port, timeout, local_address, socket_options)
        try:
            await self._ask_for(stream, (host, port), timeout)
        except BaseException:
            await stream.aclose()
            raise
        return stream

    async def _ask_for(
        self, stream: httpcore.AsyncNetworkStream, target: tuple[str, int], patience: float | None
    ) -> None:
        line = socks5.SOCKS5Connection()
        methods = socks5.SOCKS5AuthMethod
        method = methods.NO_AUTH_REQUIRED if self._auth is None else methods.USERNAME_PASSWORD
        chosen = await _answer(line, stream, socks5.SOCKS5AuthMethodsRequest([method]), patience)
        if not isinstance(chosen, socks5.SOCKS5AuthReply) or chosen.method != method:
            raise httpcore.ProxyError("asks for another way to log in")
        if self._auth is not None:
            taken = await _answer(line, stream, socks5.SOCKS5UsernamePasswordRequest(*self._auth), patience)
            if not isinstance(taken, socks5.SOCKS5UsernamePasswordReply) or not taken.success:
                raise httpcore.ProxyError("does not take the user and the password")
        wish = socks5.SOCKS5CommandRequest.from_address(socks5.SOCKS5Command.CONNECT, target)
        reply = await _answer(line, stream, wish, patience)
        if not isinstance(reply, socks5.SOCKS5Reply) or reply.reply_code != socks5.SOCKS5ReplyCode.SUCCEEDED:
            code = getattr(getattr(reply, "reply_code", None), "name", "none")
            raise httpcore.ProxyError(f"answers {code.lower().replace('_', ' ')}")


async def _answer(
    line: socks5.SOCKS5Connection, stream: httpcore.AsyncNetworkStream, request: object, patience: float | None
) -> object:
    line.send(request)
    await stream.write(line.data_to_send(), patience)
    answer = b""
    while len(answer) <= _MOST and (more := await stream.read(_MOST, patience)):
        answer += more
        with contextlib.suppress(ProtocolError):  # it may be a part of it
            return line.receive_data(answer)
    raise httpcore.ProxyError("does not speak socks5, or ends the connection")
