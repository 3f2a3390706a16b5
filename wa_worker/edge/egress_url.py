"""The proxy of a listed instance: a URL as the back end wrote it, as a model. Pure.

Strict, for the library has a reader of its own: what it gets is put together from parts that were looked at, so that
both read the same. What is wrong is said without a word of the URL, which may hold a password.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv6Address
from urllib.parse import SplitResult, quote, unquote, urlsplit

from wa_worker.models import EgressProxy, Secret, Unusable

LONGEST = 2048
"""Characters of a URL that are read."""

PORTS = {"http": 80, "https": 443, "socks5": 1080}
"""The schemes, and the ports that stand for them, as Go's net/http has them."""

_SAME = {"socks5h": "socks5"}
"""Names at a socks5 proxy are always resolved by it."""

_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}", re.ASCII)

_SOCKS_MOST = 255
"""Bytes of a user and of a password at a socks5 proxy (RFC 1929)."""


def egress_from(value: object) -> EgressProxy | Unusable | None:
    """Returns the proxy that an instance is listed with, Unusable for what is none. None: null, by no proxy.

    An empty text is no "none": who wrote it may have lost the value on the way.
    """
    if value is None:
        return None
    if not isinstance(value, str):
        return Unusable("it is no text")
    if len(value) > LONGEST:
        return Unusable(f"it has more than {LONGEST} characters")
    if not value.isascii() or not value.isprintable() or " " in value:
        return Unusable("it holds a character that no URL has: write it as %XX")
    try:
        url = urlsplit(value)
        port = url.port
    except ValueError:
        return Unusable("it is no URL, or its port is none")
    scheme = _SAME.get(url.scheme, url.scheme)
    if scheme not in PORTS:
        return Unusable("it does not begin with http://, https:// or socks5://")
    if url.path not in ("", "/") or url.query or url.fragment or "?" in value or "#" in value:
        return Unusable("something follows the host and the port, or a password holds a / ? or #: write it as %XX")
    host = _host(url)
    if host is None:
        return Unusable("it names no host")
    if port == 0:
        return Unusable("its port is none")
    return _with_credentials(url, scheme, host, port or PORTS[scheme])


def _host(url: SplitResult) -> str | None:
    name = url.hostname or ""
    if "[" not in url.netloc:
        return name if _HOST.fullmatch(name) else None
    try:
        return f"[{IPv6Address(name).compressed}]"
    except AddressValueError:
        return None


def _with_credentials(url: SplitResult, scheme: str, host: str, port: int) -> EgressProxy | Unusable:
    if "@" not in url.netloc:
        return EgressProxy(scheme, host, port, Secret(f"{scheme}://{host}:{port}"))
    if re.search(r"%(?![0-9A-Fa-f]{2})", url.netloc):
        return Unusable("a % in the user or the password is not written as %25")
    user, password = (unquote(part or "", "latin-1") for part in (url.username, url.password))
    if not user:
        return Unusable("it has an @, and no user before it")
    if scheme == "socks5" and max(len(user), len(password)) > _SOCKS_MOST:
        return Unusable(f"its user or its password has more than {_SOCKS_MOST} bytes")
    if scheme == "socks5" and not password:
        return Unusable("it has a user, and no password")
    if scheme != "socks5" and ":" in user:
        return Unusable("its user holds a colon")
    pair = ":".join(quote(part, safe="", encoding="latin-1") for part in (user, password))
    return EgressProxy(scheme, host, port, Secret(f"{scheme}://{pair}@{host}:{port}"))
