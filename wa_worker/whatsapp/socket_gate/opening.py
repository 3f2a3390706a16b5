"""One session's way through the gate: its name and password, its sockets, and until when it may pass.

Any thread may cut it, also while Trio's loop stands still: the system ends the connections then, and Trio's tasks find
out later. A lock is between that and the closing of a socket, whose number may be another's at once.
"""

from __future__ import annotations

import secrets
import socket
import struct
import threading

import trio

from wa_worker.models import EgressProxy, InstanceId, Secret
from wa_worker.ownership.deadline import Deadline, boottime, left

AT_ONCE = struct.pack("ii", 1, 0)
"""SO_LINGER that has a closed socket drop what is not yet sent."""


class Barred(Exception):
    """Nothing passes any more; the text says why."""


class Opening:
    """Made by the gate, one for each opening of a session. Any thread may cut it; the rest is for Trio's."""

    def __init__(self, user: str, instance: InstanceId, egress: EgressProxy | None, deadline: Deadline) -> None:
        self.user = user
        self.password = Secret(secrets.token_urlsafe(32))
        self.instance = instance
        self.egress = egress
        self.ended = False
        """Whether its session is over: there is no new connection."""
        self.drained = trio.Event()
        """Is set when it has ended and the last connection is closed."""
        self._deadline = deadline
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._cut = False

    @property
    def in_use(self) -> bool:
        """Says whether it has a connection."""
        return bool(self._sockets)

    def check(self) -> None:
        """Reads the clock. Raises Barred if nothing may pass any more."""
        if self._cut:
            raise Barred("this session was cut off")
        if not left(self._deadline(), boottime()):
            raise Barred("the lease of this worker has run out")

    def adopt(self, sock: socket.socket) -> None:
        """Counts a socket among its own. Raises Barred."""
        with self._lock:
            self.check()
            self._sockets.add(sock)

    def close(self, sock: socket.socket) -> None:
        """Closes a socket of its own."""
        with self._lock:
            self._sockets.discard(sock)
            sock.close()

    def cut(self) -> int:
        """Ends its connections at once and for good, and returns how many there were. What the system has yet to send
        of them is dropped when they are closed, or the process ends."""
        with self._lock:
            first, self._cut = not self._cut, True
            for sock in self._sockets if first else ():
                _cut(sock)
            return len(self._sockets) if first else 0


def _cut(sock: socket.socket) -> None:
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # it has ended by itself
