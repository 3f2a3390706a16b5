"""What the library asks of the gate, and the answer: CONNECT (RFC 9110, 9.3.6) with Basic credentials. No I/O."""

from __future__ import annotations

import base64
import binascii
from http import HTTPStatus
from urllib.parse import urlsplit

import attrs
import h11

from wa_worker.models import Secret


class BadRequest(Exception):
    """It is no CONNECT that can be understood; `status` is the answer."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


@attrs.frozen
class ConnectRequest:
    """Says to where, and whose it is. early: what came behind it already."""

    host: str
    port: int
    user: str
    password: Secret
    early: bytes


class RequestLine:
    """One client's request: feed it until there is one, then answer."""

    def __init__(self) -> None:
        self._line = h11.Connection(h11.SERVER)
        self._asked: h11.Request | None = None

    def feed(self, data: bytes) -> ConnectRequest | None:
        """Returns the request once it is whole; b"" is the client's end. Raises BadRequest."""
        try:
            self._line.receive_data(data)
            while not isinstance(event := self._line.next_event(), h11.EndOfMessage):
                if event is h11.NEED_DATA:
                    return None
                if isinstance(event, h11.Request):
                    self._asked = event
                    if event.method != b"CONNECT":
                        raise BadRequest(HTTPStatus.METHOD_NOT_ALLOWED)
                elif isinstance(event, h11.ConnectionClosed):
                    raise BadRequest(HTTPStatus.BAD_REQUEST)
        except h11.RemoteProtocolError as error:
            raise BadRequest(HTTPStatus(error.error_status_hint)) from None
        assert self._asked is not None, "it stands before its end"
        return _read(self._asked, self._line.trailing_data[0])

    def granted(self) -> bytes:
        """Returns the answer behind which the tunnel begins."""
        return _bytes(self._line, h11.Response(status_code=200, headers=[], reason=b"Connection established"))

    def refused(self, status: HTTPStatus) -> bytes:
        """Returns the answer to one who gets no tunnel. It says nothing more: the log does."""
        headers = [("Content-Length", "0"), ("Connection", "close")]
        if status is HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            headers.append(("Proxy-Authenticate", 'Basic realm="wa-worker"'))
        response = h11.Response(status_code=status.value, headers=headers, reason=status.phrase.encode())
        return _bytes(self._line, response) + _bytes(self._line, h11.EndOfMessage())


def _bytes(line: h11.Connection, event: h11.Response | h11.EndOfMessage) -> bytes:
    return line.send(event) or b""


def _read(asked: h11.Request, early: bytes) -> ConnectRequest:
    try:
        target = urlsplit(f"//{asked.target.decode('ascii')}")
        host, port = target.hostname, target.port
    except ValueError:
        raise BadRequest(HTTPStatus.BAD_REQUEST) from None
    if not host or not port or target.path or target.username is not None:
        raise BadRequest(HTTPStatus.BAD_REQUEST)
    user, password = _credentials(asked)
    return ConnectRequest(host, port, user, Secret(password), early)


def _credentials(asked: h11.Request) -> tuple[str, str]:
    """Returns the user and the password, both empty if it names none."""
    given = next((value for name, value in asked.headers if name == b"proxy-authorization"), b"")
    scheme, _, encoded = given.partition(b" ")
    if scheme.lower() != b"basic":
        return "", ""
    try:
        user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return "", ""
    return user, password
