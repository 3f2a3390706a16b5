"""Which addresses a link that somebody else has written may lead to: public ones, and the one that is connected to is
the one that was looked at.

A name can lead anywhere: to this machine, to the cloud's metadata service, to a database beside it. And it can lead
somewhere else the next time it is asked for. So the name is resolved once, each address is judged, and the connection
goes to a judged address and not to the name.
"""

from __future__ import annotations

import ipaddress
import math
import socket
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any

import httpcore
import trio

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Awaitable[list[str]]]

MOST_TRIED = 4
"""Addresses of a host that are tried, one after another."""

_LOOKUPS = trio.CapacityLimiter(16)
"""Threads that look names up. Of a domain whose servers are dead each takes minutes, and nothing can end it: they are
not to be those that all of the worker shares."""

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_RESERVED = tuple(map(ipaddress.ip_network, ("192.0.0.0/24", "3fff::/20")))
"""What Python's tables of some versions lack: protocol assignments (a cloud's metadata service is there), examples."""

_UNICAST = ipaddress.ip_network("2000::/3")
"""What of IPv6 is handed out at all (iana.org/assignments/ipv6-address-space)."""


class PrivateAddress(Exception):
    """A host has no address that is public. `literal`: the link itself names the address."""

    def __init__(self, host: str, *, literal: bool) -> None:
        super().__init__(f"{host} is at no public address")
        self.literal = literal


def is_public(text: str) -> bool:
    """Says whether an address is one of the public internet's, whatever other address is inside of it."""
    try:
        address: Address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return _is_public(inner)
        if address not in _UNICAST:
            return False
    return _is_public(address)


def _is_public(address: Address) -> bool:
    if any(address in network for network in _RESERVED):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


async def resolve(host: str, port: int) -> list[str]:
    """Returns the addresses of a host. Raises OSError. Cancelled: leaves the thread to itself."""
    found = await trio.to_thread.run_sync(
        partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM), limiter=_LOOKUPS, abandon_on_cancel=True
    )
    return list(dict.fromkeys(str(each[4][0]) for each in found))


class PublicBackend(httpcore.AsyncNetworkBackend):
    """Connects httpcore to addresses only that are `allowed`."""

    def __init__(self, *, allowed: Callable[[str], bool] = is_public, resolve: Resolve = resolve) -> None:
        self._allowed = allowed
        self._resolve = resolve
        self._backend = httpcore.TrioBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's interface
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Raises PrivateAddress, or httpcore's ConnectError and ConnectTimeout."""
        host = host.strip("[]")
        try:
            with trio.fail_after(math.inf if timeout is None else timeout):
                addresses = await self._resolve(host, port)
        except trio.TooSlowError:
            raise httpcore.ConnectTimeout(f"{host} is not resolved") from None
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"{host} is not resolved: {error}") from error
        good = [address for address in addresses if self._allowed(address)]
        if addresses and not good:
            raise PrivateAddress(host, literal=_is_literal(host))
        problem: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in good[:MOST_TRIED]:
            try:
                return await self._backend.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                problem = error
        raise problem

    async def sleep(self, seconds: float) -> None:
        """Part of httpcore's interface."""
        await trio.sleep(seconds)


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
