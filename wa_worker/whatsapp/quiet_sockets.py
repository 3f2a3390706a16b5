"""Cuts connections on which nothing comes: how a call of the library is ended that cannot be cancelled.

Such a call hangs because its host says nothing, and ends when its connection does. Which one that is, nobody says; but
it was made since the call began, and it has brought nothing since. Another of which that is true, such as an idle one
to the worker-proxy, is made anew by whoever needs it. A descriptor is duplicated before it is looked at, so that none
is cut that has taken the number of another meanwhile. Only where there are /proc and TCP_INFO: on Linux.
"""

from __future__ import annotations

import os
import socket
import stat
import struct
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

_OPEN = Path("/proc/self/fd")

_LAST_DATA_RECEIVED = 52
"""Where `tcpi_last_data_recv` is in the kernel's `struct tcp_info` (linux/tcp.h): milliseconds, 32 bits."""


def present() -> Collection[int]:
    """Returns the inodes of the descriptors that the process has now; never empty."""
    found = {0}
    for descriptor in _descriptors():
        with suppress(OSError):  # it was closed meanwhile
            found.add(os.fstat(descriptor).st_ino)
    return frozenset(found)


def cut(before: Collection[int], seconds: float) -> int:
    """Cuts the TCP connections that were not there `before`, and have brought nothing for so many seconds. Returns how
    many. Blocking, for some milliseconds."""
    count = 0
    for descriptor in _descriptors():
        with suppress(OSError):
            count += _is_cut(descriptor, before, seconds)
    return count


def _descriptors() -> Iterator[int]:
    with suppress(OSError):
        yield from [int(path.name) for path in _OPEN.iterdir()]


def _is_cut(descriptor: int, before: Collection[int], seconds: float) -> bool:
    """Cuts one, if it is such a connection. Raises OSError if it is closed meanwhile, or not connected."""
    own = os.dup(descriptor)
    try:
        found = os.fstat(own)
        if not stat.S_ISSOCK(found.st_mode) or found.st_ino in before:
            return False
        connection = socket.socket(fileno=os.dup(own))
    finally:
        os.close(own)
    with connection:
        if connection.family not in (socket.AF_INET, socket.AF_INET6) or connection.type != socket.SOCK_STREAM:
            return False
        connection.getpeername()  # raises if it listens
        if _quiet(connection) < seconds:
            return False
        connection.shutdown(socket.SHUT_RDWR)
        return True


def _quiet(connection: socket.socket) -> float:
    """Returns for how many seconds a connection has brought nothing."""
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    (milliseconds,) = struct.unpack_from("=I", info, _LAST_DATA_RECEIVED)
    return float(milliseconds) / 1000
