"""The connections of a port that strangers may reach: how many there are, which one ends for a new one, and deadlines.

Whoever connects gets in, so that nobody can keep the prober out: when all places are taken, the address that has the
most of them loses one, the one that has been idle the longest. The same when no descriptor is left, for which one is
held in reserve. A connection is cut by closing its socket: hypercorn shields its writes from a cancel, so that a client
that does not read could hold on to one, and to the end of the program.
"""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from math import inf

import attrs
import structlog
import trio

log = structlog.get_logger(__name__)

RETRY = 0.1
"""Seconds between two tries to accept while no descriptor is left."""

_SHORT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""What `accept()` says when the process or the machine has no room for one more (accept(2))."""


@attrs.frozen
class Times:
    """Says how long a client may take, in seconds.

    request: from the connection, or the first byte of a request, until all of the request is there.
    answer: from there until the client has taken the answer.
    idle: from there until the next request begins.
    """

    request: float = inf
    answer: float = inf
    idle: float = inf


class Connection:
    """Tells what a connection is doing, and closes it when it is late. Trio thread only.

    busy: a request of it is being answered; used: one was answered; since: when it came, or its last answer went
    (`trio.current_time()`).
    """

    def __init__(self, stream: trio.SocketStream, times: Times) -> None:
        self.stream = stream
        self.address = _address(stream)
        self.busy = self.used = False
        self.since = trio.current_time()
        self._times = times
        self._begun = True
        self._timer = trio.CancelScope(deadline=self.since + times.request)

    def bytes_came(self) -> None:
        """Counts the time of a request from its first byte."""
        if not self.busy and not self._begun:
            self._begun = True
            self._timer.deadline = trio.current_time() + self._times.request

    def request_is_whole(self) -> None:
        self.busy = True
        self._timer.deadline = trio.current_time() + self._times.answer

    def answered(self) -> None:
        self.busy, self.used, self._begun = False, True, False
        self.since = trio.current_time()
        self._timer.deadline = self.since + self._times.idle

    def close(self) -> None:
        """Cuts it at once: who reads or writes gets trio.ClosedResourceError."""
        self.stream.socket.close()

    async def close_when_late(self) -> None:
        """Waits for its deadline, which moves with what it does. Until cancelled."""
        with self._timer:
            await trio.sleep_forever()
        if self._timer.cancelled_caught:
            self.close()


class Connections:
    """Knows the open connections of a port, and which one to close for another. Trio thread only."""

    def __init__(self) -> None:
        self._open: dict[Connection, None] = {}

    def __len__(self) -> int:
        return len(self._open)

    def add(self, connection: Connection) -> None:
        self._open[connection] = None

    def remove(self, connection: Connection) -> None:
        self._open.pop(connection, None)

    def close_one(self) -> bool:
        """Closes the connection that is needed the least, of the address that has the most. False: there is none."""
        many = Counter(connection.address for connection in self._open)
        most = max(many.values(), default=0)
        candidates = [connection for connection in self._open if many[connection.address] == most]
        if not candidates:
            return False
        least = min(candidates, key=lambda one: (one.busy, one.used, one.since))
        self.remove(least)
        least.close()
        return True

    def close_all(self) -> None:
        for connection in self._open:
            connection.close()
        self._open.clear()


class _Reserve:
    """Holds a descriptor for the moment in which there is no other."""

    def __init__(self) -> None:
        self._descriptor: int | None = None
        self.take()

    def take(self) -> None:
        if self._descriptor is None:
            with suppress(OSError):
                self._descriptor = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def give_up(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


async def serve_connections(
    listener: trio.SocketListener,
    serve: Callable[[Connection], Awaitable[None]],
    times: Times,
    most: int,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Accepts connections, `most` of them at once, and has each served by a task of its own.

    Cancelled: closes all, and the listener. Raises OSError if the listener breaks.
    """
    connections, reserve = Connections(), _Reserve()

    async def keep(connection: Connection) -> None:
        try:
            await serve(connection)
        finally:
            connections.remove(connection)
            connection.close()

    try:
        async with listener, trio.open_nursery() as nursery:
            task_status.started()
            try:
                while True:
                    if (stream := await _accept(listener, connections, reserve)) is not None:
                        if len(connections) >= most:
                            connections.close_one()
                        connection = Connection(stream, times)
                        connections.add(connection)
                        nursery.start_soon(keep, connection)
            finally:
                connections.close_all()
    finally:
        reserve.give_up()


async def _accept(
    listener: trio.SocketListener, connections: Connections, reserve: _Reserve
) -> trio.SocketStream | None:
    """Returns None when there was no descriptor for the connection, and has made room for the next try then."""
    # Linux takes the descriptor before it looks for a connection: without one, accept() fails though nobody has come
    await trio.lowlevel.wait_readable(listener.socket)
    try:
        stream = await listener.accept()
    except OSError as error:
        if error.errno not in _SHORT:
            raise
        log.warning(
            "no descriptor is left: the health port closes its oldest connection for a new one",
            reason=os.strerror(error.errno),
        )
        if not connections.close_one():
            reserve.give_up()
        await trio.sleep(RETRY)
        return None
    reserve.take()
    return stream


def _address(stream: trio.SocketStream) -> str:
    """Returns the client's address without its port. One that has left already has none."""
    try:
        return str(stream.socket.getpeername()[0])
    except OSError:
        return ""
